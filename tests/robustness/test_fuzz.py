"""Whatever a request is, the reply is whole, in words, and no fault of the server: valid requests with a few changes each.

A change is a number, so a case is the name of a file of corpus/ and a few numbers: the same in every run. What fails is made as
small as it can be and written among the working files of benchmarks/, from where it belongs into corpus/.
"""

from __future__ import annotations

import http.client
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.subject import WORK
from tests.fakes.telegram import Telegram
from tests.robustness.everything import everything_on
from tests.robustness.mutations import REQUESTS, mutated, smaller
from tests.robustness.raw_request import Connection, RawReply, RawRequest
from tests.robustness.reply_checks import problem_of
from tests.robustness.service import Service

WRITTEN = WORK / "fuzz"
MOST_CHANGES = 4
# The answer to this is known.
KNOWN = RawRequest(b"GET", b"/?length=9&temperature=0")
# Texts are short, so that the time goes into requests.
SHORT = {"MAX_LENGTH": "64", "CONCURRENCY": "2"}
# Attempts to make a failing request smaller.
ATTEMPTS = 2000


def cases(count: int) -> Iterator[tuple[str, RawRequest]]:
    """Each request of the corpus as it is, then `count` changed ones, with the same changes every time."""
    yield from REQUESTS.items()
    chance = random.Random(1)
    for name in itertools.islice(itertools.cycle(REQUESTS), count):
        numbers = [chance.getrandbits(32) for _ in range(chance.randint(1, MOST_CHANGES))]
        yield name, mutated(REQUESTS[name], numbers)


def problem(connection: Connection, request: RawRequest) -> str:
    try:
        return problem_of(request, connection.ask(request))
    except (OSError, http.client.HTTPException) as error:
        return f"no whole reply: {type(error).__name__}"


def smallest(connection: Connection, request: RawRequest, kind: str) -> RawRequest:
    """The request made smaller for as long as the same is wrong with its reply."""
    attempts = itertools.count()
    while found := next(
        (each for each in smaller(request) if next(attempts) < ATTEMPTS and problem(connection, each) == kind), None
    ):
        request = found
    return request


def known_answer(connection: Connection) -> RawReply:
    reply = connection.ask(KNOWN)
    return reply._replace(headers={}, content=reply.content.partition(b'"seed"')[0])


def write(request: RawRequest, kind: str) -> Path:
    WRITTEN.mkdir(parents=True, exist_ok=True)
    path = WRITTEN / f"{''.join(each if each.isalnum() else '_' for each in kind)}.http"
    lines = [b"%s %s" % (request.method, request.target), *(b"%s: %s" % header for header in request.headers)]
    path.write_bytes(b"\n".join(lines) + b"\n\n" + request.body + b"\n")
    return path


def test_fuzz(
    serving: Callable[..., AbstractContextManager[Service]],
    record: Callable[..., None],
    rounds: Callable[[int, int], int],
    tmp_path: Path,
) -> None:
    """Seen: 500 for half a character in a field's name, for a deep list on /generate_stream; text/plain for preflights."""
    count, found = rounds(200, 60_000), Counter[str]()
    first: dict[str, RawRequest] = {}
    with Telegram().serving() as telegram, serving(**everything_on(tmp_path, telegram.url), **SHORT) as service:
        connection = Connection(service.connect)
        before = known_answer(connection)
        for number, (_, request) in enumerate(cases(count)):
            if kind := problem(connection, request):
                found[kind] += 1
                first.setdefault(kind, request)
            if number % 100 == 0:
                assert known_answer(connection) == before
        assert known_answer(connection) == before
        told = {kind: write(smallest(connection, request, kind), kind) for kind, request in first.items()}
        connection.close()
        log = [line for line in service.log.read_text(encoding="utf-8").splitlines() if " ERROR " in line]
    wrong = sum(number for kind, number in found.items() if kind.startswith("an answer of 5"))
    record("mutated requests", count)
    record("answers of 5xx, but for 503 with Retry-After", wrong, 0)
    record("answers that are wrong in another way", sum(found.values()) - wrong, 0)
    record("errors in the log", len(log), 0)
    assert not found, {kind: (number, told[kind].read_bytes()) for kind, number in found.items()}
    assert log == []
