"""What the service costs, held against the table of the docs, whose figures were counted by hand."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from app.engine.bundle import Bundle, Hparams, read_manifest
from app.errors import MachineError
from finetune.deployment.monthly_cost import (
    BYTES_124M,
    dollars_a_month,
    free_requests_a_day,
    most_dollars_a_day,
    storage_dollars,
    tokens_per_second,
)
from finetune.deployment.service_settings import gibibytes, memory_for
from tests.conftest import ROOT
from tests.finetune.deployment.conftest import STARTER


def test_the_table_of_the_docs() -> None:
    page = (ROOT / "docs/deploying.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d,]+) \| \$([\d.]+)", page, re.MULTILINE)
    assert len(rows) >= 4
    for requests, dollars in rows:
        assert dollars_a_month(int(requests.replace(",", "")), BYTES_124M, 0.5) == pytest.approx(
            float(dollars), abs=0.005
        )
    assert free_requests_a_day(BYTES_124M, 0.5) == pytest.approx(8450, rel=0.01)
    assert f"cost ${most_dollars_a_day(0.5, 3):.2f} a day" in page


def test_some_regions_cost_more_and_large_models_take_longer() -> None:
    assert dollars_a_month(30_000, BYTES_124M, 0.5, "us-west2") > 1.4 * dollars_a_month(30_000, BYTES_124M, 0.5)
    assert free_requests_a_day(BYTES_124M, 0.5, "us-west2") < free_requests_a_day(BYTES_124M, 0.5)
    assert storage_dollars(7_000_000) == 0
    assert storage_dollars(1_560_000_000) == pytest.approx(0.139, abs=0.001)
    speeds = [tokens_per_second(size) for size in (7_000_000, BYTES_124M, 355_000_000)]
    measured = [698, 92, 33]
    for speed, figure in zip(speeds, measured, strict=True):
        assert speed / speeds[1] == pytest.approx(figure / measured[1], rel=0.4), "benchmarks/results/image*.json"


def bundle_of(folder: Path, megabytes: int, batch_megabytes: int = 0, **shape: int) -> Bundle:
    """A bundle of this size, whose weights are holes in files."""
    folder.mkdir()
    manifest = read_manifest(STARTER)
    for name, size in (("model.onnx.data", megabytes), ("batch.onnx.data", batch_megabytes)):
        with (folder / name).open("wb") as file:
            file.truncate(size * 10**6)
    batch = manifest.parity if batch_megabytes else None
    return Bundle(folder, msgspec.structs.replace(manifest, hparams=Hparams(**shape), batch=batch))


@pytest.mark.parametrize(
    ("megabytes", "n_embd", "n_layer", "memory"),
    [(124, 768, 12, "512Mi"), (355, 1024, 24, "1Gi"), (775, 1280, 36, "2Gi"), (1560, 1600, 48, "4Gi")],
)
@pytest.mark.parametrize("embedding", [0, 0.0573])
def test_each_of_openais_models_gets_the_memory_it_needs(
    tmp_path: Path, megabytes: int, n_embd: int, n_layer: int, memory: str, embedding: float
) -> None:
    """With a graph for batches, which holds the embedding twice, it is no more."""
    shape = {"n_vocab": 50257, "n_ctx": 1024, "n_embd": n_embd, "n_head": 16, "n_layer": n_layer}
    batch = int(megabytes + embedding * n_embd) if embedding else 0
    assert memory_for(bundle_of(tmp_path / "bundle", megabytes, batch, **shape)) == memory


def test_a_graph_for_batches_counts_with_its_two_caches(tmp_path: Path) -> None:
    shape = {"n_vocab": 50257, "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12}
    assert memory_for(bundle_of(tmp_path / "small", 124, 230, **shape)) == "512Mi"
    assert memory_for(bundle_of(tmp_path / "large", 124, 260, **shape)) == "1Gi"


def test_a_model_that_fits_no_container_is_refused(tmp_path: Path) -> None:
    shape = {"n_vocab": 50257, "n_ctx": 1024, "n_embd": 1600, "n_head": 25, "n_layer": 48}
    with pytest.raises(MachineError, match=r"needs 7\.8 GiB .* export the model with --bits 8"):
        memory_for(bundle_of(tmp_path / "bundle", 6200, **shape))


@pytest.mark.parametrize(("size", "gib"), [("512Mi", 0.5), ("1Gi", 1), ("2G", 1.863), ("", 0), ("much", 0)])
def test_sizes_as_the_platform_writes_them(size: str, gib: float) -> None:
    assert gibibytes(size) == pytest.approx(gib, abs=0.001)
