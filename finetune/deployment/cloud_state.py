"""What is there already: the project, its APIs and roles, the service, the secrets and the dataset. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from finetune.deployment.cloud_project import CloudProject
from finetune.deployment.gcloud import ask, look_up, reply_to, together, understood

REPOSITORY = "cloud-run-source-deploy"
"""Where `gcloud run deploy --source` puts its images."""
DATASET = "ratings"
SECRET_READER = "roles/secretmanager.secretAccessor"  # noqa: S105  # A role.
RUN, BUILD, REGISTRY, SECRETS, BIGQUERY = (
    f"{name}.googleapis.com" for name in ("run", "cloudbuild", "artifactregistry", "secretmanager", "bigquery")
)


@dataclass(frozen=True)
class StoredSecret:
    """`version` is the newest one's number, `value` None if it may not be read; `readers` may read it."""

    version: int
    value: str | None
    readers: frozenset[str]


@dataclass(frozen=True)
class CloudState:
    """What a project has. All empty: a new project, or one that nobody may ask about."""

    apis: frozenset[str] = frozenset()
    policy: dict[str, Any] = field(default_factory=dict)
    """Who has which role in the project."""
    service: dict[str, Any] | None = None
    repository: bool = False
    secrets: dict[str, StoredSecret] = field(default_factory=dict)
    dataset: dict[str, Any] | None = None


@understood()
def look_at(project: CloudProject, service: str, secrets: tuple[str, ...], dataset: bool) -> CloudState:
    """Ask for everything at once. An API that is switched off has nothing. Raises MachineError."""
    place = ("--project", project.name, "--format", "json")
    listed, policy = together(
        lambda: ask("gcloud", "services", "list", "--enabled", *place),
        lambda: ask("gcloud", "projects", "get-iam-policy", project.name, "--format", "json"),
    )
    apis = frozenset(each["config"]["name"] for each in listed)
    bq = ("bq", "--headless", f"--project_id={project.name}", "--format=json")
    here = ("--region", project.region, *place)

    def found(api: str, *words: str) -> Callable[[], Any]:
        return lambda: look_up(*words) if api in apis else None

    def secret(name: str) -> Callable[[], Any]:
        return lambda: look_at_secret(project, name) if SECRETS in apis else None

    described, repository, votes, *kept = together(
        found(RUN, "gcloud", "run", "services", "describe", service, *here),
        found(
            REGISTRY,
            "gcloud",
            "artifacts",
            "repositories",
            "describe",
            REPOSITORY,
            "--location",
            project.region,
            *place,
        ),
        found(BIGQUERY if dataset else "", *bq, "show", f"{project.name}:{DATASET}"),
        *map(secret, secrets),
    )
    return CloudState(
        apis=apis,
        policy=policy,
        service=described,
        repository=repository is not None,
        secrets={name: each for name, each in zip(secrets, kept, strict=True) if each},
        dataset=votes,
    )


def roles_of(member: str, policy: dict[str, Any]) -> set[str]:
    """The roles that a member has without a condition."""
    bindings = (each for each in policy.get("bindings", []) if not each.get("condition"))
    return {each["role"] for each in bindings if member in each.get("members", [])}


def look_at_secret(project: CloudProject, name: str) -> StoredSecret | None:
    place = ("--project", project.name)
    versions = look_up("gcloud", "secrets", "versions", "list", name, *place, "--format", "json")
    if versions is None:
        return None
    policy = ask("gcloud", "secrets", "get-iam-policy", name, *place, "--format", "json")
    bindings = [each for each in policy.get("bindings", []) if each["role"] == SECRET_READER]
    readers = {member for each in bindings for member in each.get("members", [])}
    enabled = [
        int(each["name"].rpartition("/")[2]) for each in versions if each.get("state", "ENABLED").upper() == "ENABLED"
    ]
    newest = max((int(each["name"].rpartition("/")[2]) for each in versions), default=0)
    value = read_secret(project, name) if newest and newest in enabled else None
    return StoredSecret(newest, value, frozenset(readers))


def read_secret(project: CloudProject, name: str) -> str | None:
    """The newest value, None if it may not be read."""
    words = ("gcloud", "secrets", "versions", "access", "latest", "--secret", name, "--project", project.name)
    reply = reply_to(words)
    return reply.output if not reply.code else None
