"""Network errors as a sentence: what could not be reached, and why.

Each library has errors of its own, which hide the operating system's. Some of them are OSErrors, as if the disk were to blame.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

LIBRARIES = {"requests", "urllib3", "httpx", "httpcore", "prawcore", "grpc", "http"}
GOOGLE = ("google.api_core.exceptions", "google.auth.exceptions")
HOLDERS = ("reason", "original_exception", "cause")
"""Attributes in which libraries keep the error that led to theirs."""
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
# Names of errors, with why and what to do. The first of which an error is found says it.
REASONS: tuple[tuple[set[str], str, str], ...] = (
    (
        {"gaierror", "NameResolutionError"},
        "its name is not known",
        "check the connection to the internet, and set HTTPS_PROXY if you need a proxy",
    ),
    (
        {"SSLError", "SSLCertVerificationError"},
        "its certificate is not trusted",
        "check the clock, or name your network's certificates in REQUESTS_CA_BUNDLE",
    ),
    (
        {"ConnectionRefusedError"},
        "it refuses the connection",
        "check the connection to the internet, or try again later",
    ),
    (
        {"Timeout", "TimeoutError", "TimeoutException", "ConnectTimeoutError", "ReadTimeoutError"},
        "it does not answer in time",
        "try again later",
    ),
    (
        {"ConnectionError", "ProtocolError", "ChunkedEncodingError", "RemoteProtocolError"},
        "the connection broke off",
        "try again",
    ),
)


def network_problem(error: BaseException, server: str = "the server") -> str | None:
    """What could not be reached and why, without a full stop. None if it is no error of the network.

    `server` is what was asked, for an error that does not say it.
    """
    found = list(causes_of(error))
    if not any(is_network_error(each) for each in found):
        return None
    where = next((host for each in found if (host := host_of(each))), server)
    why, remedy = reason_of(found)
    return f"{where} cannot be reached ({why}): {remedy}"


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """An error and the errors that led to it, each once."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        linked = (each.__cause__, each.__context__, *each.args, *(getattr(each, name, None) for name in HOLDERS))
        waiting += [other for other in linked if isinstance(other, BaseException)]


def is_network_error(error: BaseException) -> bool:
    kind = type(error)
    if isinstance(error, (socket.gaierror, ConnectionError, ssl.SSLError)):
        return True
    return kind.__module__.partition(".")[0] in LIBRARIES or (
        kind.__module__ in GOOGLE and kind.__name__ in ("RetryError", "TransportError", "ServiceUnavailable", "Unknown")
    )


def host_of(error: BaseException) -> str | None:
    request = getattr(error, "request", None) or getattr(error, "_request", None)
    if url := getattr(request, "url", None):
        return urlsplit(str(url)).netloc.rpartition("@")[2]
    kept = vars(error)
    host = kept.get("_host") or getattr(kept.get("pool") or kept.get("conn"), "host", None)
    return host if isinstance(host, str) else None


def reason_of(errors: list[BaseException]) -> tuple[str, str]:
    """Why, and what to do."""
    names = {kind.__name__ for error in errors for kind in type(error).__mro__}
    proxy = next((name for name in PROXIES if os.environ.get(name)), None)
    if any("SOCKS" in str(error) for error in errors):
        return (
            f"the proxy of {proxy or 'ALL_PROXY'} is SOCKS, which is not supported",
            "name an HTTP proxy, or unset it",
        )
    if proxy and names & {"ProxyError", "InvalidProxyURL", "ProxySchemeUnknown", "LocationParseError"}:
        return f"the proxy of {proxy} does not work", "correct or unset it"
    reasons = (reason for kinds, *reason in REASONS if names & kinds)
    why, remedy = next(reasons, (type(errors[0]).__name__, "check the connection to the internet, and try again"))
    return why, remedy
