"""The backend that a run gets, on machines with and without a GPU; and how fast known cards are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.training import devices
from finetune.training.graphics_cards import peak_rates
from tests.conftest import ROOT

# NVIDIA's driver, as far as it is asked: one GPU of 24 GB, or the error FAKE_CUDA_ERROR.
DRIVER = """
#include <stdlib.h>
int cuInit(unsigned flags) { char *error = getenv("FAKE_CUDA_ERROR"); return error ? atoi(error) : 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = 24000000000; return 0; }
"""


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (compiler := shutil.which("cc")):
        pytest.skip("there is no C compiler for the driver")
    folder = tmp_path_factory.mktemp("driver")
    (folder / "driver.c").write_text(DRIVER)
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", folder / devices.NVIDIA_DRIVER, folder / "driver.c"], check=True
    )
    return folder / devices.NVIDIA_DRIVER


def test_without_a_gpu_tensorflow_trains_and_nothing_is_imported_to_find_out() -> None:
    code = """
import sys
from finetune.environment import shield_libraries
from finetune.training.devices import choose_backend
shield_libraries()
choose_backend()
import os
assert os.environ["KERAS_BACKEND"] == "tensorflow"
assert not {"jax", "keras", "tensorflow"} & set(sys.modules)
"""
    environ = os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": " "}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)


@pytest.mark.parametrize(
    ("variables", "gpus", "said"),
    [
        ({}, 1, ""),
        ({"FAKE_CUDA_ERROR": "999"}, 0, "No GPU is used: NVIDIA's driver reports error 999.\n"),
        (
            {"FAKE_CUDA_ERROR": "100", "CUDA_VISIBLE_DEVICES": "-1"},
            0,
            "No GPU is used: CUDA_VISIBLE_DEVICES is '-1'.\n",
        ),
        ({"FAKE_CUDA_ERROR": "100"}, 0, ""),
    ],
    ids=["gpu", "broken", "hidden", "none"],
)
def test_the_driver_says_what_may_be_used(
    driver: Path,
    variables: dict[str, str],
    gpus: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(devices, "NVIDIA_DRIVER", str(driver))
    assert devices.visible_gpus() == gpus
    assert devices.memory_of_gpu() == (24_000_000_000 if gpus else None)
    assert capsys.readouterr().err == said


def test_a_gpu_that_jax_cannot_use_leaves_tensorflow(driver: Path, tmp_path: Path) -> None:
    """JAX's plugin for CUDA is installed, and does not start."""
    plugin = tmp_path / "jax_cuda12_pjrt-1.dist-info"
    plugin.mkdir()
    (plugin / "METADATA").write_text("Name: jax-cuda12-pjrt\nVersion: 1\n")
    (plugin / "entry_points.txt").write_text("[jax_plugins]\nxla_cuda12 = jax_plugins.xla_cuda12\n")
    code = "from finetune.training.devices import choose_backend; choose_backend(); import os; print(os.environ['KERAS_BACKEND'])"
    environ = os.environ | {
        "PYTHONPATH": f"{ROOT}:{tmp_path}",
        "LD_LIBRARY_PATH": str(driver.parent),
        "KERAS_BACKEND": "",
    }
    environ.pop("JAX_PLATFORMS", None)
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.stdout == "tensorflow\n", ended.stderr
    assert "TensorFlow trains, since JAX finds no GPU." in ended.stderr


@pytest.mark.parametrize(
    ("card", "bfloat16"),
    [
        ("NVIDIA H100 80GB HBM3", 989.5),
        ("NVIDIA H100 PCIe", 756.5),
        ("NVIDIA A100-SXM4-40GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA L40S", 362),
        ("NVIDIA L4", 121),
        ("Tesla T4", 8.1),
        ("NVIDIA GeForce RTX 4090", 165.2),
    ],
)
def test_a_known_card_has_a_peak_rate(card: str, bfloat16: float) -> None:
    rates = peak_rates(card)
    assert rates
    assert rates.bfloat16 == bfloat16


@pytest.mark.parametrize(
    "card", ["CPU", "NVIDIA L400", "NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA GeForce RTX 3060 Ti"]
)
def test_a_card_is_not_taken_for_another(card: str) -> None:
    assert peak_rates(card) is None
