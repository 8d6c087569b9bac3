"""report.html: what `evaluate` found out, for people. One file that asks for no other, in light and in dark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from html import escape
from io import StringIO
from itertools import starmap
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from finetune.evaluation.figures import Example, Figures, Passages, Report, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours that the page has its own for, one for light and one for dark; Matplotlib only knows fixed ones.
INK, FAINT, MODEL, HUMAN = "#010101", "#020202", "#030303", "#040404"
COLOURS = {INK: "currentColor", FAINT: "var(--faint)", MODEL: "var(--model)", HUMAN: "var(--human)"}
Row = tuple[str, str, Callable[[Passages], str]]
ROWS: tuple[Row, ...] = (
    ("texts", "", lambda of: f"{of.variety.texts:,}"),
    ("tokens a text", "cut at the length asked for", lambda of: f"{of.variety.mean_length:.1f}"),
    ("came to an end", "before that length", lambda of: percent(of.variety.ended)),
    ("repeated 2-grams", "there before in the same text", lambda of: percent(of.variety.repetition[2])),
    ("repeated 3-grams", "", lambda of: percent(of.variety.repetition[3])),
    ("repeated 4-grams", "also called seq-rep-4", lambda of: percent(of.variety.repetition[4])),
    ("caught in a loop", "something said three times in a row", lambda of: percent(of.variety.looping)),
    ("distinct-1", "different tokens among all, over as much text of each", lambda of: percent(of.variety.distinct[1])),
    ("distinct-2", "different 2-grams among all", lambda of: percent(of.variety.distinct[2])),
    ("distinct-3", "different 3-grams among all", lambda of: percent(of.variety.distinct[3])),
    ("longest copy", "tokens in a row that the training text has", lambda of: f"{of.copying.longest:,}"),
    ("longest copy of a text", "their mean", lambda of: f"{of.copying.mean_longest:.1f}"),
    ("whole copies", "texts that are a training document", lambda of: percent(of.copying.whole)),
)


def render(report: Report) -> str:
    page = Template(Path(__file__).with_name("report_page.html").read_text(encoding="utf-8"))
    style = Path(__file__).with_name("report_page.css").read_text(encoding="utf-8")
    step = f"step {report.step:,}" if report.step else report.save
    return page.substitute(
        style=style,
        title=escape(report.checkpoint),
        about=escape(f"{step} · {report.parameters / 1e6:.1f} million parameters · {report.made['at'][:10]}"),
        sentences=" ".join(map(escape, report.sentences())),
        prediction=prediction_rows(report),
        texts="".join(figure_row(row, report.texts) for row in ROWS),
        shares=share_rows(report),
        plots="".join(starmap(figure, plots(report))),
        examples="".join(map(quote_example, report.examples)) or "<p>No copy is as long as that.</p>",
        n=report.n,
        samples="".join(f'<pre class="text">{escape(text)}</pre>' for text in report.samples),
        settings=definitions(report.settings),
        made=definitions(report.made | {"corpus": report.corpus_sha256, "save": report.save}),
        documents=", ".join(
            f"{report.documents[split]:,} {split} documents ({report.tokens[split]:,} tokens)"
            for split in report.documents
        ),
    )


def prediction_rows(report: Report) -> str:
    splits = {"validation": report.validation, "training": report.train}
    return "".join(
        f"<tr><th>{name}<td>{of.perplexity:.2f}<td>{of.nats:.3f}<td>{of.bits_per_byte:.3f}<td>{of.tokens:,}"
        f"<td>{', '.join(f'{role} {nats:.2f}' for role, nats in of.by_role.items())}"
        for name, of in splits.items()
        if of is not None
    )


def figure_row(row: Row, figures: Figures) -> str:
    name, meaning, show = row
    human = show(figures.human) if figures.human else "–"
    return f"<tr><th>{name}<td>{show(figures.model)}<td>{human}<td>{meaning}"


def share_rows(report: Report) -> str:
    model, human = report.texts.model.copying.shares, report.texts.human
    theirs = human.copying.shares if human else {}
    return "".join(
        f"<tr><th>{n} tokens<td>{percent(share)}<td>{percent(theirs[n]) if n in theirs else '–'}"
        for n, share in model.items()
    )


def quote_example(example: Example) -> str:
    return (
        f"<h3>{example.tokens} tokens, {example.words} words</h3><div class=pair>"
        f"<div><h4>Written</h4>{marked(example.before, example.run, example.after)}</div>"
        f"<div><h4>Training document {example.document + 1:,}</h4>"
        f"{marked(example.source_before, example.run, example.source_after)}</div></div>"
    )


def marked(before: str, run: str, after: str) -> str:
    return f'<pre class="text">{escape(before)}<mark>{escape(run)}</mark>{escape(after)}</pre>'


def definitions(values: Mapping[str, object]) -> str:
    return "".join(f"<dt>{escape(name)}<dd>{escape(str(value)) or '–'}" for name, value in values.items())


def figure(caption: str, svg: str) -> str:
    return f"<figure>{svg}<figcaption>{caption}</figcaption></figure>"


def plots(report: Report) -> Iterable[tuple[str, str]]:
    """Captions and drawings."""
    yield (
        "How much of what is written stands word for word in the training text, by the length of the runs compared.",
        draw(lambda axes: draw_copying(axes, report.texts)),
    )
    yield "How much of a text says again what it said before.", draw(lambda axes: draw_repetition(axes, report.texts))
    if len(report.log) > 1:
        yield "The loss as training went on.", draw(lambda axes: draw_log(axes, report))
    elif report.train and report.validation:
        yield "Surprise at text trained on and at text not seen.", draw(lambda axes: draw_losses(axes, report))


def draw_copying(axes: Axes, figures: Figures) -> None:
    for name, of, colour in series(figures):
        shares = of.copying.shares
        axes.plot(list(shares), [100 * share for share in shares.values()], marker=".", color=colour, label=name)
    axes.set(xlabel="tokens in a row", ylabel="% found", ylim=(0, None))
    axes.legend(labelcolor=INK, frameon=False)


def draw_repetition(axes: Axes, figures: Figures) -> None:
    for number, (name, of, colour) in enumerate(series(figures)):
        rates = of.variety.repetition
        places = [place + 0.4 * number - 0.2 for place in range(len(rates))]
        axes.bar(places, [100 * rate for rate in rates.values()], 0.38, color=colour, label=name)
    axes.set_xticks(range(len(rates)), [f"{n}-grams" for n in rates])
    axes.set(ylabel="% repeated")
    axes.legend(labelcolor=INK, frameon=False)


def draw_log(axes: Axes, report: Report) -> None:
    axes.plot(
        [entry.step for entry in report.log], [entry.train for entry in report.log], color=MODEL, label="training"
    )
    measured = [entry for entry in report.log if entry.validation is not None]
    losses = [entry.validation or 0 for entry in measured]
    axes.plot([entry.step for entry in measured], losses, color=HUMAN, marker=".", label="validation")
    axes.set(xlabel="step", ylabel="nats per token")
    axes.legend(labelcolor=INK, frameon=False)


def draw_losses(axes: Axes, report: Report) -> None:
    splits = {"trained on": report.train, "not seen": report.validation}
    losses = {name: of.nats for name, of in splits.items() if of is not None}
    bars = axes.barh(list(losses), list(losses.values()), 0.5, color=[MODEL, HUMAN])
    axes.bar_label(bars, fmt="%.3f", padding=4, color=INK)
    axes.set(xlabel="nats per token", xlim=(0, 1.2 * max(losses.values())), ylim=(-0.7, 1.7))


def series(figures: Figures) -> Iterable[tuple[str, Passages, str]]:
    yield "model", figures.model, MODEL
    if figures.human:
        yield "human", figures.human, HUMAN


def draw(paint: Callable[[Axes], None]) -> str:
    """An SVG element in the page's own colours and letters."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "report",
            "text.color": INK,
            "text.parse_math": False,
            "axes.labelcolor": INK,
        }
    ):
        drawing = Figure(figsize=(5.4, 3.2), layout="constrained")
        axes = drawing.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(FAINT)
        axes.tick_params(color=FAINT, labelcolor=INK)
        paint(axes)
        output = StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        drawing.savefig(output, format="svg", transparent=True, metadata=nothing)
    return embed(output.getvalue())


def embed(svg: str) -> str:
    """Make a file's SVG a part of the page: no prolog, no addresses of namespaces, no size but its shape."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' xmlns(:xlink)?="[^"]+"', "", svg)
    svg = re.sub(
        r"(<svg)( [^>]*?)>", lambda tag: tag[1] + re.sub(r' (width|height)="[^"]+"', "", tag[2]) + ">", svg, count=1
    )
    svg = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font: \1px system-ui, sans-serif", svg)
    for fixed, own in COLOURS.items():
        svg = svg.replace(fixed, own)
    return svg
