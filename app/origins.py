"""Origins: the web pages that may call the API, from CORS_ORIGINS, spelt as browsers send them."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from app.errors import SettingError

EVERY = "*"
# What browsers send for a page without an address, such as one in a sandboxed frame or on the disk.
NO_ADDRESS = "null"
# What browsers take for an IP address, which they send in its usual form: 127.0.0.1 for 127.1.
NUMERIC = re.compile(r".*:.*|(.*\.)?(\d+|0x[0-9a-f]*)\.?")
HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\]")
DEFAULT_PORTS = {"http": 80, "https": 443}


def read_origins(text: str) -> list[str]:
    """The origins of a comma-separated list. Raises SettingError for one that no browser would ever send."""
    origins = [origin(part.strip()) for part in text.split(",") if part.strip()]
    if not origins:
        raise SettingError("CORS_ORIGINS names no origin: write one such as https://x.example, or * for all.")
    return origins


def origin(written: str) -> str:
    """One origin: scheme and host in small letters, and the port unless it is the scheme's own."""
    small = written.lower()
    if small in (EVERY, NO_ADDRESS):
        return small
    scheme, separator, rest = small.partition("://")
    rest = rest.rstrip("/")
    if not separator:
        raise refusal(written, "has no scheme: write https:// or http:// in front of it")
    try:
        host, port = urlsplit(f"//{rest}").hostname or "", urlsplit(f"//{rest}").port
        host = ip_address(host).compressed if NUMERIC.fullmatch(host) else host
    except ValueError:
        raise refusal(written, "has no valid host and port: write SCHEME://HOST or SCHEME://HOST:PORT") from None
    host = f"[{host}]" if ":" in host else host
    found = f"{scheme}://{host}" + ("" if port in (None, DEFAULT_PORTS.get(scheme)) else f":{port}")
    if not HOST.fullmatch(host) or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise refusal(
            written, "is not SCHEME://HOST in ASCII, without wildcards: list each host, a foreign one as xn--…"
        )
    if re.search(r"[/?#@]", rest):
        raise refusal(written, f"is more than an origin, which ends with the host and the port: write {found}")
    return found


def refusal(written: str, problem: str) -> SettingError:
    return SettingError(f"CORS_ORIGINS: {written!r} {problem}.")
