"""cloudbuild.yaml: its variables, the order of its steps, and what their scripts do."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.engine.default_bundle import deployed_model
from finetune.default_choice import choose_default
from tests.conftest import ROOT
from tests.deploy.build_ignores import sent_by_docker
from tests.deploy.definitions import load

STEPS: dict[str, dict[str, Any]] = {step["id"]: step for step in load("cloudbuild.yaml")["steps"]}
# Substitutions that Cloud Build has for every build, however it was started.
BUILT_IN = {"PROJECT_ID", "BUILD_ID", "PROJECT_NUMBER", "LOCATION"}


def test_the_build_uses_what_it_declares_and_declares_what_it_uses() -> None:
    build = load("cloudbuild.yaml")
    declared = build.pop("substitutions")
    for step in build["steps"]:
        step.pop("script", None)  # Scripts get environment variables, not substitutions.
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(build) + declared["_IMAGE"]))
    assert used - BUILT_IN == set(declared)


def test_scripts_use_the_variables_they_are_given() -> None:
    for step in STEPS.values():
        given = {entry.split("=")[0] for entry in step.get("env", [])}
        if "script" in step:
            assert set(re.findall(r"\$\{?([A-Z_]+)", step["script"])) == given
            assert not {"args", "entrypoint"} & set(step), "Cloud Build takes either"


def test_steps_wait_for_steps_before_them_and_nothing_is_deployed_unscanned() -> None:
    before: dict[str, set[str]] = {}
    for name, step in STEPS.items():
        awaited = set(step.get("waitFor", before)) - {"-"}
        assert awaited <= set(before), f"{name} waits for what does not come before it"
        before[name] = awaited.union(*(before[other] for other in awaited))
    assert before["deploy"] == {"test", "checkpoint", "build", "sbom", "scan", "push", "publish-sbom"}
    assert before["push"] >= {"test", "scan"}


def run_step(name: str, folder: Path, said: str = "", **variables: str) -> str:
    """Run a step's script in `folder`, with stand-ins that print `said` and record their calls. Returns the calls."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for program in ("gcloud", "docker", "make"):
        (programs / program).write_text(f'#!/bin/sh\necho {program} "$@" >> "{folder}/calls"\nprintf %s "{said}"\n')
        (programs / program).chmod(0o755)
    environ = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder)} | variables
    script = folder / "script"
    script.write_text(STEPS[name]["script"], encoding="utf-8")
    script.chmod(0o755)
    subprocess.run([script], cwd=folder, env=environ, check=True, capture_output=True)
    calls = folder / "calls"
    return calls.read_text(encoding="utf-8") if calls.exists() else ""


def test_what_is_deployed_is_the_image_that_was_pushed(tmp_path: Path) -> None:
    image = "europe-west1-docker.pkg.dev/project/repository/jokes"
    calls = run_step("push", tmp_path, f"{image}@sha256:{'a' * 64}", IMAGE=image, BUILD="7")
    assert calls.startswith(f"docker push --all-tags {image}\n")
    # `docker push` also prints the digest, but only the output of `docker image inspect` belongs in the file.
    assert (tmp_path / "image.txt").read_text() == f"{image}@sha256:{'a' * 64}"
    (tmp_path / "service.yaml").write_bytes((ROOT / "service.yaml").read_bytes())
    calls = run_step("deploy", tmp_path, PROJECT="project", REGION="europe-west1", SERVICE="jokes")
    assert calls.endswith("gcloud run services replace deployed.yaml --region europe-west1\n")
    deployed, written = yaml.safe_load((tmp_path / "deployed.yaml").read_text(encoding="utf-8")), load("service.yaml")
    written["metadata"]["name"] = "jokes"
    (container,) = written["spec"]["template"]["spec"]["containers"]
    container["image"] = f"{image}@sha256:{'a' * 64}"
    container["env"][1]["value"] = "project"
    assert deployed == written


def test_the_checkpoint_is_fetched_if_a_bucket_is_named(tmp_path: Path) -> None:
    assert run_step("checkpoint", tmp_path, BUCKET="", CHECKPOINT="checkpoint/run1") == ""
    calls = run_step("checkpoint", tmp_path, BUCKET="mine", CHECKPOINT="checkpoint/jokes/best")
    assert calls == "gcloud storage rsync --recursive gs://mine/checkpoint/jokes/best checkpoint/run1\n"
    assert (tmp_path / "checkpoint/run1").is_dir()


def test_the_fetched_checkpoint_takes_the_place_of_the_default(tmp_path: Path) -> None:
    shutil.copy(ROOT / ".dockerignore", tmp_path)
    (tmp_path / "models/jokes").mkdir(parents=True)
    (tmp_path / "models/jokes/manifest.json").touch()
    choose_default(tmp_path / "models/jokes")
    run_step("checkpoint", tmp_path, BUCKET="mine", CHECKPOINT="checkpoint/jokes/best")
    (tmp_path / "checkpoint/run1/model-7.index").touch()
    assert "checkpoint/run1/model-7.index" in sent_by_docker(tmp_path)
    assert deployed_model(project=tmp_path) == tmp_path / "checkpoint/run1"


def test_the_tests_say_that_the_starter_was_not_sent(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as stopped:
        run_step("test", tmp_path)
    assert stopped.value.stderr.endswith(b"was not sent: add --ignore-file .cloudbuildignore.\n")


def test_the_tests_get_a_git_repository_if_gcloud_sent_none(tmp_path: Path) -> None:
    (tmp_path / "models/starter").mkdir(parents=True)
    for _ in range(2):
        run_step("test", tmp_path)
    assert (tmp_path / "calls").read_text() == "make test\n" * 2
    assert (tmp_path / ".git").is_dir()
