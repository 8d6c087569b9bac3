"""service.yaml fits the app, and the one-line deployment does the same."""

from __future__ import annotations

import re
import shlex
from typing import Any

import yaml

from app.settings import Settings, meanings, read_settings
from finetune.deployment.service_settings import NEW_SERVICE
from tests.conftest import ROOT
from tests.deploy.definitions import DEFINITIONS, load, validator


def revision() -> tuple[dict[str, Any], dict[str, str]]:
    template = load("service.yaml")["spec"]["template"]
    return template["spec"], template["metadata"]["annotations"]


def test_the_service_sets_only_what_the_app_reads_and_it_fits() -> None:
    spec, _ = revision()
    (container,) = spec["containers"]
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    assert set(variables) <= set(meanings()) - {"PORT"}, "PORT is Cloud Run's to set"
    settings = read_settings(variables)
    assert settings.threads == int(container["resources"]["limits"]["cpu"])
    assert spec["timeoutSeconds"] > settings.request_timeout
    assert [port["containerPort"] for port in container["ports"]] == [Settings().port]
    assert container["startupProbe"]["tcpSocket"]["port"] == Settings().port


def test_what_the_comments_offer_fits_as_well() -> None:
    """With the comment signs removed, the secrets and the store for votes are part of a service that Google would accept."""
    text = re.sub(r"^( +)# (- name:|  value)", r"\1\2", (ROOT / "service.yaml").read_text(), flags=re.MULTILINE)
    service = yaml.safe_load(text)
    validator(*DEFINITIONS["service.yaml"]).validate(service)
    entries = service["spec"]["template"]["spec"]["containers"][0]["env"]
    offered = {entry["name"]: entry.get("value", "") for entry in entries}
    secret = ["API_KEYS", "TELEGRAM_TOKEN", "TELEGRAM_SECRET"]
    assert {"FEEDBACK", *secret} <= set(offered) <= set(meanings())
    assert [entry["name"] for entry in entries if "valueFrom" in entry] == secret
    read_settings({"FEEDBACK": offered["FEEDBACK"].replace("PROJECT", "my-project")})


def test_each_request_has_a_container_of_its_own_and_the_app_would_queue_more() -> None:
    spec, annotations = revision()
    assert spec["containerConcurrency"] == 1 == Settings().concurrency
    assert Settings().queue_limit >= 4, "the comment says that four work too"
    assert annotations["autoscaling.knative.dev/minScale"] == "0"
    assert int(annotations["autoscaling.knative.dev/maxScale"]) >= 1


def test_probes_ask_for_a_route_of_the_app_that_the_platform_leaves_alone() -> None:
    (container,) = revision()[0]["containers"]
    probe = container["livenessProbe"]
    assert f'Route("{probe["httpGet"]["path"]}"' in (ROOT / "app/application.py").read_text(encoding="utf-8")
    assert not probe["httpGet"]["path"].endswith("z")
    assert probe["timeoutSeconds"] <= probe["periodSeconds"]


def test_the_prices_in_the_comments_are_the_platforms() -> None:
    """Tier 1, billed by request. A vCPU costs $0.0000025 a second idle and $0.000024 active, a GiB $0.0000025 either way."""
    text = (ROOT / "service.yaml").read_text(encoding="utf-8")
    containers = int(revision()[1]["autoscaling.knative.dev/maxScale"])
    month = 365 / 12 * 86400
    assert f"${(1 + 0.5) * 0.0000025 * month:.2f} a month" in text
    assert f"{containers} containers that never rest are ${containers * 0.00002525 * 86400:.2f} a day" in text


def commands() -> list[str]:
    """Every `gcloud run deploy` with options in service.yaml and the docs, each on one line."""
    written = []
    for name in ("service.yaml", "docs/deploying.md"):
        text = re.sub(r"\\\n#? *", "", (ROOT / name).read_text(encoding="utf-8")).replace("$PROJECT", "PROJECT")
        text = text.replace('"$SERVICE"', "gpt-2").replace('"$REGION"', "us-central1").replace(" --quiet", "")
        written += re.findall(r"gcloud run deploy \S+ --source \. .*--.*", text)
    return written


def probe_flag(probe: dict[str, Any]) -> dict[str, str]:
    """A probe as gcloud's flag has it, KEY=VALUE,…, parsed."""
    flat: dict[str, str] = {}
    for key, value in probe.items():
        flat |= {f"{key}.{k}": str(v) for k, v in value.items()} if isinstance(value, dict) else {key: str(value)}
    return flat


def test_one_line_deploys_the_same() -> None:
    service, (spec, annotations) = load("service.yaml"), revision()
    (container,) = spec["containers"]
    meant: dict[str, Any] = {
        "invoker-iam-check": service["metadata"]["annotations"]["run.googleapis.com/invoker-iam-disabled"] != "true",
        "execution-environment": annotations["run.googleapis.com/execution-environment"],
        "cpu": container["resources"]["limits"]["cpu"],
        "memory": container["resources"]["limits"]["memory"],
        "cpu-boost": annotations["run.googleapis.com/startup-cpu-boost"] == "true",
        "cpu-throttling": annotations["run.googleapis.com/cpu-throttling"] == "true",
        "min-instances": annotations["autoscaling.knative.dev/minScale"],
        "max-instances": annotations["autoscaling.knative.dev/maxScale"],
        "concurrency": str(spec["containerConcurrency"]),
        "timeout": str(spec["timeoutSeconds"]),
        "port": str(container["ports"][0]["containerPort"]),
        "update-env-vars": {entry["name"]: entry["value"] for entry in container["env"]},
        "startup-probe": probe_flag(container["startupProbe"]),
        "liveness-probe": probe_flag(container["livenessProbe"]),
    }
    assert len(commands()) == 2
    ours = shlex.join(["gcloud", "run", "deploy", "gpt-2", *NEW_SERVICE])
    assert flags(ours).items() <= meant.items()
    for command in commands():
        assert flags(command) == meant | {"source": ".", "region": load("cloudbuild.yaml")["substitutions"]["_REGION"]}


def flags(command: str) -> dict[str, Any]:
    words = shlex.split(command)[4:]
    found: dict[str, Any] = {}
    for word, after in zip(words, [*words[1:], "--"], strict=True):
        name = word.removeprefix("--")
        if not word.startswith("--"):
            continue
        if after.startswith("--"):
            found[name.removeprefix("no-")] = not name.startswith("no-")
        elif "=" in after:
            found[name] = dict(pair.split("=", 1) for pair in after.split(","))
        else:
            found[name] = after
    return found
