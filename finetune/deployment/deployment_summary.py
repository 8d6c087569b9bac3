"""What a person reads before agreeing: what will be made, where, and what it costs a month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from app.engine.default_bundle import PACKAGED
from finetune.deployment.cloud_project import CloudProject
from finetune.deployment.cloud_state import DATASET, CloudState
from finetune.deployment.deployment_plan import Deployment
from finetune.deployment.gcloud import Step
from finetune.deployment.monthly_cost import (
    TIER_1,
    TOKENS,
    dollars_a_month,
    free_requests_a_day,
    most_dollars_a_day,
    storage_dollars,
)
from finetune.deployment.service_settings import (
    MAX_CONTAINERS,
    container_of,
    gibibytes,
    memory_for,
    memory_of,
    source_of,
    url_of,
)

BUSY = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
"""Requests a day. The first that is well above the free share is shown with its price."""


def summary(wanted: Deployment, state: CloudState, project: CloudProject, steps: Sequence[Step]) -> Iterator[str]:
    manifest = wanted.bundle.manifest
    there = f"there since {state.service['metadata'].get('creationTimestamp', '')[:10]}" if state.service else "new"
    yield f"model    {manifest.name} ({wanted.bundle.folder}), {manifest.bits} bits"
    if wanted.bundle.folder == PACKAGED:
        yield "         there is no bundle in models/: this is the packaged starter. `gpt2 new FILE` makes a model of your text"
    yield f"sends    {megabytes(wanted.sources.n_bytes)}: the app and this bundle"
    yield f"project  {project.name}" + (f", as {project.person}" if project.person else "")
    yield f"service  {wanted.service} in {project.region}, {there}; {memory_used(wanted, state)} of memory, anybody may call it"
    if state.service and not source_of(state.service):
        yield f"         `gpt2 deploy` has not made this service: it serves {image_name(state.service)} today, and that ends"
    yield ""
    yield from (f"{number:>2}. {step.does}" for number, step in enumerate(steps, 1))
    yield ""
    yield from cost_lines(wanted, state, project)


def memory_used(wanted: Deployment, state: CloudState) -> str:
    """The service's memory, which is never made smaller."""
    sizes = [memory_for(wanted.bundle), *([memory_of(state.service)] if state.service else [])]
    return max(sizes, key=gibibytes)


def costs(wanted: Deployment, state: CloudState, project: CloudProject) -> dict[str, Any]:
    """In dollars, for requests of 100 tokens."""
    size, gib, where = wanted.bundle.weight_bytes, gibibytes(memory_used(wanted, state)), project.region
    free = free_requests_a_day(size, gib, where)
    busy = next(number for number in BUSY if number > 2 * free or number == BUSY[-1])
    return {
        "free_requests_a_day": round_down(int(free)),
        "busy_requests_a_day": busy,
        "busy_month": round(dollars_a_month(busy, size, gib, where), 2),
        "most_a_day": round(most_dollars_a_day(gib, max_containers(state.service), where), 2),
        "image_month": round(storage_dollars(wanted.bundle.size_of(wanted.bundle.files)), 2),
    }


def cost_lines(wanted: Deployment, state: CloudState, project: CloudProject) -> Iterator[str]:
    cost = costs(wanted, state, project)
    yield (
        f"cost     $0 a month up to about {cost['free_requests_a_day']:,} requests a day of {TOKENS} tokens, "
        f"${cost['busy_month']:.2f} at {cost['busy_requests_a_day']:,}; nothing while nobody calls"
    )
    most = max_containers(state.service)
    yield f"         at most ${cost['most_a_day']:.2f} a day, if {most} container{'s' if most > 1 else ''} never rest"
    kept = [*(["two secrets"] if wanted.token else []), *(["votes"] if wanted.votes else []), "and the builds"]
    if cost["image_month"]:
        yield f"         ${cost['image_month']:.2f} a month for storing the image; Google's free shares hold {', '.join(kept)}"
    else:
        yield f"         Google's free shares hold the image, {', '.join(kept)}"
    if project.region not in TIER_1:
        yield f"         {project.region} is 40 % dearer than us-central1; that is counted"


def max_containers(service: dict[str, Any] | None) -> int:
    """As the owner has set it, else what a new service gets."""
    annotations = (service or {}).get("spec", {}).get("template", {}).get("metadata", {}).get("annotations", {})
    return int(annotations.get("autoscaling.knative.dev/maxScale", MAX_CONTAINERS))


def round_down(number: int) -> int:
    """To two digits: 8,450 is 8,400."""
    step = int(10 ** max(0, len(str(number)) - 2))
    return number // step * step


def image_name(service: dict[str, Any]) -> str:
    return str(container_of(service).get("image", "something else"))


def megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"


def removal_summary(
    service: str, state: CloudState, project: CloudProject, steps: Sequence[Step], votes: bool
) -> Iterator[str]:
    url = f" ({url_of(state.service)})" if state.service else ""
    yield f"service  {service}{url} in {project.region}, project {project.name}"
    yield ""
    yield from (f"{number:>2}. {step.does}" for number, step in enumerate(steps, 1))
    if not votes:
        yield f"    kept: votes in the dataset {DATASET}, if there are any (--delete-votes deletes them), APIs and roles"
