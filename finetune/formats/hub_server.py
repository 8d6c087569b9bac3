"""The Hugging Face Hub as a server: its address, what it knows of a model, and a file of it, resumed where it broke off.

HF_ENDPOINT names another address, HF_TOKEN a token for private and gated models; `hf auth login` leaves one in a file. The Hub's
own library starts an interrupted file from its beginning and brings a second HTTP client; this needs only requests.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlsplit

import msgspec

from app.errors import CheckpointError
from finetune.network_errors import network_problem
from finetune.progress_bar import progress_bar

if TYPE_CHECKING:
    import requests

ENDPOINT = "https://huggingface.co"
ATTEMPTS = 4
TIMEOUT = 30.0
CHUNK = 2**20
MAX_DESCRIPTION = 2**25
"""Bytes of what the Hub says of a model: a few hundred for each of its files."""
MAX_REDIRECTS = 5
SLOWEST, SLOW_SECONDS = 1000, 60.0
"""Bytes a second; who sends fewer for so long has hung."""
NOTHING_BEHIND = 416
"""The status of a range that begins at or after the end of the file."""
RESUMES = "what arrived is kept, and the same command goes on from there"


class LargeFile(msgspec.Struct, frozen=True):
    """What the Hub says of a file in its store for large files."""

    sha256: str
    size: int


class HubFile(msgspec.Struct, frozen=True):
    """A file of a model. Mirrors may leave out its size and its checksums."""

    rfilename: str
    size: int | None = None
    blobId: str | None = None  # noqa: N815  The Hub's name for git's SHA-1 of it.
    lfs: LargeFile | None = None

    @property
    def length(self) -> int | None:
        return self.lfs.size if self.lfs else self.size


class HubModel(msgspec.Struct, frozen=True):
    """A model as the Hub describes it: its name, the commit that a revision means, and its files."""

    id: str
    sha: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{40}$")]
    siblings: list[HubFile]

    @property
    def files(self) -> dict[str, HubFile]:
        return {file.rfilename: file for file in self.siblings}


def endpoint() -> str:
    """Raises CheckpointError for an HF_ENDPOINT that is no address."""
    address = (os.environ.get("HF_ENDPOINT", "").strip() or ENDPOINT).rstrip("/")
    if not re.match(r"https?://[^/\s]", address):
        raise CheckpointError(
            f"HF_ENDPOINT is {address!r}, and should be an address such as {ENDPOINT}: correct or unset it."
        )
    return address


def host() -> str:
    """Without the name and the password that an address may begin with."""
    return urlsplit(endpoint()).netloc.rpartition("@")[2]


def shown_endpoint() -> str:
    """The address, as a message may have it."""
    return re.sub(r"//[^/]*@", "//", endpoint())


def token() -> str | None:
    """The token of HF_TOKEN, or the one that `hf auth login` left."""
    if given := os.environ.get("HF_TOKEN", "").strip():
        return given
    path = Path(os.environ.get("HF_TOKEN_PATH") or hugging_face_home() / "token")
    return (path.read_text(encoding="utf-8").strip() or None) if path.is_file() else None


def hugging_face_home() -> Path:
    """Where Hugging Face's programs keep a person's files."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser()


def describe_model(name: str, revision: str) -> HubModel:
    """What the Hub knows of a model. Raises CheckpointError in one sentence where it does not tell."""
    address = f"{endpoint()}/api/models/{name}/revision/{quote(revision, safe='')}?blobs=true"
    with ask(address, name, revision, whole=True) as reply:
        try:
            return msgspec.json.decode(reply.content, type=HubModel)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise CheckpointError(
                f"{host()} answered for {name} with something else than a model's description: check HF_ENDPOINT and the proxy."
            ) from None


def ask(
    address: str, name: str, revision: str, headers: Mapping[str, str] | None = None, *, whole: bool = False
) -> requests.Response:
    """A reply that is read to its end if it is to be `whole`, within bounds; otherwise its body is read by the caller.

    Raises CheckpointError for a refusal, and requests' errors of the network.
    """
    import requests

    from app.bounded_adapter import bound

    given = {"Accept-Encoding": "identity", **(headers or {})}
    session = requests.Session()
    bound(session, MAX_DESCRIPTION, TIMEOUT)
    session.max_redirects = MAX_REDIRECTS
    reply = session.get(address, headers=given, auth=authorize, stream=not whole, timeout=TIMEOUT)
    if not reply.ok and reply.status_code != NOTHING_BEHIND:
        with reply:
            raise CheckpointError(refusal(reply, name, revision))
    return reply


