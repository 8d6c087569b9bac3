"""The way to other servers: the proxy and the certificates that the environment names, checked at the start.

The libraries read the same variables, but only with the first request, and their errors do not name them.
"""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from app.errors import SettingError

PROXY_ADDRESS = re.compile(
    r"\w+://(?:[^\s\x00-\x1f\x7f/?#]*@)?(?P<host>[\w.-]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?(?:/[!-~]*)?",
    re.ASCII | re.IGNORECASE,
)
Library = Literal["httpx", "requests"]
# What each library needs for SOCKS.
SOCKS_PACKAGES: dict[Library, str] = {"httpx": "socksio", "requests": "socks"}
# Where TLS looks for certificates, and a file to which it writes keys for debugging.
TLS_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


class Proxy(NamedTuple):
    """A proxy's address, which may hold a password, and the variable that names it."""

    variable: str
    address: str


def check_proxy(address: str, library: Library) -> None:
    """Refuse a proxy that cannot be used on the way to `address`. Raises SettingError."""
    # Without such a variable, nothing is imported for it.
    if any(value and name.lower().endswith("_proxy") for name, value in os.environ.items()):
        find_proxy(address, library)


def find_proxy(address: str, library: Library) -> Proxy | None:
    """The proxy for this address, or None if there is none or NO_PROXY excepts the address. Raises SettingError.

    `library` is the one that will use the proxy.
    """
    from urllib.request import getproxies, proxy_bypass

    url = urlsplit(address)
    host = url.netloc.rpartition("@")[2]
    # The environment's, or those of the system's settings on macOS and Windows.
    proxies = getproxies()
    for kind in (url.scheme, "all"):
        if value := proxies.get(kind, "").strip():
            return None if proxy_bypass(host) else read_proxy(variable_of(kind), value, host, library)
    return None


def variable_of(kind: str) -> str:
    """The variable that names the proxy for `https` and so on. Programs give its name in lower case precedence."""
    names = (f"{kind}_proxy", f"{kind.upper()}_PROXY")
    return next((name for name in names if os.environ.get(name)), names[1])


def read_proxy(variable: str, value: str, host: str, library: Library) -> Proxy:
    """The proxy in a variable. Raises SettingError, which never quotes the value, because it may hold a password."""
    address = value if "://" in value else f"http://{value}"
    scheme = address.partition(":")[0].lower()
    remedy = f"set it to http://HOST:PORT, or set NO_PROXY={host} if no proxy is needed."
    if scheme.startswith("socks") and find_spec(SOCKS_PACKAGES[library]) is None:
        raise SettingError(f"{variable} names a SOCKS proxy, which cannot be used here: {remedy}")
    if scheme not in ("http", "https", "socks5", "socks5h") or not has_host_and_port(address):
        raise SettingError(f"{variable} names no proxy that can be used here: {remedy}")
    return Proxy(variable, address)


def has_host_and_port(address: str) -> bool:
    """Whether it names a host, and a port that can exist if it names one."""
    found = PROXY_ADDRESS.fullmatch(address)
    if found is None or not 1 <= int(found["port"] or "1") <= 65535:
        return False
    host = found["host"].strip("[]")
    try:
        return not re.fullmatch(r"[\d.]+|.*:.*", host) or bool(ip_address(host))
    except ValueError:
        return False


def check_certificates() -> None:
    """Read the certificates that the environment names, as httpx will with the first request. Raises SettingError."""
    import ssl

    variable = next((name for name in TLS_VARIABLES if os.environ.get(name)), None)
    if variable is None:
        return
    path = os.environ[variable]
    try:
        if variable == "SSL_CERT_DIR":
            # OpenSSL says nothing of a folder that is not there.
            next(Path(path).iterdir(), None)
        ssl.create_default_context(cafile=path if variable == "SSL_CERT_FILE" else None)
    except OSError as error:
        # The file for debugging is opened last.
        variable = "SSLKEYLOGFILE" if error.filename and error.filename == os.environ.get("SSLKEYLOGFILE") else variable
        reason = "it holds no certificates" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingError(
            f"{variable} is {os.environ[variable]!r}, which cannot be used ({reason}): correct it or leave it out."
        ) from None
