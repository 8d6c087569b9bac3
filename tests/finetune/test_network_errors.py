"""An error of the network is a sentence about the network: what could not be reached, why, and what to do."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import requests
import urllib3

from finetune.__main__ import main
from finetune.commands import download
from finetune.network_errors import PROXIES, network_problem

CLOSED = "127.0.0.1:9"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@contextlib.contextmanager
def listening(answer: bytes | None) -> Iterator[str]:
    """A server that sends these bytes and hangs up, or for None says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                while True:
                    connection = stack.enter_context(listener.accept()[0])
                    if answer is not None:
                        connection.recv(1000)
                        connection.sendall(answer)
                        connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


GET: dict[str, Callable[[str], object]] = {
    "requests": lambda url: requests.get(url, timeout=0.3),
    "httpx": lambda url: httpx.get(url, timeout=0.3),
    "urllib3": lambda url: urllib3.PoolManager(timeout=0.3, retries=False).request("GET", url),
}


def problem_of(get: Callable[[str], object], url: str) -> str | None:
    try:
        get(url)
    except Exception as error:  # Each library has its own.
        return network_problem(error)
    return None


@pytest.mark.parametrize("library", GET)
@pytest.mark.parametrize(
    ("answer", "scheme", "why"),
    [
        (None, "http", "it does not answer in time"),
        (b"", "http", "the connection broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nabc", "http", "the connection broke off"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "https", "its certificate is not trusted"),
    ],
)
def test_the_cause_is_named(library: str, answer: bytes | None, scheme: str, why: str) -> None:
    with listening(answer) as host:
        said = problem_of(GET[library], f"{scheme}://{host}/")
    if library == "httpx":  # It does not keep the operating system's error.
        assert said is not None
        assert said.startswith(f"{host} cannot be reached (")
    else:
        assert said is not None
        assert f" cannot be reached ({why}): " in said


@pytest.mark.parametrize("library", ["requests", "urllib3"])
def test_a_closed_port_and_an_unknown_name(library: str) -> None:
    refused = problem_of(GET[library], f"http://{CLOSED}/")
    assert refused
    assert "cannot be reached (it refuses the connection): check the connection" in refused
    unknown = problem_of(GET[library], "http://name.invalid/")
    assert unknown
    assert unknown.startswith("name.invalid cannot be reached (its name is not known): check the connection")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("HTTPS_PROXY", f"http://user:secret@{CLOSED}", "(the proxy of HTTPS_PROXY does not work): correct or unset it"),
        ("ALL_PROXY", "socks5://127.0.0.1:9", "(the proxy of ALL_PROXY is SOCKS, which is not supported): name an HTTP proxy"),
    ],
)  # fmt: skip
def test_download_names_the_proxy_that_does_not_work(
    variable: str,
    value: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(["download", "124M", "--models", str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: openaipublic.blob.core.windows.net cannot be reached ")
    assert said in printed
    assert "secret" not in printed


def test_no_verb_blames_the_disk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The errors of requests are OSErrors, so a missing network was once `the disk: None`."""

    def unreachable(model: str, models: Path = Path("models")) -> None:
        requests.get(f"http://{CLOSED}/", timeout=1)

    monkeypatch.setattr(download, "download", unreachable)
    assert main(["download", "124M"]) == 2
    assert capsys.readouterr().err == (
        f"error: {CLOSED} cannot be reached (it refuses the connection): check the connection to the internet, or try again "
        "later.\n"
    )


def test_other_errors_are_not_the_networks() -> None:
    assert network_problem(OSError(28, "No space left on device")) is None
    assert network_problem(ValueError("requests")) is None