def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add the token. Where a reply redirects to another host, requests takes it off again."""
    if (secret := token()) is not None:
        request.headers["Authorization"] = f"Bearer {secret}"
    return request


def refusal(reply: requests.Response, name: str, revision: str) -> str:
    """Why the Hub does not deliver, in one sentence."""
    code, status = reply.headers.get("X-Error-Code", ""), reply.status_code
    if code == "GatedRepo":
        page = f"{shown_endpoint()}/{name}"
        return f"{name} is gated: accept its conditions on {page}, and set HF_TOKEN to a token of that account."
    if code == "RevisionNotFound":
        return (
            f"{name} has no revision {revision!r}: give --revision a branch, a tag or a commit of it, or leave it out."
        )
    if code == "EntryNotFound":
        return f"{host()} lists a file of {name} and does not have it: try again later."
    if code == "RepoNotFound" or status in {401, 404}:
        private = "HF_TOKEN cannot read it" if token() else "it is private, and HF_TOKEN is not set"
        return f"{name} is no folder here and no model on {host()}: correct the name, unless {private}."
    if status == 429:
        when = reply.headers.get("Retry-After", "")
        wait = f"wait {when} seconds" if when.isdecimal() else "wait a few minutes"
        return f"{host()} has had too many requests from here: {wait}, or set HF_TOKEN, which allows more; {RESUMES}."
    said = reply.headers.get("X-Error-Message") or reply.reason
    remedy = "set HF_TOKEN to a token that may read it" if status == 403 else f"try again later; {RESUMES}"
    return f"{host()} answered {status} for {name} ({' '.join(said.split())[:200].rstrip('.')}): {remedy}."


def fetch_file(model: HubModel, file: HubFile, path: Path) -> None:
    """Download a file to `path`, from where an earlier call stopped, in several attempts if the connection breaks.

    Raises CheckpointError if it does not arrive.
    """
    import requests

    address = f"{endpoint()}/{model.id}/resolve/{model.sha}/{quote(file.rfilename)}"
    cause = "it ends too early"
    for _ in range(ATTEMPTS):
        try:
            if append_rest(address, model, file, path):
                return
        except requests.RequestException as error:
            cause = network_problem(error, host()) or type(error).__name__
    raise CheckpointError(
        f"{file.rfilename} of {model.id} is not complete after {ATTEMPTS} attempts ({cause}); {RESUMES}."
    )


def append_rest(address: str, model: HubModel, file: HubFile, path: Path) -> bool:
    """Add to `path` what it lacks of a file, by a range request, or else all of it. Returns whether it is whole."""
    have = path.stat().st_size if path.exists() else 0
    if have and have == file.length:
        return True
    with ask(address, model.id, model.sha, {"Range": f"bytes={have}-"} if have else {}) as reply:
        resumed = reply.status_code == 206
        bar = progress_bar(file.rfilename, file.length, "B", have if resumed else 0)
        with path.open("ab" if resumed else "wb") as out, bar:
            for piece in pieces(reply) if reply.ok else []:
                have = out.tell() + len(piece)
                if file.length is not None and have > file.length:
                    break  # It cannot be the file, however much is still to come.
                out.write(piece)
                bar.update(len(piece))
    return reply.ok and file.length in {None, path.stat().st_size}


def pieces(reply: requests.Response) -> Iterator[bytes]:
    """The body as it arrives. Raises requests' errors, also where less than SLOWEST arrives."""
    import requests
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    since, arrived = time.monotonic(), 0
    try:
        while piece := reply.raw.read1(CHUNK, decode_content=True):
            yield piece
            arrived += len(piece)
            if (seconds := time.monotonic() - since) > SLOW_SECONDS:
                if arrived < SLOWEST * seconds:
                    raise requests.ReadTimeout("hardly anything arrives")
                since, arrived = time.monotonic(), 0
    except ReadTimeoutError:
        raise requests.ReadTimeout("nothing arrives") from None
    except HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(type(error).__name__) from None
