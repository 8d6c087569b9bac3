"""`/play`: the game of telling models from people. A page for browsers, and for programs a text to guess and the guess.

The id that a player is given is not the text's own: that is a hash of the id and the player's name. So a guess counts only if it
comes from whom the text was shown to, in every container, and nobody learns the author of a text by guessing in another name.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.api.client_disconnect import while_connected
from app.api.msgspec_response import MsgspecResponse
from app.api.page import document_headers, origin, read_page
from app.api.state import State
from app.api.store_errors import storing
from app.api.telegram_user import voter_of
from app.api.validation import read_fields
from app.blind.guessing_game import GAME_OFF, GuessingGame
from app.errors import NotFound, UnknownText
from app.feedback.store import Id, Source, new_id

PAGE = "play.html"
LEAD = "Ten texts: guess who wrote each, a model or a person."
"""The line of play.html in whose place it is said why there is no game."""
ABOUT = '<p id="about" class="note">'
"""Where play.html has the model's own line about itself."""
SCRIPT = re.compile(r'<script type="module".*</script>\n| *<noscript>.*</noscript>\n')
Player = Annotated[
    str, Meta(min_length=1, max_length=64, description="a name for the player, the same for all of their guesses")
]


class PlayRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/play`."""

    voter: Player
    number: Annotated[
        Annotated[int, Meta(ge=0, le=1_000_000)] | None,
        Meta(
            description="how many texts the player was shown before, so that no human text comes twice until all have come;"
            " drawn at random if left out"
        ),
    ] = None


class TextToGuess(msgspec.Struct):
    """A text by a model or by a person. `question` is what it answers, or empty."""

    id: str
    question: str
    text: str


class GuessRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/play/guesses`."""

    id: Annotated[Id, Meta(description="the text's id, from `/play`")]
    voter: Player
    guess: Annotated[Source, Meta(description="who wrote the text: `model` or `human`")]


class GuessReply(msgspec.Struct):
    """The guess is stored. `written_by` is who wrote the text, `name` the model's name or that of the file of human texts."""

    id: str
    right: bool
    written_by: Source
    name: str


async def draw(request: Request[State]) -> Response:
    """Raises NotFound, InvalidRequest, Unavailable, GenerationError."""
    game = open_game_of(request)
    fields = await read_fields(request, PlayRequest, '{"voter": "c4Uu0bBq"}')
    voter = voter_of(request, fields.voter) or fields.voter
    ticket = new_id()
    async with storing(None):
        text = await while_connected(request, game.draw(id_for(ticket, voter), voter, fields.number, "web"))
    return MsgspecResponse(TextToGuess(ticket, text.question, text.text))


async def guess(request: Request[State]) -> Response:
    """Raises NotFound, InvalidRequest, Unavailable."""
    game = open_game_of(request)
    fields = await read_fields(request, GuessRequest, '{"id": "…", "voter": "c4Uu0bBq", "guess": "model"}')
    voter = voter_of(request, fields.voter) or fields.voter
    async with storing(), known_text():
        found = await game.judge(id_for(fields.id, voter), voter, fields.guess, "web")
    return MsgspecResponse(GuessReply(fields.id, found.right, found.source, found.generated_by))


async def play_page(request: Request[State]) -> Response:
    """The page of the game. Where there is none, it says in one sentence what to set."""
    profile = request.state["models"].get().profile
    html = (await asyncio.to_thread(read_page, PAGE)).addressed(origin(request)).titled(profile).html
    html = html.replace(ABOUT, f"{ABOUT}{escape(profile.about)}")
    status = 200
    if request.state["game"] is None:
        status, html = 404, SCRIPT.sub("", html.replace(f">{LEAD}<", f">{GAME_OFF[0].upper()}{GAME_OFF[1:]}<"))
    # Seen from /play/, everything else is one folder higher. The page's policy allows no <base>.
    path = request.scope["raw_path"]
    up = "../" * (len(path) - len(path.rstrip(b"/")))
    html = html.replace('="web/', f'="{up}web/').replace('href="./"', f'href="{up or "./"}"')
    return HTMLResponse(html, status, document_headers(request) | {"Cache-Control": "no-cache", "Vary": "Accept"})


def open_game_of(request: Request[State]) -> GuessingGame:
    """Raises NotFound."""
    game = request.state["game"]
    if game is None:
        raise NotFound(GAME_OFF, code="game_off")
    return game


def id_for(ticket: str, voter: str) -> str:
    """The id under which a text is stored whose player was given `ticket`."""
    digest = hashlib.blake2b(msgspec.json.encode([ticket, voter]), digest_size=16).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")


@asynccontextmanager
async def known_text() -> AsyncIterator[None]:
    """Raises NotFound in place of UnknownText."""
    try:
        yield
    except UnknownText:
        message = "no text with this id was shown to this voter: ask /play for one, and guess with the same voter."
        raise NotFound(message, param="id", code="unknown_text") from None
