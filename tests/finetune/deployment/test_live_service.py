"""The first request to a service that has just been deployed, against real servers on loopback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.errors import MachineError
from finetune.deployment import live_service
from finetune.deployment.live_service import FirstAnswer, first_answer, qr_code
from tests.fakes.loopback import on_loopback

TEXT = '{"text": "Why not?", "model": "jokes"}'


@contextlib.contextmanager
def answering(*answers: tuple[int, str]) -> Iterator[str]:
    """A server that gives one answer after the other, and then the last one for ever."""
    left = list(answers)

    def answer(request: Request) -> Response:
        status, body = left.pop(0) if len(left) > 1 else left[0]
        return PlainTextResponse(body, status)

    with on_loopback(Starlette(routes=[Route("/", answer)])) as address:
        yield address


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_service, "PAUSE", 0.01)
    monkeypatch.setattr(live_service, "PATIENCE", 1.0)


def test_it_waits_until_google_knows_the_address() -> None:
    with answering((404, "The requested URL was not found"), (503, "starting"), (200, "<html>"), (200, TEXT)) as url:
        assert first_answer(url, "gpt-2", "us-central1") == FirstAnswer("jokes", "Why not?")


def test_a_service_with_keys_is_there() -> None:
    with answering((401, '{"error": {}}')) as url:
        assert first_answer(url, "gpt-2", "us-central1") == FirstAnswer("", None)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (403, "Forbidden", "run `gcloud run services update gpt-2 --region us-central1 --no-invoker-iam-check`"),
        (400, "{}", "does not work yet (it answers with status 400)"),
        (200, "[1]", "does not work yet (what it answers is no text)"),
    ],
)
def test_what_will_not_get_better(monkeypatch: pytest.MonkeyPatch, status: int, body: str, said: str) -> None:
    monkeypatch.setattr(live_service, "PATIENCE", 0.05)
    with answering((status, body)) as url, pytest.raises(MachineError) as refused:
        first_answer(url, "gpt-2", "us-central1")
    assert said in str(refused.value)


def test_a_narrow_terminal_gets_no_code_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert not qr_code("https://gpt-2-123456789.us-central1.run.app")
    monkeypatch.setenv("COLUMNS", "80")
    assert qr_code("https://gpt-2-123456789.us-central1.run.app").count("\n") > 10
