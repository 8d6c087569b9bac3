"""`/docs` shows the description of the API and asks no other address for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from app.engine.fake import FakeEngine
from tests.conftest import ROOT, serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(doubt=0.3)) as address:
        yield address


def test_the_docs_name_no_other_address(url: str) -> None:
    page = httpx.get(f"{url}/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "//" not in page.text
    for name in re.findall(r'(?:href|src)="(.+?)"', page.text):
        assert httpx.get(f"{url}/{name}").status_code == 200
    for name in ("index.css", "..%2f__init__.py", "swagger-ui.js.map"):
        assert httpx.get(f"{url}/docs/{name}").status_code == 404


def test_a_part_of_a_file_may_be_asked_for_in_any_words(url: str) -> None:
    """Seen: plain text with 400 and 416 for ranges that are none or beyond the end. A range may be ignored, so all are."""
    whole = httpx.get(f"{url}/docs/swagger-ui.css").content
    for part in ("bytes=9999999999-", "bytes=\xff-", "lines=1-2", "bytes=0-1,5-6"):
        reply = httpx.get(f"{url}/docs/swagger-ui.css", headers={b"Range": part.encode("latin-1")})
        assert (reply.status_code, reply.content) == (200, whole)


def test_the_docs_are_not_imported_at_the_start() -> None:
    code = "import app.__main__, app.application, app.engine.onnx, app.server, sys; print(sorted(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"app.api.openapi", "flask_swagger_ui", "importlib.resources"} & set(
        re.findall(r"'(.+?)'", ended.stdout)
    )
