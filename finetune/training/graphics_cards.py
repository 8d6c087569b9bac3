"""Peak rates of common graphics cards, which model FLOP utilization is measured against."""

from __future__ import annotations

from typing import NamedTuple


class PeakRates(NamedTuple):
    """Dense matrix products in TFLOP/s, summed in float32. `float32` is TF32 where it exists, as JAX and TensorFlow use it."""

    float16: float
    bfloat16: float
    float32: float


def ampere(sixteen_bits: float, tf32: float) -> PeakRates:
    """A card from Ampere on: float16 and bfloat16 are equally fast."""
    return PeakRates(sixteen_bits, sixteen_bits, tf32)


def turing(float16: float, float32: float) -> PeakRates:
    """A card before Ampere: no TF32, and bfloat16 is computed in float32."""
    return PeakRates(float16, float32, float32)


# From NVIDIA's data sheets and, for GeForce, its whitepapers on GA102, AD102 and GB202. Where they give rates with sparsity,
# as from H100 on, half of them. The key is what the driver calls the card, without "NVIDIA", "Tesla" and "GeForce".
PEAK_RATES = {
    "GB200": ampere(2500, 1250),
    "B200": ampere(2250, 1125),
    "H200 NVL": ampere(835.5, 417.5),
    "H200": ampere(989.5, 494.5),
    "GH200": ampere(989.5, 494.5),
    "H100 NVL": ampere(835.5, 417.5),
    "H100 PCIe": ampere(756.5, 378),
    "H100": ampere(989.5, 494.5),
    "A100": ampere(312, 156),
    "A30": ampere(165, 82),
    "A40": ampere(149.7, 74.8),
    "A10G": ampere(70, 35),
    "A10": ampere(125, 62.5),
    "L40S": ampere(362, 183),
    "L40": ampere(181, 90.5),
    "L4": ampere(121, 60),
    "T4": turing(65, 8.1),
    "V100-SXM2": turing(125, 15.7),
    "V100-PCIE": turing(112, 14),
    "P100": turing(18.7, 9.3),
    "RTX 6000 Ada": ampere(364.2, 182.1),
    "RTX A6000": ampere(154.8, 77.4),
    "RTX A5000": ampere(111.1, 55.6),
    "RTX 5090": ampere(209.5, 104.8),
    "RTX 5080": ampere(112.6, 56.3),
    "RTX 4090": ampere(165.2, 82.6),
    "RTX 4080": ampere(97.5, 48.7),
    "RTX 4070": ampere(58.3, 29.1),
    "RTX 4060": ampere(30.2, 15.1),
    "RTX 3090": ampere(71, 35.6),
    "RTX 3080": ampere(59.5, 29.8),
    "RTX 3070": ampere(40.6, 20.3),
    "RTX 3060": ampere(25.4, 12.7),
    "RTX 2080 Ti": turing(53.8, 13.4),
}


def peak_rates(card: str) -> PeakRates | None:
    """The rates of a card by its full name, such as `NVIDIA A100-SXM4-80GB`; None if it is not known."""
    name = card.removeprefix("NVIDIA ").removeprefix("Tesla ").removeprefix("GeForce ")
    known = [key for key in PEAK_RATES if name == key or name.startswith((f"{key} ", f"{key}-"))]
    # A laptop's card and the Ti and Super editions share a name with slower or faster ones.
    if not known or any(edition in name.removeprefix(max(known, key=len)) for edition in ("Laptop", "Ti", "SUPER")):
        return None
    return PEAK_RATES[max(known, key=len)]
