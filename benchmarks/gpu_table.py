"""What the cases on a GPU say: the table, the claims with what they should reach, and the line of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.gpu_case import Case, Figures

COLUMNS = (
    "program",
    "model",
    "precision",
    "rows",
    "batch",
    "tokens/s",
    "TFLOP/s",
    "of product",
    "peak GB",
    "first step, s",
)


@dataclass(frozen=True)
class Result:
    """A case with its figures, or with {"failed": why}."""

    case: Case
    figures: Figures

    def share(self, product: float | None) -> float | None:
        """The share of a large product's rate."""
        tflops = self.figures.get("tflops")
        return tflops / product if tflops and product else None

    def summary(self) -> str:
        """What to say as soon as it is there."""
        if "failed" in self.figures:
            return str(self.figures["failed"])
        speed = self.figures.get("tokens_per_s")
        return f"{self.figures['tflops']:.1f} TFLOP/s" + (f", {speed:,.0f} tokens/s" if speed else "")


@dataclass(frozen=True)
class Claim:
    """A figure, and what it should be: at least `aim`, or at most."""

    name: str
    measured: float
    aim: float
    at_most: bool = False

    @property
    def holds(self) -> bool:
        return self.measured <= self.aim if self.at_most else self.measured >= self.aim


def product_rate(results: Sequence[Result]) -> float | None:
    """TFLOP/s of a large product: the larger of what the libraries reach. None where no library was measured."""
    found = [each.figures["tflops"] for each in results if each.case.rows == "product" and "tflops" in each.figures]
    return max(found, default=None)


def measured(results: Sequence[Result], figure: str, **which: Any) -> dict[int, float]:
    """A figure by batch size, of the cases that have it and these properties."""
    return {
        each.case.batch: each.figures[figure]
        for each in results
        if each.figures.get(figure) is not None
        and all(getattr(each.case, name) == value for name, value in which.items())
    }


def claims(results: Sequence[Result]) -> Iterator[Claim]:
    """The claims whose cases were measured. Of several ratios at equal batch, the worst one counts."""
    bf16: dict[str, Any] = {"precision": "bfloat16", "rows": "full", "model": "124M"}
    ours = measured(results, "tokens_per_s", program="ours", **bf16)
    theirs = measured(results, "tokens_per_s", program="transformers", **bf16)
    if ours and theirs:
        yield Claim(
            "124M, ours / transformers, each at its best batch", max(ours.values()) / max(theirs.values()), 1.15
        )
    product = product_rate(results)
    for model, aim in (("124M", 0.45), ("355M", 0.5)):
        found = measured(results, "tflops", program="ours", **bf16 | {"model": model})
        if product and found:
            yield Claim(f"{model}, share of the product's rate at the best batch", max(found.values()) / product, aim)
    packed = measured(results, "tokens_per_s", program="ours", **bf16 | {"rows": "packed"})
    if both := packed.keys() & ours.keys():
        yield Claim("124M, packed documents / full rows, equal batch", min(packed[b] / ours[b] for b in both), 0.85)
    if len(ours) > 1 and 8 in ours:
        yield Claim("124M, batch 8 / best batch", ours[8] / max(ours.values()), 0.75)
    if memory := list(memory_ratios(results)):
        yield Claim("peak memory, ours / transformers, equal batch", max(memory), 1.0, at_most=True)
    first = [each.figures["first_step_s"] for each in results if is_measured(each, "ours")]
    if first:
        yield Claim("ours, slowest first step, seconds", max(first), 20.0, at_most=True)


def is_measured(result: Result, program: str) -> bool:
    return result.case.program == program and "failed" not in result.figures


def memory_ratios(results: Sequence[Result]) -> Iterator[float]:
    """Our peak memory over the peer's, for each model, precision and batch that both trained with full rows."""
    for model, precision in {(each.case.model, each.case.precision) for each in results}:
        which = {"model": model, "precision": precision, "rows": "full"}
        ours = measured(results, "peak_gb", program="ours", **which)
        theirs = measured(results, "peak_gb", program="transformers", **which)
        yield from (ours[batch] / theirs[batch] for batch in ours.keys() & theirs.keys())


def cells(result: Result, product: float | None) -> list[str]:
    """A row of the table."""
    case, figures = result.case, result.figures
    name = [case.program, case.model or "–", case.precision, case.rows, str(case.batch or "–")]
    if "failed" in figures:
        return [*name, figures["failed"], *[""] * (len(COLUMNS) - len(name) - 1)]

    def cell(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    return [
        *name,
        cell(figures.get("tokens_per_s"), ",.0f"),
        cell(figures["tflops"], ",.1f"),
        cell(result.share(product), ".0%"),
        cell(figures.get("peak_gb"), ".1f"),
        cell(figures.get("first_step_s"), ".1f"),
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables(results: Sequence[Result]) -> str:
    """All cases, and below them the claims."""
    product = product_rate(results)
    stated = [
        (
            claim.name,
            f"{claim.measured:.2f}",
            f"{'≤' if claim.at_most else '≥'} {claim.aim:g}",
            "yes" if claim.holds else "NO",
        )
        for claim in claims(results)
    ]
    parts = [table(COLUMNS, [cells(each, product) for each in results])]
    return "\n\n".join([*parts, table(("claim", "measured", "aim", "holds"), stated)] if stated else parts)


def line(results: Sequence[Result], machine: dict[str, Any]) -> str:
    """One line of JSON with everything."""
    product = product_rate(results)
    cases = [asdict(each.case) | rounded(each.figures | {"share": each.share(product)}) for each in results]
    stated = [
        {"claim": each.name, "measured": each.measured, "aim": each.aim, "holds": each.holds}
        for each in claims(results)
    ]
    found = {"product_tflops": product, "cases": cases, "claims": [rounded(each) for each in stated]}
    return json.dumps({"benchmark": "gpu", "machine": machine} | rounded(found), ensure_ascii=False)


def rounded(figures: Figures) -> Figures:
    """Four digits say what a measurement can."""
    return {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in figures.items()}
