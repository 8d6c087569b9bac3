"""The content of `/metrics`: Prometheus metrics under vLLM's names, and the process's own.

app.engine.generation_stats and app.api.access_log keep the numbers, and prometheus-client formats them. It is slow to import,
so this module is imported with the first request for /metrics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from app.api.access_log import RequestLabels
from app.api.state import State
from app.engine.generation_queue import GenerationQueue
from app.engine.generation_stats import GenerationStats, Histogram


def write(state: State, accept: str) -> tuple[bytes, str]:
    """The metrics, in the format that the scraper prefers (`accept`), and their content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StateCollector(state))
    # Memory and processor time, under the names that Prometheus's clients have for them.
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class StateCollector(Collector):
    """Reads the numbers when they are asked for."""

    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        queue = self._state["queue"]
        yield from queue_metrics(queue)
        yield from generation_metrics(queue.stats)
        yield request_metrics(self._state["request_counts"])


def queue_metrics(queue: GenerationQueue) -> list[Metric]:
    return [
        GaugeMetricFamily("num_requests_running", "Generations in progress.", queue.running),
        GaugeMetricFamily("num_requests_waiting", "Generations in the queue.", queue.waiting),
    ]


def generation_metrics(stats: GenerationStats) -> list[Metric]:
    with stats.lock:
        texts = CounterMetricFamily(
            "request_success", "Finished texts by their finish reason.", labels=["finished_reason"]
        )
        for reason, number in stats.texts.items():
            texts.add_metric([reason], number)
        return [
            CounterMetricFamily("prompt_tokens", "Tokens of prompts.", stats.prompt_tokens),
            CounterMetricFamily("generation_tokens", "Generated tokens.", stats.generation_tokens),
            texts,
            histogram_metric("request_queue_time_seconds", "Time in the queue.", stats.queue_seconds),
            histogram_metric(
                "time_to_first_token_seconds", "Time from arrival to the first token.", stats.first_token_seconds
            ),
            histogram_metric(
                "inter_token_latency_seconds", "Time between two tokens of a text.", stats.next_token_seconds
            ),
            histogram_metric(
                "e2e_request_latency_seconds", "Time from arrival to the last token.", stats.request_seconds
            ),
        ]


def request_metrics(counts: Counter[RequestLabels]) -> Metric:
    requests = CounterMetricFamily(
        "http_requests", "Requests by method, path and status.", labels=RequestLabels._fields
    )
    for (method, path, status), number in counts.copy().items():
        requests.add_metric([method, path, str(status)], number)
    return requests


def histogram_metric(name: str, meaning: str, values: Histogram) -> Metric:
    bounds = [*map(floatToGoString, values.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(values.counts), strict=True))
    return HistogramMetricFamily(name, meaning, buckets=buckets, sum_value=values.sum)
