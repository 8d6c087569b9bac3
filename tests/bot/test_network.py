"""The way to Telegram: proxies and certificates of the environment, and what is said when it is closed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.bot.__main__ import info, run
from app.bot.client import open_client
from app.errors import SettingError
from app.network import find_proxy
from app.settings import Settings
from tests.bot.conftest import MESSAGE, SECRET_HEADER, Failing, bot
from tests.bot.polling_process import poll
from tests.conftest import run_module
from tests.fakes.bot_api import TOKEN, Fault
from tests.fakes.loopback import on_loopback
from tests.fakes.telegram import SECRET, Telegram

BOT = {"TELEGRAM_TOKEN": TOKEN, "TELEGRAM_SECRET": SECRET, "ENGINE": "fake", "FEEDBACK": ""}
# This machine's own variables must not decide.
NONE = dict.fromkeys(
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"], ""
)
PASSWORD = "hunter2"
UPDATE = {"update_id": 5, "message": MESSAGE | {"text": "/help"}}


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NONE:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


UNUSABLE = [
    ("ALL_PROXY", f"socks5://ann:{PASSWORD}@127.0.0.1:1080", "ALL_PROXY names a SOCKS proxy, which cannot be used here: set"),
    ("all_proxy", "socks5h://127.0.0.1:1080", "all_proxy names a SOCKS proxy"),
    ("HTTPS_PROXY", "socks4://127.0.0.1:1080", "HTTPS_PROXY names a SOCKS proxy"),
    ("https_proxy", f"http://ann:{PASSWORD}@[::1", "https_proxy names no proxy that can be used here: set it to http://HOST:PORT"),
    ("HTTPS_PROXY", "ftp://127.0.0.1:21", "HTTPS_PROXY names no proxy"),
    ("HTTPS_PROXY", "http://127.0.0.1:99999", "HTTPS_PROXY names no proxy"),
    ("HTTPS_PROXY", "http://127.0.0.1:port", "HTTPS_PROXY names no proxy"),
    ("HTTPS_PROXY", "http://", "HTTPS_PROXY names no proxy"),
    ("HTTPS_PROXY", "http:/127.0.0.1:8080", "HTTPS_PROXY names no proxy"),
    ("SSL_CERT_FILE", "/nowhere.pem", "SSL_CERT_FILE is '/nowhere.pem', which cannot be used (No such file or directory): "),
    ("SSL_CERT_FILE", "/etc/passwd", "SSL_CERT_FILE is '/etc/passwd', which cannot be used (it holds no certificates): "),
    ("SSL_CERT_DIR", "/nowhere", "SSL_CERT_DIR is '/nowhere', which cannot be used (No such file or directory): "),
    ("SSLKEYLOGFILE", "/nowhere/keys", "SSLKEYLOGFILE is '/nowhere/keys', which cannot be used (No such file or directory): "),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "said"), UNUSABLE)
def test_what_the_bot_cannot_use_is_named_in_one_sentence(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingError, match=f"^{re.escape(said)}") as refused:
        open_client(Settings(telegram_token=TOKEN))
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize("command", [["app"], ["app.bot", "info"], ["app.bot", "poll"]])
def test_a_proxy_of_a_kind_that_the_bot_cannot_use_stops_the_start(command: list[str]) -> None:
    """With ALL_PROXY=socks5://…, the service once started, and answered every update with 500, for a day each."""
    ended = run_module(*command, **BOT | NONE | {"ALL_PROXY": "socks5://127.0.0.1:1080"})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "error: ALL_PROXY names a SOCKS proxy, which cannot be used here: set it to http://HOST:PORT, "
        "or set NO_PROXY=api.telegram.org if no proxy is needed.\n"
    )


