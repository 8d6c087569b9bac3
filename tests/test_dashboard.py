"""The dashboard for Grafana asks for metrics and labels that /metrics has, and Grafana can import it."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.engine.fake import FakeEngine
from tests.conftest import ROOT, serving

DASHBOARD: dict[str, Any] = json.loads((ROOT / "docs/grafana-dashboard.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
# What of PromQL stands where a name could.
WORDS = {"sum", "max", "by", "le", "rate", "or", "vector", "histogram_quantile"}
# Prometheus adds these.
TARGET_LABELS = {"job", "instance"}


@pytest.fixture(scope="module")
def labels() -> dict[str, set[str]]:
    """The labels of each sample that /metrics writes, by its name."""
    with serving(FakeEngine()) as url:
        httpx.get(f"{url}/?length=2")
        families = text_string_to_metric_families(httpx.get(f"{url}/metrics").text)
        return {sample.name: set(sample.labels) for family in families for sample in family.samples}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_a_panel_asks_for_metrics_and_labels_that_are_there(labels: dict[str, set[str]], panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        expression = target["expr"]
        asked = re.findall(r"([a-z0-9_]+)\{([^}]*)\}", expression)
        assert asked
        for name, selectors in asked:
            assert set(re.findall(r"(\w+)(?:=~|!~|=)", selectors)) <= labels[name] | TARGET_LABELS
        bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", expression)
        known = {*WORDS, *(name for name, _ in asked), *itertools.chain(*(labels[name] for name, _ in asked))}
        assert set(re.findall(r"[a-z_][a-z0-9_]*", bare)) <= known
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= known | TARGET_LABELS


def test_requests_errors_first_token_rate_queue_and_memory_have_panels() -> None:
    asked = json.dumps(PANELS)
    for name in (
        "http_requests_total",
        "time_to_first_token_seconds_bucket",
        "generation_tokens_total",
        "num_requests_waiting",
        "process_resident_memory_bytes",
    ):
        assert name in asked


def test_the_panels_have_places_and_numbers_of_their_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [panel["gridPos"] for panel in PANELS]
    for one, two in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        below = one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
        assert beside or below
    assert all(place["x"] + place["w"] <= 24 for place in places)


def test_the_importer_chooses_the_source() -> None:
    """A dashboard that names the source of whoever made it works nowhere else."""
    assert {json.dumps(panel["datasource"]) for panel in PANELS} == {
        json.dumps({"type": "prometheus", "uid": "${datasource}"})
    }
    assert "datasource" in [variable["name"] for variable in DASHBOARD["templating"]["list"]]
    assert {"title", "uid", "schemaVersion"} <= set(DASHBOARD)
