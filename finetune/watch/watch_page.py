"""The page as one HTML file that needs no other: served live, or left in the run's folder."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from finetune.html_report import render_report
from finetune.watch.run_view import RunView

HERE = Path(__file__).parent / "page"
SCRIPTS = ("dom.js", "chart.js", "samples.js", "talk.js", "page.js")
"""They make one script, in this order."""
STYLES = (HERE.parents[1] / "report_layout/paper.css", HERE / "watch.css")


class PageParts(NamedTuple):
    script: str
    style: str


@cache
def page_parts() -> PageParts:
    script = "\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return PageParts(f"\n{script}", "\n" + "".join(path.read_text(encoding="utf-8") for path in STYLES))


def content_policy(sources: str) -> str:
    """A Content-Security-Policy: our script and style, known by their hashes, and nothing else. No text can become markup."""
    script, style = (base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in page_parts())
    return (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src {sources}; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def render_watch_page(views: Sequence[RunView], live: bool) -> str:
    """`live`: whether a server is behind the page, which it asks for news and for texts."""
    script, style = page_parts()
    return render_report(
        "watch/page/page.html.jinja",
        title=", ".join(view.title for view in views),
        policy=content_policy("'self'" if live else "'none'"),
        script=script,
        style=style,
        # Through JSON, in which a number that is none is null.
        state=msgspec.json.decode(msgspec.json.encode({"live": live, "runs": views})),
    )
