"""training-job.yaml trains with options that exist, and a retry resumes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from finetune.command_line import parsed_options
from tests.conftest import ROOT
from tests.deploy.definitions import load


def task() -> dict[str, Any]:
    spec: dict[str, Any] = load("training-job.yaml")["spec"]["template"]["spec"]["template"]["spec"]
    return spec


def test_the_job_trains_and_a_retry_resumes(tmp_path: Path) -> None:
    (container,) = task()["containers"]
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    (mount,) = container["volumeMounts"]
    (volume,) = task()["volumes"]
    assert mount["name"] == volume["name"]
    (tmp_path / "python3").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "python3").chmod(0o755)
    command = [*container["command"], container["args"][0].replace(mount["mountPath"], str(tmp_path))]

    def started() -> list[str]:
        environ = variables | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout.split()

    first = started()
    assert first[:3] == ["-m", "finetune", "train"]
    options = parsed_options(first[2:])
    assert options["precision"] == "bfloat16"
    assert options["batch_size"] == "auto"
    (tmp_path / "checkpoint/jokes").mkdir(parents=True)
    (tmp_path / "checkpoint/jokes/checkpoint").touch()
    assert started() == [*first, "--resume"]


def test_the_job_asks_for_what_a_gpu_comes_with() -> None:
    """4 vCPU and 16 GiB are the least with an L4, and an hour is the most that a task with a GPU gets."""
    spec = task()
    assert spec["nodeSelector"] == {"run.googleapis.com/accelerator": "nvidia-l4"}
    assert spec["containers"][0]["resources"]["limits"] == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}
    assert spec["timeoutSeconds"] <= 3600


def test_the_job_trains_on_jax_and_its_image_brings_it() -> None:
    """TensorFlow's own CUDA libraries would be another three gigabytes. Cloud Run's driver for the L4 does not run CUDA 13."""
    (container,) = task()["containers"]
    assert {"name": "KERAS_BACKEND", "value": "jax"} in container["env"]
    locked = (ROOT / "requirements/gpu.txt").read_text(encoding="utf-8")
    assert "\njax-cuda12-plugin==" in locked
    assert "requirements/gpu.txt" in (ROOT / "training.Dockerfile").read_text(encoding="utf-8")
