"""What is found at Google Cloud: gcloud, its login, the project, its billing account and its APIs. Only `deploy` needs them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

from app.errors import MachineError
from finetune.deployment.cloud_project import DEFAULT_REGION
from finetune.deployment.cloud_state import BUILD, REGISTRY, RUN
from finetune.deployment.gcloud import read_json, reply_to, together, understood
from finetune.deployment.gcloud_errors import BILLING, INSTALL_PAGE, explain
from finetune.diagnosis.finding import Finding, fine, note

SECONDS = 15


def cloud_findings() -> Iterator[Finding]:
    """What gcloud says, as far as it can be understood."""
    try:
        with understood():
            yield from answers_of_gcloud()
    except MachineError as error:
        yield note("gcloud", *str(error).split(": ", 1))


def answers_of_gcloud() -> Iterator[Finding]:
    """Each question has a few seconds. What depends on an answer that is missing is not asked."""
    if not shutil.which("gcloud"):
        yield note("gcloud", "not installed; `gpt2 deploy` needs it", INSTALL_PAGE)
        return
    version, settings = together(lambda: asked("version"), lambda: asked("config", "list"))
    yield version_found(version)
    if isinstance(settings, str):
        yield note("login", settings)
        return
    core = settings.get("core", {})
    if not core.get("account"):
        yield note("login", "nobody is logged in", "gcloud auth login")
        return
    project = core.get("project")
    if not project:
        yield fine("login", core["account"])
        yield note("project", "none is chosen", "gcloud config set project NAME; `gcloud projects list` shows yours")
        return
    described, billing, apis = together(
        lambda: asked("projects", "describe", project),
        lambda: asked("billing", "projects", "describe", project),
        lambda: asked("services", "list", "--enabled", "--project", project),
    )
    if isinstance(described, str):
        yield note("login", core["account"], described)
        return
    yield fine("login", core["account"])
    yield fine("project", f"{project}, region {settings.get('run', {}).get('region', DEFAULT_REGION)}")
    yield billing_found(project, billing)
    yield apis_found(apis)


def asked(*words: str) -> Any:
    """The answer, or a sentence that says why there is none."""
    command = ("gcloud", *words, "--format", "json")
    try:
        reply = reply_to(command, seconds=SECONDS)
        return explain(reply.said, command) if reply.code else read_json(reply.output)
    except MachineError as error:
        return str(error)


def version_found(version: Any) -> Finding:
    if isinstance(version, str):
        return note("gcloud", version)
    return fine("gcloud", str(version.get("Google Cloud SDK", "of an unknown version")))


def billing_found(project: str, billing: Any) -> Finding:
    if isinstance(billing, str):
        return note("billing", "this account may not ask", "see https://console.cloud.google.com/billing/projects")
    if not billing.get("billingEnabled"):
        said, _, mend = BILLING.format(project=project).partition(": ")
        return note("billing", said, mend.removesuffix("."))
    return fine(
        "billing", billing.get("billingAccountName", "a billing account is linked").removeprefix("billingAccounts/")
    )


def apis_found(apis: Any) -> Finding:
    if isinstance(apis, str):
        return note("APIs", apis)
    enabled = {each["config"]["name"] for each in apis}
    missing = [name.partition(".")[0] for name in (RUN, BUILD, REGISTRY) if name not in enabled]
    if missing:
        return fine("APIs", f"{', '.join(missing)} are switched on by `gpt2 deploy`")
    return fine("APIs", "run, cloudbuild, artifactregistry")
