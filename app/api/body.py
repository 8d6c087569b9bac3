"""From bytes on the wire to plain values, refusing what is ambiguous.

A query or a JSON object that gives one field twice has no one meaning, so it is an error; so is text that is not UTF-8.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from starlette.requests import Request

from app.errors import BodyTooLarge, InvalidRequest, RequestTimeout

MAX_BODY = 256 * 1024
EXAMPLE = '{"length": 100}'
# A sender that trickles is cut off: one slow client must not hold the container.
RECEIVE_SECONDS = 20.0


async def read_body(request: Request[Any], limit: int = MAX_BODY) -> bytes:
    """Read the whole body. Raises BodyTooLarge, RequestTimeout."""
    chunks, size = [], 0
    try:
        async with asyncio.timeout(RECEIVE_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise BodyTooLarge(f"the body is larger than {limit} bytes: send less.", code="body_too_large")
                chunks.append(chunk)
    except TimeoutError:
        message = f"the body did not arrive within {RECEIVE_SECONDS:g} s: send it faster."
        raise RequestTimeout(message, code="request_timeout") from None
    return b"".join(chunks)


async def read_object(request: Request[Any], example: str = EXAMPLE) -> dict[str, Any]:
    """The fields of a POST, all of which are in its body. Raises InvalidRequest, BodyTooLarge, RequestTimeout."""
    if query := parse_query(request.scope["query_string"]):
        raise InvalidRequest(
            "a POST takes its fields from the JSON body: move those of the query there.", param=next(iter(query))
        )
    return parse_json(await read_body(request), example)


def parse_query(query: bytes) -> dict[str, str]:
    """A query string's fields, each given once. Raises InvalidRequest."""
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except UnicodeDecodeError:
        raise InvalidRequest(
            "the query string is not UTF-8: percent-encode the text as UTF-8.", code="invalid_utf8"
        ) from None
    except ValueError:
        raise InvalidRequest("the query string has more than 100 fields: send fewer.", code="too_many_fields") from None
    return once(pairs)


def parse_json(body: bytes, example: str = EXAMPLE) -> dict[str, Any]:
    """A JSON object's fields, each given once; an empty body is an empty object. Raises InvalidRequest."""
    if not body.strip():
        return {}
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=once, parse_constant=refuse_constant)
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not UTF-8: encode it as UTF-8.", code="invalid_utf8") from None
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"the body is not JSON ({error}): send an object such as {example}.", code="invalid_json"
        ) from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"the body is not a JSON object: send one such as {example}.", code="invalid_json")
    return value


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise InvalidRequest(f"{name} is given more than once: give it once.", param=name, code="duplicate_field")
        fields[name] = value
    return fields


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
