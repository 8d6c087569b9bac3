"""A model's profile is checked when its bundle is read, and gives each request what it does not say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from app.engine.bundle import read_manifest
from app.engine.profile import SamplingDefaults
from app.engine.sampling import Sampling
from app.errors import BundleError
from tests.conftest import run_module


def test_what_is_asked_for_wins_over_the_models_defaults_and_those_over_the_rest() -> None:
    defaults = SamplingDefaults(temperature=0.4, top_p=0.9, length=7)
    asked = {"temperature": 0.0, "top_p": None, "top_k": 5}
    assert defaults.sampling(asked, Sampling(temperature=1, top_p=1)) == Sampling(0.0, 5, 0.9)
    assert SamplingDefaults().sampling({}) == Sampling()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "temperature": ({"sampling": {"temperature": -1}}, "$.sampling.temperature"),
    "a word": ({"sampling": {"top_p": "high"}}, "$.sampling.top_p"),
    "more than all": ({"sampling": {"top_p": 1.5}}, "$.sampling.top_p"),
    "half a token": ({"sampling": {"length": 0.5}}, "$.sampling.length"),
    "no tokens": ({"sampling": {"length": 0}}, "$.sampling.length"),
    "a misspelt option": ({"sampling": {"temprature": 1}}, "temprature"),
    "a template": ({"template": "[USER] %"}, "the template '[USER] %' is none of text, qa, chat"),
    "a template of questions": ({"questions": "quiz"}, "the template 'quiz' is none of text, qa, chat"),
    "a title of two lines": ({"title": "a\nb"}, "title is 'a\\nb': expected one line of at most 60 characters"),
    "a long line about it": ({"about": "x" * 301}, "expected one line of at most 300 characters"),
    "too many beginnings": ({"beginnings": ["x"] * 9}, "beginnings has 9 texts: expected at most 8"),
    "a blank beginning": ({"beginnings": [" "]}, "beginnings has ' ': expected 1 to 300 characters"),
    "a beginning that is no text": ({"beginnings": [7]}, "$.beginnings"),
}


def changed(bundle: Path, folder: Path, fields: dict[str, Any]) -> Path:
    shutil.copytree(bundle, folder)
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | fields))
    return folder


@pytest.mark.parametrize("case", WRONG)
def test_nonsense_is_refused_when_the_bundle_is_read(bundles: dict[int, Path], tmp_path: Path, case: str) -> None:
    fields, sentence = WRONG[case]
    with pytest.raises(BundleError) as refused:
        read_manifest(changed(bundles[8], tmp_path / "model", fields))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_the_server_refuses_it_in_one_line(bundles: dict[int, Path], tmp_path: Path) -> None:
    folder = changed(bundles[8], tmp_path / "model", {"sampling": {"top_p": 1.5}})
    ended = run_module("app", MODEL=str(folder), LOG_FORMAT="text")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "$.sampling.top_p" in ended.stderr


def test_an_old_bundle_has_no_profile(bundles: dict[int, Path], tmp_path: Path) -> None:
    manifest = read_manifest(changed(bundles[8], tmp_path / "model", {"template": "qa"}))
    assert (manifest.template, manifest.question_template, manifest.title, manifest.beginnings) == ("qa", "qa", "", [])
    assert manifest.sampling == SamplingDefaults()
