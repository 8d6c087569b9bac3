"""What is deployed, held against Google's own definitions of its interfaces, against the app and against itself.

The definitions are the discovery documents in google-api-python-client: the schemas that the servers themselves publish.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib.resources
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError

from app.settings import Settings, meanings, read_settings
from finetune.training.options import TrainingOptions
from tests.conftest import ROOT

WORKFLOW = ".github/workflows/ci.yaml"
# File → the document that defines it, and the schema in it.
DEFINITIONS = {
    "service.yaml": ("run.v1", "Service"),
    "training-job.yaml": ("run.v1", "Job"),
    "cloudbuild.yaml": ("cloudbuild.v1", "Build"),
}
FORMATS: dict[str, dict[str, Any]] = {
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "uint32": {"minimum": 0, "maximum": 2**32 - 1},
    # Strings in JSON, which forgets large numbers; taken as numbers too.
    "int64": {"type": ["string", "integer"], "pattern": r"^-?\d+$"},
    "uint64": {"type": ["string", "integer"], "pattern": r"^\d+$"},
    "google-duration": {"pattern": r"^\d+(\.\d{1,9})?s$"},
}


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def json_schema(described: dict[str, Any]) -> dict[str, Any]:
    """A discovery document's schema as JSON Schema: no field is allowed that it does not name, or that Google fills in."""
    if described.get("readOnly"):
        return {"not": {}}
    if "$ref" in described:
        return {"$ref": f"#/$defs/{described['$ref']}"}
    schema = {} if described["type"] == "any" else {"type": described["type"]}
    schema |= FORMATS.get(described.get("format", ""), {})
    if "enum" in described:
        schema["enum"] = described["enum"]
    if "items" in described:
        schema["items"] = json_schema(described["items"])
    if "properties" in described:
        schema["properties"] = {name: json_schema(field) for name, field in described["properties"].items()}
    if described["type"] == "object":
        more = described.get("additionalProperties")
        schema["additionalProperties"] = json_schema(more) if more else False
    return schema


def validator(document: str, name: str) -> Draft202012Validator:
    path = importlib.resources.files("googleapiclient") / f"discovery_cache/documents/{document}.json"
    schemas = json.loads(path.read_text(encoding="utf-8"))["schemas"]
    defined = {key: json_schema(schema) for key, schema in schemas.items()}
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": defined})


@pytest.mark.parametrize("name", DEFINITIONS)
def test_google_would_take_it(name: str) -> None:
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
def test_a_slip_of_the_keyboard_would_be_noticed(name: str, path: str, value: object) -> None:
    changed = copy.deepcopy(load(name))
    *parents, last = path.split(".")
    place = changed
    for key in parents:
        place = place[int(key) if key.isdigit() else key]
    place[last] = value
    with pytest.raises(ValidationError):
        validator(*DEFINITIONS[name]).validate(changed)


# The service and the app.


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
    """Without the comments' signs, the secrets and the place for votes are part of a service that Google would take."""
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
    """Tier 1, by request, 1 vCPU and half a GiB: $0.0000025 a second each at rest; $0.000024 and $0.0000025 at work."""
    text = (ROOT / "service.yaml").read_text(encoding="utf-8")
    containers = int(revision()[1]["autoscaling.knative.dev/maxScale"])
    month = 365 / 12 * 86400
    assert f"${(1 + 0.5) * 0.0000025 * month:.2f} a month" in text
    assert f"{containers} containers that never rest are ${containers * 0.00002525 * 86400:.2f} a day" in text


def commands() -> list[str]:
    """Every `gcloud run deploy` with more than its name and source, wherever it is written down, on one line."""
    written = []
    for name in ("service.yaml", "README.md", "docs/quickstart.md"):
        text = re.sub(r"\\\n#? *", "", (ROOT / name).read_text(encoding="utf-8")).replace("$PROJECT", "PROJECT")
        written += re.findall(r"gcloud run deploy \S+ --source \. .*--.*", text)
    return written


def probe_flag(probe: dict[str, Any]) -> dict[str, str]:
    """A probe as gcloud's KEY=VALUE,… has it."""
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
        "set-env-vars": {entry["name"]: entry["value"] for entry in container["env"]},
        "startup-probe": probe_flag(container["startupProbe"]),
        "liveness-probe": probe_flag(container["livenessProbe"]),
    }
    assert len(commands()) == 3
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


# The build.

STEPS: dict[str, dict[str, Any]] = {step["id"]: step for step in load("cloudbuild.yaml")["steps"]}
# What Cloud Build itself knows of every build, however it was started.
BUILT_IN = {"PROJECT_ID", "BUILD_ID", "PROJECT_NUMBER", "LOCATION"}


def test_the_build_uses_what_it_declares_and_declares_what_it_uses() -> None:
    build = load("cloudbuild.yaml")
    declared = build.pop("substitutions")
    for step in build["steps"]:
        step.pop("script", None)  # Scripts have variables of the environment, not substitutions.
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
    """A step's script in `folder`, with programs that only write down how they were called. Returns what they wrote."""
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
    # docker also says it when pushing; only what inspect says is kept.
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


