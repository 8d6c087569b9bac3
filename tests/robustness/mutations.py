"""Small changes to a request: of its JSON, its bytes, its address, its headers, its method. Each is told by one number."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.robustness.raw_request import CORPUS, Header, RawRequest, read_request

REQUESTS = {path.stem: read_request(path) for path in sorted(CORPUS.glob("*.http"))}
TEXTS = [
    "", " ", "a", "\ud800", "\udfff\ud800", "\0", "\ufeff", "é😀", "\u202e", "x" * 300, "1e400", "-1", "null", "NaN", "[]", "{}",
    "../../etc/passwd", "<script>", "' OR 1=1 --", "${jndi:ldap://a}", "fake", "\r\nX-A: b", "%00", "<|endoftext|>",
]  # fmt: skip
VALUES: list[Any] = [
    *TEXTS, None, True, False, 0, 1, -1, 2, 3, 255, 2**31, 2**53, 2**63, -(2**63) - 1, 10**40, 0.5, -0.0, 1e-320, 1e308, [], {},
    [None], [[]], [{}], {"": ""}, {"a": {"b": [1]}}, [1, "a", None], ["a"] * 200, [0] * 3000, {"type": "text", "text": "a"},
]  # fmt: skip
# Beyond what Python's json writes.
LITERALS = [
    b"NaN",
    b"-Infinity",
    b"1e400",
    b"-0",
    b"9" * 5000,
    b"[" * 2000,
    b'"\\ud83d"',
    b"\xff",
    b"0x1",
    b"'a'",
    b"1.",
    b"\0",
]
NAMES = ["__proto__", "\ud800", "", "x" * 300, "a\0", "constructor", "ключ"]
NAMES += sorted({key for each in REQUESTS.values() if each.body[:1] == b"{" for key in json.loads(each.body)})
METHODS = [
    b"GET",
    b"POST",
    b"HEAD",
    b"OPTIONS",
    b"PUT",
    b"DELETE",
    b"PATCH",
    b"TRACE",
    b"CONNECT",
    b"BREW",
    b"get",
    b"!#$",
    b"A" * 300,
]
ODD = [
    b"",
    b"\xff",
    b"\xff\xfe",
    b"a",
    b"0",
    b"-1",
    b"*",
    b"\t",
    b"a,b;q=x",
    b"%ff",
    b"9" * 400,
    b'"',
    b"<a>",
    b"bytes=0-",
    b"null",
]
HEADERS = [
    b"Accept", b"Accept-Encoding", b"Authorization", b"X-Api-Key", b"Origin", b"Access-Control-Request-Method",
    b"Access-Control-Request-Headers", b"Access-Control-Request-Private-Network", b"Content-Type", b"Content-Encoding",
    b"X-Request-Id", b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Telegram-Init-Data", b"X-Telegram-Bot-Api-Secret-Token",
    b"Range", b"If-Range", b"If-None-Match", b"If-Modified-Since", b"traceparent", b"X-Cloud-Trace-Context", b"User-Agent",
    b"Cookie", b"Host", b"Upgrade", b"Via", b"Referer", b"TE", b"X-\xff", b"A B", b"",
]  # fmt: skip
KINDS = [
    b"application/json",
    b"text/plain",
    b"multipart/form-data; boundary=x",
    b"application/x-www-form-urlencoded",
    b"\xff/\xff",
]
ACCEPTS = [
    b"text/html",
    b"application/json",
    b"text/event-stream",
    b"*/*;q=0",
    b"text/html;q=nan",
    b"image/png, text/html;q=1e9",
]
TAILS = [b"/", b"//", b"/..", b"/%ff", b"/%00", b"?", b"?a", b"?prefix=%ed%a0%80", b"?length=nan", b"?length=1&length=2",
         b"#a", b"?temperature=inf", b"?seed=" + b"9" * 50,
         b"%", b"?%ff=%fe", b"?" + b"a=b&" * 120, b" ", b"\xc5\xbc", b"\0"]  # fmt: skip
Chance = random.Random


def mutated(request: RawRequest, numbers: list[int]) -> RawRequest:
    """The request after the changes that these numbers stand for."""
    for number in numbers:
        chance = Chance(number)
        request = chance.choice(CHANGES)(request, chance)
    return request


def change_json(request: RawRequest, chance: Chance) -> RawRequest:
    try:
        body = json.loads(request.body or b"{}")
        change_place(chance.choice(places(body) or [body]), chance)
        return replace(request, body=json.dumps(body).encode())
    except (ValueError, RecursionError):  # It is no JSON, or too deep for Python.
        return change_bytes(request, chance)


def change_place(place: Any, chance: Chance) -> None:
    """Replace, add, take out or wrap one value of an object or a list."""
    if isinstance(place, dict):
        name = chance.choice([*place, *NAMES] if chance.random() < 0.6 else [*place, ""])
        if chance.random() < 0.2:
            place.pop(name, None)
        else:
            place[name] = value(place.get(name), chance)
    elif isinstance(place, list):
        place.insert(chance.randrange(len(place) + 1), value(chance.choice(place) if place else None, chance))


def places(value: Any) -> list[Any]:
    """All objects and lists within a value."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return ([value] if isinstance(value, dict | list) else []) + [place for part in inside for place in places(part)]


