"""`/metrics`: exact numbers after known requests, in a format that Prometheus' own parser reads."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from app.engine.fake import FakeEngine
from tests.conftest import ROOT, serving

Samples = dict[tuple[str, ...], float]


@pytest.fixture
def url() -> Iterator[str]:
    with serving(FakeEngine()) as address:
        yield address


def read(url: str) -> Samples:
    """Every sample by its name and the values of its labels."""
    reply = httpx.get(f"{url}/metrics")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(reply.text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def await_samples(url: str, wanted: Callable[[Samples], bool]) -> Samples:
    for _ in range(200):
        if wanted(samples := read(url)):
            return samples
        time.sleep(0.05)
    pytest.fail(f"not in 10 s; the last samples are {samples}")


def test_before_any_request_every_metric_is_there_and_zero(url: str) -> None:
    samples = read(url)
    assert not any(value for name, value in samples.items() if not name[0].startswith("process_"))
    assert samples["process_resident_memory_bytes",] > 10**7
    assert {name[0] for name in samples} >= {
        "num_requests_running",
        "num_requests_waiting",
        "prompt_tokens_total",
        "generation_tokens_total",
        "request_success_total",
        "request_queue_time_seconds_bucket",
        "time_to_first_token_seconds_bucket",
        "inter_token_latency_seconds_bucket",
        "e2e_request_latency_seconds_bucket",
    }


def test_the_numbers_after_known_requests(url: str) -> None:
    assert httpx.get(f"{url}/?length=9&prefix=Why&temperature=0").json()["usage"]["total_tokens"] == 13
    assert httpx.post(f"{url}/generate", json={"length": 3, "nsamples": 2}).status_code == 200
    assert httpx.get(f"{url}/?stop=quick&temperature=0&stream=true").status_code == 200
    assert httpx.get(f"{url}/?length=0").status_code == 400
    assert httpx.get(f"{url}/nothing/at/all").status_code == 404
    assert httpx.request("BREW", url).status_code == 405
    samples = read(url)
    written = len("The quick")
    assert samples["prompt_tokens_total",] == 4 + 1 + 1
    assert samples["generation_tokens_total",] == 9 + 6 + written
    assert samples["request_success_total", "length"] == 3
    assert samples["request_success_total", "stop"] == 1
    assert samples["request_success_total", "timeout"] == samples["request_success_total", "abort"] == 0
    for name in ("request_queue_time", "time_to_first_token", "e2e_request_latency"):
        assert samples[f"{name}_seconds_count",] == samples[f"{name}_seconds_bucket", "+Inf"] == 3
    assert samples["inter_token_latency_seconds_count",] == 8 + 4 + written - 1
    assert samples["http_requests_total", "GET", "/", "200"] == 2
    assert samples["http_requests_total", "POST", "/generate", "200"] == 1
    assert samples["http_requests_total", "GET", "/", "400"] == 1
    assert samples["http_requests_total", "GET", "other", "404"] == 1
    assert samples["http_requests_total", "other", "/", "405"] == 1
    assert samples["num_requests_running",] == samples["num_requests_waiting",] == 0


def test_the_latencies_of_a_request_add_up() -> None:
    with serving(FakeEngine(seconds_per_token=0.01)) as url:
        httpx.get(f"{url}/?length=21")
        samples = read(url)
    assert samples["inter_token_latency_seconds_sum",] >= 0.2
    assert samples["inter_token_latency_seconds_bucket", "0.005"] == 0
    assert samples["e2e_request_latency_seconds_sum",] >= samples["inter_token_latency_seconds_sum",]
    assert samples["time_to_first_token_seconds_sum",] >= samples["request_queue_time_seconds_sum",]


def test_the_gauges_while_one_writes_and_one_waits() -> None:
    with serving(FakeEngine(seconds_per_token=0.02)) as url:
        threads = [threading.Thread(target=httpx.get, args=(f"{url}/?length=50",)) for _ in range(2)]
        for thread in threads:
            thread.start()
        await_samples(url, lambda s: (s["num_requests_running",], s["num_requests_waiting",]) == (1, 1))
        for thread in threads:
            thread.join()
        samples = read(url)
        assert (samples["num_requests_running",], samples["num_requests_waiting",]) == (0, 0)


def test_a_client_that_leaves_is_an_abort() -> None:
    with serving(FakeEngine(seconds_per_token=0.02)) as url:
        with httpx.stream("GET", f"{url}/?length=2000&stream=true") as reply:
            next(reply.iter_raw())
        samples = await_samples(url, lambda s: s["request_success_total", "abort"] == 1)
        assert samples["http_requests_total", "GET", "/", "499"] == 1
        assert samples["e2e_request_latency_seconds_count",] == 0


def test_two_servers_do_not_share_their_numbers(url: str) -> None:
    httpx.get(f"{url}/?length=2")
    with serving(FakeEngine()) as other:
        assert read(other)["generation_tokens_total",] == 0
    assert read(url)["generation_tokens_total",] == 2


def test_openmetrics_if_the_scraper_asks_for_it(url: str) -> None:
    reply = httpx.get(f"{url}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    names = {family.name for family in openmetrics.text_string_to_metric_families(reply.text)}
    assert {"num_requests_running", "request_success", "e2e_request_latency_seconds"} <= names


def test_head_and_other_origins(url: str) -> None:
    head = httpx.head(f"{url}/metrics")
    assert (head.status_code, head.content) == (200, b"")
    assert httpx.get(f"{url}/metrics").headers["access-control-allow-origin"] == "*"
    assert httpx.post(f"{url}/metrics").status_code == 405


def test_the_start_does_not_wait_for_the_library() -> None:
    """prometheus-client is imported with the first request for /metrics."""
    code = "import app.__main__, app.application, app.engine.onnx, app.server, sys; print('prometheus_client' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"
