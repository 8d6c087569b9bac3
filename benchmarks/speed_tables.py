"""The tables of docs/performance.md that are made from results/speed.json, load.json and startup.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.speed_figures import median, ratio, share
from benchmarks.subject import RESULTS
from docs.markdown import table

NONE = "–"
ROWS = (1, 2, 4, 8, 16)
DEPTHS = (128, 900)
PROMPTS = (16, 128, 512, 1000)
OURS = ("8 bits", "8 bits, 16 rows", "4 bits", "32 bits")
COMPARED = {
    "CTranslate2": "CTranslate2 int8",
    "llama.cpp Q8_0": "llama.cpp Q8_0",
    "OpenVINO": "OpenVINO int8",
    "transformers": "transformers",
    "gpt-2-simple": "gpt-2-simple",
}
WRITE = [f"write-{depth}x{rows}" for depth in DEPTHS for rows in ROWS]
READ = [f"read-{length}" for length in PROMPTS]


def result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def figures(name: str) -> str:
    """One of the tables."""
    return TABLES[name]()


def bandwidth(speed: dict[str, Any]) -> float:
    return median([each["gb_per_s"] for each in speed["rounds"]]) or 0.0


def machine() -> str:
    """Where and how often it was measured, in a sentence."""
    speed = result("speed")
    about, loads = speed["machine"], [load for each in speed["rounds"] for load in each["load"]]
    return (
        f"{about['cpu']} ({', '.join(about['instructions'])}), {about['cores']} cores, one of them pinned, on {about['date']}; "
        f"medians of {len(speed['rounds'])} rounds. One core reads {bandwidth(speed):.1f} GB/s. "
        f"The machine's load was {min(loads):.1f} to {max(loads):.1f}."
    )


def bold(name: str) -> str:
    return f"**{name}**" if name in OURS else name


def shown(value: float | None, form: str = ".0f") -> str:
    return NONE if value is None else f"{value:{form}}"


def writing(depth: int) -> str:
    """Tokens a second by rows, each with its share of what the memory's bandwidth allows."""
    speed = result("speed")
    lines = []
    for name, program in speed["programs"].items():
        cases = [f"write-{depth}x{rows}" for rows in ROWS]
        if any(median(program["cases"].get(case, [])) for case in cases):
            lines.append((bold(name), *(cell(program, case, bandwidth(speed)) for case in cases)))
    return table((f"tokens/s at {depth}", *(f"{rows} row{'s' * (rows > 1)}" for rows in ROWS)), lines)


def cell(program: dict[str, Any], case: str, gb_per_s: float) -> str:
    rate = median(program["cases"].get(case, []))
    part = share(program, case, gb_per_s)
    return NONE if rate is None or part is None else f"{rate:.0f} ({100 * part:.0f} %)"


def reading() -> str:
    programs = result("speed")["programs"]
    lines = [
        (bold(name), *(shown(median(program["cases"].get(case, []))) for case in READ))
        for name, program in programs.items()
        if any(median(program["cases"].get(case, [])) for case in READ)
    ]
    return table(("prompt tokens/s", *(f"{length} tokens" for length in PROMPTS)), lines)


def ratios() -> str:
    """Ours against the version before, and as the app has it with that many rows against each peer."""
    speed = result("speed")
    programs = speed["programs"]

    def against(ours: str, theirs: str, case: str) -> str:
        measured = [programs.get(name, {"cases": {}})["cases"].get(case, []) for name in (ours, theirs)]
        return shown(ratio(*measured), ".2f")

    peers = {label: name for label, name in COMPARED.items() if name in programs}
    lines = [
        (
            f"`{case}`",
            against("8 bits", "8 bits before", case),
            against("8 bits, 16 rows", "8 bits before", case),
            against("4 bits", "4 bits before", case),
            speed["served"][case],
            *(against(speed["served"][case], name, case) for name in peers.values()),
        )
        for case in WRITE + READ
    ]
    ahead = ("8 bits / before", "8 bits, 16 rows / before", "4 bits / before", "served as")
    return table(("case", *ahead, *(f"that / {label}" for label in peers)), lines)


def memory() -> str:
    """Peak memory of a process that has written one text around token 128, and its files."""
    programs = result("speed")["programs"]
    lines = [
        (bold(name), f"{shown(program['peak_mb'])} MB", f"{program['files_mb']:.0f} MB")
        for name, program in programs.items()
    ]
    return table(("program", "peak memory", "files"), lines)


def load() -> str:
    servers = result("load")["servers"]
    lines = []
    for clients in next(iter(servers.values())):
        for name, windows in servers.items():
            measured = [window for window in windows[clients] if "failed" not in window]
            lines.append((clients, name, *(load_cell(measured, *path) for path in LOAD_COLUMNS.values())))
    return table(("clients", "app", *LOAD_COLUMNS), lines)


LOAD_COLUMNS: dict[str, Sequence[str]] = {
    "tokens/s": ("tokens_per_processor_s",),
    "by the clock": ("tokens_per_s",),
    "$ a million": ("dollars_per_million",),
    "first token, ms: median": ("first_ms", "p50"),
    "p99": ("first_ms", "p99"),
    "gap, ms: median": ("gap_ms", "p50"),
    "p99 ": ("gap_ms", "p99"),
}


def load_cell(windows: Sequence[dict[str, Any]], key: str, part: str = "") -> str:
    """The median of the rounds."""
    values = [window[key][part] if part and window[key] else window[key] for window in windows]
    return shown(median(values), ".2f" if key == "dollars_per_million" else ".0f")


def startup() -> str:
    hidden = ("benchmark", "machine", "load", "files, MB")
    rows = [(name, between(value)) for name, value in result("startup").items() if name not in hidden]
    files = result("startup")["files, MB"]
    return table(
        ("a 124M bundle of 8 bits, one core", ""), [*rows, ("files, MB: now, before", between([*files.values()]))]
    )


def between(value: Any) -> str:
    return " – ".join(map(str, value)) if isinstance(value, list) else str(value)


TABLES: dict[str, Callable[[], str]] = {
    "machine": machine,
    "writing-128": lambda: writing(128),
    "writing-900": lambda: writing(900),
    "reading": reading,
    "ratios": ratios,
    "memory": memory,
    "load": load,
    "startup": startup,
}
