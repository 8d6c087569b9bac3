"""The plan: the commands that lead from what is there to what is wanted. Nothing is run here."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from app.engine.bundle import Bundle
from finetune.deployment.cloud_project import CloudProject
from finetune.deployment.cloud_state import (
    BIGQUERY,
    BUILD,
    DATASET,
    REGISTRY,
    RUN,
    SECRET_READER,
    SECRETS,
    CloudState,
    roles_of,
)
from finetune.deployment.gcloud import Step
from finetune.deployment.service_settings import (
    NEW_SERVICE,
    SOURCE_LABEL,
    gibibytes,
    is_ready,
    memory_for,
    memory_of,
    source_of,
    variables_of,
)
from finetune.deployment.staged_sources import StagedSources

BUILDER = "roles/run.builder"
BUILDERS = {BUILDER, "roles/cloudbuild.builds.builder", "roles/editor", "roles/owner"}
"""Any of them lets the account build."""
QUERY_RUNNER = "roles/bigquery.jobUser"
QUERY_RUNNERS = {QUERY_RUNNER, "roles/bigquery.user", "roles/bigquery.admin", "roles/editor", "roles/owner"}


@dataclass(frozen=True)
class Deployment:
    """What is wanted. `token` is the Telegram bot's, or None for no change."""

    service: str
    bundle: Bundle
    sources: StagedSources
    token: str | None = None
    votes: bool = False


def secret_names(service: str) -> tuple[str, str]:
    """Where the bot's token and its webhook's secret are kept."""
    return f"{service}-telegram-token", f"{service}-telegram-secret"


def plan(wanted: Deployment, state: CloudState, project: CloudProject) -> list[Step]:
    """The steps in their order. Empty if everything is there."""
    runtime = runtime_account(state, project)
    steps = [*enable_apis(wanted, state, project), *let_build(state, project)]
    if wanted.votes:
        steps += make_dataset(state, project, runtime)
    there = variables_of(state.service) if state.service else {}
    own = {"THREADS": "1", "GOOGLE_CLOUD_PROJECT": project.name}
    variables = {name: value for name, value in own.items() if name not in there}  # Else the owner may have changed it.
    if wanted.votes:
        variables["FEEDBACK"] = f"bigquery://{project.name}.{DATASET}"
    kept: dict[str, str] = {}
    if wanted.token:
        for variable, name, value in zip(
            ("TELEGRAM_TOKEN", "TELEGRAM_SECRET"), secret_names(wanted.service), (wanted.token, None), strict=True
        ):
            more, version = store_secret(variable, name, value, state, project, f"serviceAccount:{runtime}")
            steps += more
            kept[variable] = f"{name}:{version}"
    return steps + change_service(wanted, state, project, variables, kept)


def runtime_account(state: CloudState, project: CloudProject) -> str:
    """The account as which the service runs."""
    template = (state.service or {}).get("spec", {}).get("template", {}).get("spec", {})
    return str(template.get("serviceAccountName") or project.account)


def enable_apis(wanted: Deployment, state: CloudState, project: CloudProject) -> Iterator[Step]:
    needed = [RUN, BUILD, REGISTRY, *([SECRETS] if wanted.token else []), *([BIGQUERY] if wanted.votes else [])]
    if missing := [api for api in needed if api not in state.apis]:
        names = ", ".join(api.partition(".")[0] for api in missing)
        yield Step(
            f"enable the APIs {names}",
            ("gcloud", "services", "enable", *missing, "--project", project.name),
            f"the APIs {names}",
        )


def let_build(state: CloudState, project: CloudProject) -> Iterator[Step]:
    """New projects give the account that builds no role, since May 2024."""
    if not roles_of(project.member, state.policy) & BUILDERS:
        yield grant(project, project.member, BUILDER, "build images")


def grant(project: CloudProject, member: str, role: str, verb: str) -> Step:
    words = ("--member", member, "--role", role, "--condition", "None", "--format", "none")
    does = f"let {member.partition(':')[2]} {verb} ({role})"
    return Step(does, ("gcloud", "projects", "add-iam-policy-binding", project.name, *words), f"the role {role}")


