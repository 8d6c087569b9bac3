"""Reads the query string and the JSON body of a request, with limits on size and time.

Ambiguous input is refused: a field that is given twice, text that is not UTF-8, numbers that JSON does not have.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl

from starlette.requests import Request

from app.api.foreign_parameters import is_tracking
from app.errors import BodyTooLarge, InvalidRequest, RequestTimeout
from app.off_loop import off_loop

Fields = TypeVar("Fields")

# In bytes.
MAX_BODY = 256 * 1024
MAX_QUERY_FIELDS = 100
# A slow sender is cut off, so that it does not keep the container busy.
RECEIVE_SECONDS = 10.0
SURROGATE = re.compile("[\ud800-\udfff]")
EXAMPLE = '{"length": 100}'


async def read_body(request: Request[Any], limit: int = MAX_BODY) -> bytes:
    """Read the whole body, of up to `limit` bytes. Raises InvalidRequest, BodyTooLarge, RequestTimeout."""
    if (coding := request.headers.get("content-encoding", "")).lower() not in ("", "identity"):
        raise InvalidRequest(f"the body is compressed ({coding}): send it as it is.", code="compressed_body")
    chunks, size = [], 0
    try:
        async with asyncio.timeout(RECEIVE_SECONDS):
            check_size(int(request.headers.get("content-length", 0)), limit)
            async for chunk in request.stream():
                chunks.append(chunk)
                size += len(chunk)
                check_size(size, limit)
    except TimeoutError:
        message = f"the body did not arrive within {RECEIVE_SECONDS:g} s: send it faster."
        raise RequestTimeout(message, code="request_timeout") from None
    return b"".join(chunks)


def check_size(size: int, limit: int) -> None:
    """Raises BodyTooLarge."""
    if size > limit:
        raise BodyTooLarge(f"the body is larger than {limit} bytes: send less.", code="body_too_large")


async def read_object(
    request: Request[Any], checked: Callable[[dict[str, Any]], Fields], example: str = EXAMPLE
) -> Fields:
    """Read the fields of a POST from its JSON body, as `checked` returns them.

    A query with fields is refused. `example` is what an error message shows as a body.
    Raises InvalidRequest, BodyTooLarge, RequestTimeout.
    """
    if query := parse_query(request.scope["query_string"]):
        raise InvalidRequest(
            "a POST takes its fields from the JSON body: move the fields of the query there.", param=next(iter(query))
        )
    body = await read_body(request)
    return await off_loop(len(body), lambda: checked(parse_json(body, example)))


async def read_query(request: Request[Any]) -> dict[str, str]:
    """Read the fields of a GET from its query. Raises InvalidRequest, BodyTooLarge, RequestTimeout.

    A body with fields is refused.
    """
    body = await read_body(request)
    if fields := await off_loop(len(body), lambda: parse_json(body)):
        raise InvalidRequest(
            "a GET takes its fields from the query: move the fields of the body there, or send a POST.",
            param=next(iter(fields)),
        )
    return parse_query(request.scope["query_string"])


def parse_query(query: bytes) -> dict[str, str]:
    """The fields of a query string, without tracking parameters. Raises InvalidRequest."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS
        )
    except UnicodeDecodeError:
        raise InvalidRequest(
            "the query string is not UTF-8: percent-encode the text as UTF-8.", code="invalid_utf8"
        ) from None
    except ValueError:
        raise InvalidRequest(
            f"the query string has more than {MAX_QUERY_FIELDS} fields: send fewer.", code="too_many_fields"
        ) from None
    return unique_fields([(name, value) for name, value in pairs if not is_tracking(name)])


def parse_json(body: bytes, example: str = EXAMPLE) -> dict[str, Any]:
    """The fields of a JSON object. An empty body counts as an empty object. Raises InvalidRequest."""
    try:
        # Some programs on Windows begin with a byte-order mark.
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not UTF-8: encode it as UTF-8.", code="invalid_utf8") from None
    if not text.strip():
        return {}
    try:
        value = json.loads(
            text, object_pairs_hook=unique_fields, parse_float=read_float, parse_constant=refuse_constant
        )
    except RecursionError:
        raise too_deep() from None
    except ValueError as error:
        # Python's own message about digits names a setting of Python.
        problem = "a number has thousands of digits" if "int_max_str_digits" in str(error) else error
        raise InvalidRequest(
            f"the body is not JSON ({problem}): send an object such as {example}.", code="invalid_json"
        ) from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"the body is not a JSON object: send one such as {example}.", code="invalid_json")
    return value


def too_deep() -> InvalidRequest:
    return InvalidRequest("the body is nested too deeply: send a flat object.", code="invalid_json")


def unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as a dictionary. Raises InvalidRequest if two have the same name, or if one cannot be repeated in an error."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if has_surrogates(name):
            message = "a field's name holds half a character (a lone surrogate): send whole characters."
            raise InvalidRequest(message, code="invalid_value")
        if name in fields:
            raise InvalidRequest(f"{name} is given more than once: give it once.", param=name, code="duplicate_field")
        fields[name] = value
    return fields


def has_surrogates(text: str) -> bool:
    """Whether the text holds halves of characters, which JSON can express and UTF-8 cannot."""
    return SURROGATE.search(text) is not None


def read_float(digits: str) -> float | int:
    """A number with a point or an exponent. To JSON, 16.0 and 1e1 are integers like any other."""
    number = float(digits)
    return int(number) if number.is_integer() else number


def refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's json reads and JSON does not have."""
    raise ValueError(f"{name} is not a JSON number")
