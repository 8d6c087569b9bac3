"""What `/metrics` says: how busy the server is, in Prometheus' text format and under vLLM's names.

app.engine.generation_stats and app.api.access_log keep the numbers; prometheus-client formats them. It is slow to import, so
nothing imports this module before somebody asks for /metrics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from app.api.access_log import Answered
from app.api.state import State
from app.engine.generation_queue import GenerationQueue
from app.engine.generation_stats import GenerationStats, Histogram


def write(state: State, accept: str) -> tuple[bytes, str]:
    """The text, in the format that the scraper prefers, and the content type of that format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Reading(state))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class Reading(Collector):
    """The numbers as they stand."""

    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        queue = self._state["queue"]
        yield from of_queue(queue)
        yield from of_generations(queue.stats)
        yield of_requests(self._state["answered"])


def of_queue(queue: GenerationQueue) -> list[Metric]:
    return [
        GaugeMetricFamily("num_requests_running", "Generations that are being written.", queue.running),
        GaugeMetricFamily("num_requests_waiting", "Generations that wait for their turn.", queue.waiting),
    ]


def of_generations(stats: GenerationStats) -> list[Metric]:
    with stats.lock:
        texts = CounterMetricFamily("request_success", "Texts, by how they ended.", labels=["finished_reason"])
        for reason, number in stats.texts.items():
            texts.add_metric([reason], number)
        return [
            CounterMetricFamily("prompt_tokens", "Tokens read.", stats.prompt_tokens),
            CounterMetricFamily("generation_tokens", "Tokens written.", stats.generation_tokens),
            texts,
            histogram("request_queue_time_seconds", "From arrival to its turn.", stats.queue_seconds),
            histogram("time_to_first_token_seconds", "From arrival to the first token.", stats.first_token_seconds),
            histogram("inter_token_latency_seconds", "From a text's token to its next.", stats.next_token_seconds),
            histogram("e2e_request_latency_seconds", "From arrival to the last token.", stats.request_seconds),
        ]


def of_requests(answered: Counter[Answered]) -> Metric:
    requests = CounterMetricFamily("http_requests", "Requests answered.", labels=Answered._fields)
    for (method, path, status), number in answered.copy().items():
        requests.add_metric([method, path, str(status)], number)
    return requests


def histogram(name: str, meaning: str, values: Histogram) -> Metric:
    bounds = [*map(floatToGoString, values.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(values.counts), strict=True))
    return HistogramMetricFamily(name, meaning, buckets=buckets, sum_value=values.sum)