def value(now: Any, chance: Chance) -> Any:
    """Another value in the place of this one."""
    kind = chance.randrange(6)
    if kind == 0:
        for _ in range(chance.choice([1, 2, 99, 101, 400])):
            now = [now] if chance.random() < 0.5 else {"a": now}
        return now
    if kind == 1 and isinstance(now, str):
        return now * chance.choice([2, 100, 5000]) if len(now) < 50 else now[: len(now) // 2] + chance.choice(TEXTS)
    if kind == 2 and isinstance(now, list):
        return now * chance.choice([2, 50])
    if kind == 3 and isinstance(now, int | float):
        return chance.choice([-now, now + 1, now * 1000, float(now), str(now), now / 3])
    return chance.choice(VALUES)


def change_literal(request: RawRequest, chance: Chance) -> RawRequest:
    """Put something that is no JSON, or that few write, in the place of a value; or give a field twice."""
    at = [place for place in range(len(request.body)) if request.body[place : place + 1] in b":,["]
    if not at:
        return change_bytes(request, chance)
    place = chance.choice(at) + 1
    if chance.random() < 0.2 and request.body[:1] == b"{":
        return replace(request, body=request.body[:-1] + b"," + request.body[1:])
    end = min([found for mark in (b",", b"]", b"}") if (found := request.body.find(mark, place)) >= 0] or [place])
    return replace(request, body=request.body[:place] + chance.choice(LITERALS) + request.body[end:])


def change_bytes(request: RawRequest, chance: Chance) -> RawRequest:
    body = bytearray(request.body)
    kind, place = chance.randrange(6), chance.randrange(len(body) + 1)
    if kind == 0 and body:
        body[place - 1] ^= 1 << chance.randrange(8)
    elif kind == 1:
        body[place:place] = chance.randbytes(chance.choice([1, 2, 40]))
    elif kind == 2:
        del body[place:]
    elif kind == 3:
        body[place:place] = body[: chance.randrange(len(body) + 1)]
    elif kind == 4:
        body = bytearray(chance.choice(list(REQUESTS.values())).body)
    else:
        body += chance.choice([b" " * 300_000, b"\0", b"\xef\xbb\xbf", b"{}", b"\n"])
    return replace(request, body=bytes(body))


def change_target(request: RawRequest, chance: Chance) -> RawRequest:
    kind = chance.randrange(4)
    if kind == 0:
        return replace(request, target=chance.choice(list(REQUESTS.values())).target)
    if kind == 1:
        place = chance.randrange(len(request.target) + 1)
        odd = chance.choice([b"%ff", b"%00", b"%ed%a0%80", b"%", b"/", b".", b"\xff", b"%2f", b"%0d%0a", b"{name}"])
        return replace(request, target=request.target[:place] + odd + request.target[place:])
    if kind == 2:
        return replace(request, target=b"http://\xff.example" + request.target)
    return replace(request, target=request.target + chance.choice(TAILS))


def change_headers(request: RawRequest, chance: Chance) -> RawRequest:
    """Add one, give one twice, or leave one out."""
    headers: list[Header] = list(request.headers)
    kind = chance.randrange(5)
    if kind == 0 and headers:
        headers.pop(chance.randrange(len(headers)))
    elif kind == 1 and headers:
        headers.append(chance.choice(headers))
    elif kind == 2:
        headers.append((b"Content-Type", chance.choice(KINDS)))
    elif kind == 3:
        headers.append((b"Accept", chance.choice(ACCEPTS)))
    else:
        headers.append((chance.choice(HEADERS), chance.choice([*ODD, *METHODS[:4]])))
    return replace(request, headers=tuple(headers))


def change_method(request: RawRequest, chance: Chance) -> RawRequest:
    return replace(request, method=chance.choice(METHODS))


def change_framing(request: RawRequest, chance: Chance) -> RawRequest:
    return replace(request, chunked=not request.chunked)


Change = Callable[[RawRequest, Chance], RawRequest]
# What stands here more than once is drawn more often.
CHANGES: list[Change] = [
    *[change_json] * 9, *[change_literal] * 2, *[change_bytes] * 2, *[change_target] * 2, *[change_headers] * 4, change_method,
    change_framing,
]  # fmt: skip


def smaller(request: RawRequest) -> list[RawRequest]:
    """Requests with a little less: a header, a part of the body or of the address, the largest first."""
    fewer = [
        replace(request, headers=request.headers[:at] + request.headers[at + 1 :]) for at in range(len(request.headers))
    ]
    plain = [replace(request, chunked=False)] if request.chunked else []
    bodies = [replace(request, body=body) for body in shorter(request.body)]
    return plain + fewer + bodies + [replace(request, target=target) for target in shorter(request.target) if target]


def shorter(content: bytes) -> list[bytes]:
    """The content without one of its halves, quarters, … or single bytes, if these are few."""
    found, size = [], len(content) // 2
    while size and len(content) // size <= 64:
        found += [content[:at] + content[at + size :] for at in range(0, len(content), size)]
        size //= 2
    return found