def test_the_tests_find_git_where_gcloud_left_it_behind(tmp_path: Path) -> None:
    for _ in range(2):
        run_step("test", tmp_path)
    assert (tmp_path / "calls").read_text() == "make test\n" * 2
    assert (tmp_path / ".git").is_dir()


# What is sent to be built.


def ignored(folder: Path, *which: str) -> set[str]:
    """The files of a repository that .gcloudignore, which has .gitignore's syntax, leaves out."""
    command = ["git", "ls-files", *which, "--ignored", f"--exclude-from={ROOT / '.gcloudignore'}"]
    return set(subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.splitlines())


def test_gcloud_sends_all_that_git_has_and_the_checkpoint(tmp_path: Path) -> None:
    assert not ignored(ROOT, "--cached")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    kept = {"checkpoint/run1/model-1.index", "models/jokes/manifest.json", "models/124M/manifest.json"}
    left = {"checkpoint/run2/model-1.index", "models/124M/model.ckpt.index", "data/x", ".venv/x"}
    for name in kept | left:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert ignored(tmp_path, "--others") == left


# What is built from it.


@pytest.mark.parametrize("stage", ["bundle", "training"])
def test_what_the_image_exports_and_trains_with_is_all_there(stage: str, checkpoint: Path, tmp_path: Path) -> None:
    """An import of the settings by the engine's package had made every build with a checkpoint fail."""
    (lines,) = re.findall(
        rf"^FROM pip AS {stage}$(.+?)^FROM ", (ROOT / "Dockerfile").read_text(), re.DOTALL | re.MULTILINE
    )
    copies = [line.split() for line in re.findall(r"^COPY ((?:app|finetune).*)$", lines, re.MULTILINE)]
    for *sources, target in copies:
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / target)
            else:
                (tmp_path / target).mkdir(exist_ok=True)
                shutil.copy(ROOT / source, tmp_path / target)
    command = [
        sys.executable,
        "-m",
        "finetune",
        "export",
        "--checkpoint",
        str(checkpoint),
        "--out",
        str(tmp_path / "out"),
    ]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out" / "manifest.json").is_file()


# The training job.


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
    options = {word.removeprefix("--") for word in first if word.startswith("--")}
    assert options <= {field.name for field in dataclasses.fields(TrainingOptions)}
    (tmp_path / "checkpoint/jokes").mkdir(parents=True)
    (tmp_path / "checkpoint/jokes/checkpoint").touch()
    assert started() == [*first, "--resume"]


def test_the_job_asks_for_what_a_gpu_comes_with() -> None:
    """4 vCPU and 16 GiB are the least with an L4, and an hour is the most that a task with a GPU gets."""
    spec = task()
    assert spec["nodeSelector"] == {"run.googleapis.com/accelerator": "nvidia-l4"}
    assert spec["containers"][0]["resources"]["limits"] == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}
    assert spec["timeoutSeconds"] <= 3600
    assert " AS training" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


# Where everything is from.


def test_actions_are_pinned_by_commit() -> None:
    steps = [step for job in load(WORKFLOW)["jobs"].values() for step in job["steps"]]
    uses = [step["uses"] for step in steps if "uses" in step]
    assert uses
    for action in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), f"{action} is not pinned by its commit"
    lines = re.findall(r"uses: .*", (ROOT / WORKFLOW).read_text(encoding="utf-8"))
    assert len({line.split("@")[0] for line in lines}) == len(set(lines)), "one action, one commit"
    assert all(re.search(r" # v\d+\.\d+\.\d+$", line) for line in lines), "a comment says which release"


def test_other_peoples_images_are_pinned_by_digest_and_the_same_everywhere() -> None:
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in (WORKFLOW, "cloudbuild.yaml")]
    found = [set(re.findall(r"docker\.io/\S+", text)) for text in texts]
    for image in found[0] | found[1]:
        assert re.fullmatch(r"docker\.io/[\w/-]+:[\w.-]+@sha256:[0-9a-f]{64}", image)
    assert found[0] <= found[1], "what CI scans with is what the build scans with"
    for step in STEPS.values():
        assert step["name"].startswith(("gcr.io/cloud-builders/", "gcr.io/google.com/", "docker.io/"))


def test_the_workflow_may_only_read_and_runs_what_everybody_runs() -> None:
    workflow = load(WORKFLOW)
    assert workflow["permissions"] == {"contents": "read"}
    commands = {step.get("run") for job in workflow["jobs"].values() for step in job["steps"]}
    assert {".ci/run", "make image"} <= commands
    assert any("pip-audit" in (command or "") for command in commands)
    targets = re.findall(r"make ([\w./]+)", " ".join(filter(None, commands)))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in targets:
        assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE) or target.startswith(".venv/")
