"""The service's settings, as gcloud's flags: what service.yaml says, and as much memory as the bundle needs."""

from __future__ import annotations

from typing import Any

from app.engine.bundle import BATCH, Bundle
from app.engine.memory import BASE, SCRATCH, TOKEN_BYTES
from app.errors import MachineError

# The reason for each is in service.yaml.
NEW_SERVICE = (
    "--no-invoker-iam-check", "--execution-environment", "gen1", "--cpu", "1", "--cpu-boost", "--cpu-throttling",
    "--min-instances", "0", "--max-instances", "3", "--concurrency", "1", "--timeout", "300", "--port", "8080",
    "--startup-probe", "tcpSocket.port=8080,timeoutSeconds=240,periodSeconds=240,failureThreshold=1",
    "--liveness-probe", "httpGet.path=/health,httpGet.port=8080,timeoutSeconds=10,periodSeconds=60,failureThreshold=3",
)  # fmt: skip
MAX_CONTAINERS = 3
MEMORY_SIZES = {"512Mi": 512, "1Gi": 1024, "2Gi": 2048, "4Gi": 4096}
"""In MiB. One processor may have no more than 4 GiB."""
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 10**3, "M": 10**6, "G": 10**9}


def memory_for(bundle: Bundle) -> str:
    """The smallest size in which the app would start, with a fifth to spare. Raises MachineError."""
    shape = bundle.manifest.hparams
    cache = shape.n_ctx * 8 * shape.n_layer * shape.n_embd
    # Which graph is loaded depends on the processor. That for batches has a cache of a byte beside one of four.
    model = max(bundle.weight_bytes + cache, bundle.size_of(BATCH) + cache + cache // 4 if bundle.has_batch else 0)
    needed = 1.2 * (BASE + TOKEN_BYTES * shape.n_vocab + model + SCRATCH)
    for name, mebibytes in MEMORY_SIZES.items():
        if needed <= mebibytes * 2**20:
            return name
    raise MachineError(
        f"{bundle.folder} needs {needed / 2**30:.1f} GiB of memory and one processor of Cloud Run may have 4: "
        "export the model with --bits 8 or --bits 4."
    )


def gibibytes(size: str) -> float:
    """`512Mi` is 0.5. What cannot be read counts as nothing."""
    number = size.rstrip("KMGikmg")
    try:
        return float(number) * UNITS.get(size[len(number) :], 1) / 2**30
    except ValueError:
        return 0.0


def container_of(service: dict[str, Any]) -> dict[str, Any]:
    return dict(service.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [{}])[0])


def variables_of(service: dict[str, Any]) -> dict[str, str]:
    """The service's environment; a secret as NAME:VERSION."""
    found = {}
    for entry in container_of(service).get("env", []):
        secret = entry.get("valueFrom", {}).get("secretKeyRef")
        found[entry["name"]] = f"{secret['name']}:{secret['key']}" if secret else entry.get("value", "")
    return found


def memory_of(service: dict[str, Any]) -> str:
    return str(container_of(service).get("resources", {}).get("limits", {}).get("memory", ""))


def is_ready(service: dict[str, Any]) -> bool:
    conditions = service.get("status", {}).get("conditions", [])
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def url_of(service: dict[str, Any]) -> str:
    return str(service.get("status", {}).get("url", ""))


def source_of(service: dict[str, Any]) -> str:
    """The digest of the sources from which it was built, or nothing if `deploy` has not built it."""
    return str(service.get("metadata", {}).get("labels", {}).get(SOURCE_LABEL, ""))


SOURCE_LABEL = "gpt2-source"
