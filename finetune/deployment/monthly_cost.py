"""What the service costs a month, by the platform's published prices and the speed that benchmarks measured."""

from __future__ import annotations

import math

# Cloud Run, billed by request, in regions of price tier 1; the free share is for a month. https://cloud.google.com/run/pricing
CPU_SECOND = 0.000024
GIB_SECOND = 0.0000025
REQUEST = 0.40e-6
FREE_CPU_SECONDS = 180_000
FREE_GIB_SECONDS = 360_000
FREE_REQUESTS = 2_000_000
# Regions of price tier 1. The others cost 1.4 times as much. https://cloud.google.com/run/docs/locations
TIER_1 = {
    "asia-east1", "asia-northeast1", "asia-northeast2", "asia-south1", "europe-north1", "europe-north2", "europe-southwest1",
    "europe-west1", "europe-west4", "europe-west8", "europe-west9", "me-west1", "northamerica-south1", "us-central1",
    "us-east1", "us-east4", "us-east5", "us-south1", "us-west1",
}  # fmt: skip
TIER_2_FACTOR = 1.4
# Artifact Registry. The image is 333 MB with the starter, as docs/performance.md has it.
STORED_GB = 0.10
FREE_GB = 0.5
IMAGE_GB = 0.326
DAYS = 365 / 12
TOKENS = 100
"""New tokens of a request, in all figures."""
# A 124M bundle of 8 bits on one processor of Cloud Run.
RATE_124M = 150
BYTES_124M = 124_000_000


def tokens_per_second(weight_bytes: int) -> float:
    """Larger models are slower by their size, and small ones gain less than that, as benchmarks/results/image*.json have it."""
    ratio = BYTES_124M / max(weight_bytes, 1)
    return RATE_124M * min(ratio, math.pow(ratio, 0.7))


def billed_seconds(weight_bytes: int) -> float:
    """Of one request. Every begun tenth of a second counts."""
    return math.ceil(10 * TOKENS / tokens_per_second(weight_bytes)) / 10


def dollars_a_month(requests_a_day: float, weight_bytes: int, gib: float, region: str = "us-central1") -> float:
    requests = requests_a_day * DAYS
    seconds = requests * billed_seconds(weight_bytes)
    factor = 1 if region in TIER_1 else TIER_2_FACTOR
    # The free share is a discount at the prices of tier 1.
    cpu = max(0.0, factor * seconds - FREE_CPU_SECONDS) * CPU_SECOND
    memory = max(0.0, factor * seconds * gib - FREE_GIB_SECONDS) * GIB_SECOND
    return cpu + memory + max(0.0, requests - FREE_REQUESTS) * REQUEST


def free_requests_a_day(weight_bytes: int, gib: float, region: str = "us-central1") -> float:
    """So many requests a day cost nothing."""
    factor = 1 if region in TIER_1 else TIER_2_FACTOR
    seconds = min(FREE_CPU_SECONDS, FREE_GIB_SECONDS / gib) / factor
    return min(seconds / billed_seconds(weight_bytes), FREE_REQUESTS) / DAYS


def most_dollars_a_day(gib: float, containers: int, region: str = "us-central1") -> float:
    """What containers that never rest cost."""
    factor = 1 if region in TIER_1 else TIER_2_FACTOR
    return factor * containers * 86400 * (CPU_SECOND + gib * GIB_SECOND)


def storage_dollars(weight_bytes: int) -> float:
    """A month of the image. Each deployment adds one, until somebody deletes the older ones."""
    return max(0.0, IMAGE_GB + weight_bytes / 1e9 - FREE_GB) * STORED_GB