def make_dataset(state: CloudState, project: CloudProject, runtime: str) -> Iterator[Step]:
    location = (state.dataset or {}).get("location", project.region)
    bq = ("bq", "--headless", f"--project_id={project.name}", f"--location={location}")
    if state.dataset is None:
        words = ("mk", "--dataset", f"{project.name}:{DATASET}")
        yield Step(f"make the dataset {DATASET} in BigQuery", (*bq, *words), f"the dataset {DATASET}")
    entries = (state.dataset or {}).get("access", [])
    if not any(each.get("userByEmail") == runtime and each.get("role") in ("WRITER", "OWNER") for each in entries):
        query = f"GRANT `roles/bigquery.dataEditor` ON SCHEMA `{project.name}`.{DATASET} TO 'serviceAccount:{runtime}'"
        words = ("query", "--use_legacy_sql=false", query)
        yield Step(f"let {runtime} write votes there", (*bq, *words), "its right to write there")
    member = f"serviceAccount:{runtime}"
    if not roles_of(member, state.policy) & QUERY_RUNNERS:
        yield grant(project, member, QUERY_RUNNER, "count votes")


def store_secret(
    variable: str, name: str, value: str | None, state: CloudState, project: CloudProject, member: str
) -> tuple[list[Step], int]:
    """The steps that store a value and let the service read it, and the number of its version.

    Without a `value`, what is stored stays, and a random one is made where there is none.
    """
    stored = state.secrets.get(name)
    place = ("--project", project.name)
    fresh = value or (None if stored and stored.value else secrets.token_hex(32))
    piped = f'printf %s "${variable}"' if value else "openssl rand -hex 32 | tr -d '\\n'"
    version, steps = stored.version if stored else 0, list[Step]()
    if fresh is not None and (stored is None or fresh != stored.value):
        verb = ("versions", "add") if stored else ("create",)
        words = ("gcloud", "secrets", *verb, name, "--data-file", "-", *place)
        does = f"store {variable} as {'a new version of ' if stored else ''}the secret {name}"
        steps.append(Step(does, words, f"the secret {name}", fresh, piped))
        version += 1
    if not stored or member not in stored.readers:
        asked = ("--member", member, "--role", SECRET_READER, *place, "--format", "none")
        words = ("gcloud", "secrets", "add-iam-policy-binding", name, *asked)
        steps.append(Step(f"let the service read {name}", words, f"the right to read {name}"))
    return steps, version


def change_service(
    wanted: Deployment, state: CloudState, project: CloudProject, variables: dict[str, str], kept: dict[str, str]
) -> list[Step]:
    """Build and deploy, or only change what differs. The settings of a service that is there stay as they are."""
    service, name = state.service, wanted.service
    place = ("--region", project.region, "--project", project.name)
    there = variables_of(service) if service else {}
    flags = [*listed("--update-env-vars", variables, there), *listed("--update-secrets", kept, there)]
    memory = memory_for(wanted.bundle)
    if service and gibibytes(memory_of(service)) < gibibytes(memory):
        flags += ["--memory", memory]
    if service and source_of(service) == wanted.sources.digest and is_ready(service):
        words = ("gcloud", "run", "services", "update", name, *place, *flags)
        return [Step(f"change the service {name}", words, minutes=True)] if flags else []
    build = ("gcloud", "run", "deploy", name, "--source", str(wanted.sources.folder), *place, "--quiet")
    label = ("--update-labels", f"{SOURCE_LABEL}={wanted.sources.digest}")
    flags = [*label, *flags] if service else [*NEW_SERVICE, "--memory", memory, *label, *flags]
    does = f"build the image and {'deploy it to' if service else 'make'} the service {name}"
    return [Step(does, (*build, *flags), f"the service {name}", minutes=True)]


def listed(flag: str, wanted: dict[str, str], there: dict[str, str]) -> list[str]:
    """The flag with the pairs that differ, or nothing."""
    differing = [f"{name}={value}" for name, value in wanted.items() if there.get(name) != value]
    return [flag, ",".join(differing)] if differing else []
