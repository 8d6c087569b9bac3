"""Where to deploy: the Google Cloud project, its region, and the accounts that act there."""

from __future__ import annotations

import os
from dataclasses import dataclass

from app.errors import MachineError, SettingError
from finetune.deployment.gcloud import ask, together, understood
from finetune.deployment.gcloud_errors import BILLING, LOGIN

DEFAULT_REGION = "us-central1"


@dataclass(frozen=True)
class CloudProject:
    """Where to deploy. `account` is the service account that Cloud Run and Cloud Build use unless told otherwise."""

    name: str
    region: str
    account: str
    person: str = ""

    @property
    def member(self) -> str:
        return f"serviceAccount:{self.account}"


@understood()
def find_project(project: str | None, region: str | None, service: str) -> CloudProject:
    """The project that is named, else gcloud's own; the region that is named, else the service's, else gcloud's own.

    Raises FatalError for what stands in the way.
    """
    settings = ask("gcloud", "config", "list", "--format", "json")
    core = settings.get("core", {})
    name = project or core.get("project") or os.environ.get("GOOGLE_CLOUD_PROJECT") or only_project()
    described, billing, regions = together(
        lambda: ask("gcloud", "projects", "describe", name, "--format", "json"),
        lambda: billing_of(name),
        lambda: [region] if region else regions_of(service, name),
    )
    if described.get("lifecycleState", "ACTIVE") != "ACTIVE":
        raise SettingError(f"the project {name} is being deleted: name another with --project.")
    if billing is False:
        raise MachineError(BILLING.format(project=name))
    account = f"{described['projectNumber']}-compute@developer.gserviceaccount.com"
    if len(regions) > 1:
        raise SettingError(f"the service {service} is in {' and '.join(regions)}: name one with --region.")
    where = [*regions, settings.get("run", {}).get("region"), DEFAULT_REGION]
    return CloudProject(described.get("projectId", name), next(filter(None, where)), account, core.get("account", ""))


def regions_of(service: str, project: str) -> list[str]:
    """Where a service of this name runs already. None if that may not be asked, such as before the API is on."""
    words = (
        "run",
        "services",
        "list",
        "--filter",
        f"metadata.name={service}",
        "--project",
        project,
        "--format",
        "json",
    )
    try:
        listed = ask("gcloud", *words)
    except MachineError:
        return []
    return sorted(each["metadata"]["labels"]["cloud.googleapis.com/location"] for each in listed)


def only_project() -> str:
    """The account's project if it has just one. Raises SettingError."""
    names = [each["projectId"] for each in ask("gcloud", "projects", "list", "--format", "json")]
    if len(names) == 1:
        return str(names[0])
    if not names:
        raise SettingError(
            "there is no project to deploy to: make one with `gcloud projects create NAME`, "
            "or at https://console.cloud.google.com/projectcreate, and name it with --project."
        )
    shown = ", ".join(sorted(names)[:8]) + (", …" if len(names) > 8 else "")
    raise SettingError(f"which project? Name one with --project, or run `gcloud config set project NAME`: {shown}.")


def billing_of(project: str) -> bool | None:
    """Whether a billing account is linked, None if that may not be asked."""
    try:
        said = ask("gcloud", "billing", "projects", "describe", project, "--format", "json")
    except MachineError as error:
        if str(error) == LOGIN:
            raise
        return None
    return bool(said.get("billingEnabled", False))
