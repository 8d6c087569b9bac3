"""Takes back what `deploy` made: the service, its image, its sources, the bot's secrets, and the votes if that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finetune.deployment.cloud_project import CloudProject
from finetune.deployment.cloud_state import DATASET, REGISTRY, REPOSITORY, CloudState
from finetune.deployment.gcloud import Step, look_up, together


def image_of(project: CloudProject, service: str) -> str:
    """Where `gcloud run deploy --source` puts the image."""
    return f"{project.region}-docker.pkg.dev/{project.name}/{REPOSITORY}/{service}"


def sources_of(project: CloudProject, service: str) -> str:
    """Where it puts the sources that it builds from."""
    safe = project.name.replace(":", "_").replace(".", "_").replace("google", "elgoog")
    return f"gs://run-sources-{safe}-{project.region}/services/{service}"


def built_things(project: CloudProject, service: str, state: CloudState) -> tuple[bool, bool]:
    """Whether there are an image and sources of the service."""
    place = ("--project", project.name)

    def images() -> Any:
        words = ("artifacts", "docker", "images", "list", image_of(project, service), "--limit", "1", *place)
        return look_up("gcloud", *words, "--format", "json") if REGISTRY in state.apis and state.repository else None

    def sources() -> Any:
        return look_up("gcloud", "storage", "ls", "--json", sources_of(project, service), *place)

    found_images, found_sources = together(images, sources)
    return bool(found_images), bool(found_sources)


def removal_plan(
    service: str, state: CloudState, project: CloudProject, built: tuple[bool, bool], votes: bool
) -> Iterator[Step]:
    place = ("--project", project.name, "--quiet")
    if state.service is not None:
        words = ("gcloud", "run", "services", "delete", service, "--region", project.region, *place)
        yield Step(f"delete the service {service}", words, minutes=True)
    if built[0]:
        words = (
            "gcloud",
            "artifacts",
            "docker",
            "images",
            "delete",
            image_of(project, service),
            "--delete-tags",
            *place,
        )
        yield Step(f"delete its images in {REPOSITORY}", words)
    if built[1]:
        yield Step(
            "delete its sources", ("gcloud", "storage", "rm", "--recursive", sources_of(project, service), *place)
        )
    for name in state.secrets:
        yield Step(f"delete the secret {name}", ("gcloud", "secrets", "delete", name, *place))
    if votes and state.dataset is not None:
        bq = ("bq", "--headless", f"--project_id={project.name}")
        yield Step(
            f"delete the dataset {DATASET} and all votes in it",
            (*bq, "rm", "-r", "-f", "--dataset", f"{project.name}:{DATASET}"),
        )