def test_without_a_bot_no_proxy_is_looked_at() -> None:
    ended = run_module("app", **NONE | {"ALL_PROXY": "socks5://127.0.0.1:1", "ENGINE": "fake", "PORT": "1e9"})
    assert ended.stderr.startswith("error: PORT is '1e9'")


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"HTTPS_PROXY": "http://a:1", "ALL_PROXY": "socks5://b:2"}, ("HTTPS_PROXY", "http://a:1")),
        ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:2"}, ("https_proxy", "http://a:1")),
        ({"ALL_PROXY": "http://a:1\n"}, ("ALL_PROXY", "http://a:1")),
        ({"HTTPS_PROXY": "a:1"}, ("HTTPS_PROXY", "http://a:1")),
        ({"HTTP_PROXY": "socks5://a:1"}, None),
        ({"HTTPS_PROXY": "socks5://a:1", "NO_PROXY": "localhost, .telegram.org"}, None),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "[::1, //, %zz, 10.0.0.0/8, \xff"}, ("HTTPS_PROXY", "http://a:1")),
    ],
)  # fmt: skip
def test_the_proxy_on_the_way_to_telegram(
    variables: dict[str, str], found: tuple[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what concerns Telegram's host counts. A part of NO_PROXY that is no name once made every update a 500."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert find_proxy("https://api.telegram.org", "httpx") == found
    open_client(Settings(telegram_token=TOKEN))


@given(
    value=st.one_of(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
        st.from_regex(
            r"(http|https|HTTP|socks5|x)://([a-z:@%\[\]é]{0,6}@)?[a-z.\[\]:]{0,8}(:[0-9]{0,6})?[/?#]?", fullmatch=True
        ),
    ),
    excepted=st.text(st.sampled_from("[]:/*.,% az09é"), max_size=8),
)
def test_any_proxy_is_used_or_refused_by_name(value: str, excepted: str) -> None:
    """What is not refused at the start, httpx must take."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTPS_PROXY", value)
        patch.setenv("NO_PROXY", excepted)
        try:
            open_client(Settings(telegram_token=TOKEN))
        except SettingError as error:
            refusal = str(error)
        else:
            refusal = "HTTPS_PROXY"
    assert refusal.startswith("HTTPS_PROXY")


@contextmanager
def answering(status: int, text: str = "{}", **options: Any) -> Iterator[str]:
    """A server that answers every request so. The text may hold the request's path. `options` are uvicorn's."""

    async def answer(request: Request) -> Response:
        return PlainTextResponse(text.replace("PATH", request.url.path), status)

    with on_loopback(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])]), **options) as url:
        yield url


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (401, '{"ok": false, "description": "Unauthorized"}', "Telegram does not know this TELEGRAM_TOKEN: copy it again"),
        (404, "<html>nothing at PATH</html>", "Telegram does not know this TELEGRAM_TOKEN: copy it again"),
        (403, "<html>no way to PATH</html>", "Telegram refused: "),
        (405, "no POST to PATH", "{url} cannot be reached (Method Not Allowed (405)"),
        (409, '{"ok": false, "description": "Conflict: terminated by other getUpdates request"}', "another process fetches"),
        (429, '{"ok": false, "parameters": {"retry_after": 30}}', "Telegram refused: Too Many Requests: retry after 30 s."),
        (502, "<html>bad gateway</html>", "{url} cannot be reached (HTTP status 502): check your network and TELEGRAM_API_URL."),
        (504, "", "{url} cannot be reached (Gateway Timeout): check"),
    ],
)  # fmt: skip
def test_an_answer_that_ends_the_command_is_one_sentence_without_the_token(
    status: int, text: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A web server's own page may repeat the address, which holds the token."""
    with answering(status, text) as url:
        refused = refusal(monkeypatch, TELEGRAM_API_URL=url)
    assert refused.startswith(said.replace("{url}", url))
    assert "\n" not in refused
    assert TOKEN.split(":")[1] not in refused


def refusal(monkeypatch: pytest.MonkeyPatch, **environ: str) -> str:
    """What `python -m app.bot info` prints as its error."""
    for name, value in (BOT | environ).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingError) as refused:
        asyncio.run(run(info, {}))
    return str(refused.value)


def test_a_proxy_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(monkeypatch, HTTPS_PROXY=f"http://ann:{PASSWORD}@127.0.0.1:9") == (
        "https://api.telegram.org cannot be reached (All connection attempts failed): "
        "check the proxy in HTTPS_PROXY and TELEGRAM_API_URL."
    )


def make_certificate(folder: Path) -> dict[str, Path]:
    """A certificate for 127.0.0.1 that only itself vouches for, and its key, as uvicorn's options."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
    certificate = builder.add_extension(addresses, critical=True).sign(key, hashes.SHA256())
    files = {"ssl_certfile": folder / "certificate.pem", "ssl_keyfile": folder / "key.pem"}
    files["ssl_certfile"].write_bytes(certificate.public_bytes(Encoding.PEM))
    files["ssl_keyfile"].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def test_a_network_with_certificates_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that reads what passes is believed only with SSL_CERT_FILE, and the sentence says so."""
    files: dict[str, Any] = make_certificate(tmp_path)
    with answering(401, **files) as address:
        url = address.replace("http:", "https:")
        refused = refusal(monkeypatch, TELEGRAM_API_URL=url)
        assert refused.startswith(
            f"{url} cannot be reached ([SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"
        )
        assert refused.endswith(
            "check your network, whose certificates may be missing in SSL_CERT_FILE, and TELEGRAM_API_URL."
        )
        believed = refusal(monkeypatch, TELEGRAM_API_URL=url, SSL_CERT_FILE=str(files["ssl_certfile"]))
        assert believed.startswith("Telegram does not know this TELEGRAM_TOKEN")


@pytest.mark.usefixtures("short_pauses")
def test_a_proxy_that_refuses_has_not_carried_anything_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The update was once taken for answered, because a request had been sent, though only to the proxy."""
    with answering(200) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        with bot(telegram_api_url="https://api.telegram.org") as telegram:
            reply = httpx.post(telegram.webhook["url"], json=UPDATE, headers=SECRET_HEADER, trust_env=False)
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "undelivered")


@pytest.mark.usefixtures("short_pauses")
def test_the_log_says_why_an_update_is_to_be_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    with bot() as telegram:
        telegram.fault = Failing("sendMessage", Fault(status=401), 1)
        telegram.write(7, "/help")
        telegram.settle()
        assert (len(telegram.said(7)), telegram.statuses) == (1, {503: 1, 200: 1})
    assert "an update is to be sent again: Telegram does not know this TELEGRAM_TOKEN: copy it again" in caplog.text


@pytest.mark.slow
def test_polling_waits_as_long_as_telegram_asks_and_says_why(tmp_path: Path) -> None:
    with Telegram().serving() as telegram:
        faults = iter([Fault(status=502), Fault(retry_after=1)])
        telegram.fault = lambda method: next(faults, None) if method == "getUpdates" else None
        telegram.write(7, "/help")
        out = poll(telegram, BOT | NONE)
        assert len(telegram.said(7)) == 1
    assert "(HTTP status 502): check your network and TELEGRAM_API_URL. Trying again in 2 s.\n" in out
    assert "Telegram refused: Too Many Requests: retry after 1 s. Trying again in 1 s.\n" in out
    assert TOKEN.split(":")[1] not in out
