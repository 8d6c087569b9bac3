"""Google would accept the YAML files, and a typing error in them would be noticed."""

from __future__ import annotations

import copy

import pytest
from jsonschema import ValidationError

from tests.deploy.definitions import DEFINITIONS, load, validator


@pytest.mark.parametrize("name", DEFINITIONS)
def test_google_would_accept_it(name: str) -> None:
    validator(*DEFINITIONS[name]).validate(load(name))


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("service.yaml", "spec.template.spec.containerConcurency", 1),
        ("service.yaml", "spec.template.spec.containerConcurrency", "1"),
        ("service.yaml", "spec.template.spec.timeoutSeconds", 2**31),
        ("service.yaml", "spec.template.metadata.annotations", {"autoscaling.knative.dev/minScale": 0}),
        ("service.yaml", "spec.template.spec.containers.0.livenessProbe.path", "/health"),
        ("service.yaml", "spec.template.spec.containers.0.resources.limits.cpu", 1),
        ("training-job.yaml", "spec.template.spec.template.spec.accelerator", "nvidia-l4"),
        ("training-job.yaml", "spec.template.spec.template.spec.maxRetries", 0.5),
        ("cloudbuild.yaml", "steps.0.waitfor", ["-"]),
        ("cloudbuild.yaml", "timeout", "1h"),
        ("cloudbuild.yaml", "options.machineType", "E2_HIGHCPU_7"),
        ("cloudbuild.yaml", "status", "SUCCESS"),
    ],
)
def test_a_typing_error_would_be_noticed(name: str, path: str, value: object) -> None:
    changed = copy.deepcopy(load(name))
    *parents, last = path.split(".")
    place = changed
    for key in parents:
        place = place[int(key) if key.isdigit() else key]
    place[last] = value
    with pytest.raises(ValidationError):
        validator(*DEFINITIONS[name]).validate(changed)
