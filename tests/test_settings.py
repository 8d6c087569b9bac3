"""The settings: what counts as a value, and one sentence for each that does not fit."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SettingError
from app.settings import Settings, json_wanted, meanings, misspelt, read_settings, secrets, without_blanks
from tests.conftest import process, run_module

# A value for each setting, and what it is read as.
VALUES: dict[str, tuple[str, object]] = {
    "PORT": ("8081", 8081),
    "LISTEN": ("127.0.0.1", "127.0.0.1"),
    "MODEL": ("models/mine", "models/mine"),
    "MODELS": ("models/a, models/b", "models/a, models/b"),
    "ENGINE": ("fake", "fake"),
    "BUNDLE_CHECK": ("sha256", "sha256"),
    "THREADS": ("2", 2),
    "CONCURRENCY": ("3", 3),
    "QUEUE_LIMIT": ("0", 0),
    "REQUEST_TIMEOUT": ("1.5", 1.5),
    "MAX_LENGTH": ("100", 100),
    "CORS_ORIGINS": ("https://a.example", "https://a.example"),
    "FEEDBACK": ("sqlite:////votes/a.db", "sqlite:////votes/a.db"),
    "TELEGRAM_TOKEN": ("4242:AA-a_b", "4242:AA-a_b"),
    "TELEGRAM_SECRET": ("a-secret_1", "a-secret_1"),
    "TELEGRAM_API_URL": ("http://127.0.0.1:8081", "http://127.0.0.1:8081"),
    "TELEGRAM_ALLOW": ("7, -100", "7, -100"),
    "TELEGRAM_RATE": ("5", 5),
    "VOICE": ("espeak-ng:de", "espeak-ng:de"),
    "COMPARE": ("a,people.txt", "a,people.txt"),
    "API_KEYS": ("key-1, key-2", "key-1, key-2"),
    "RATE_LIMIT": ("60", 60),
    "LOG_LEVEL": ("debug", "debug"),
    "LOG_FORMAT": ("json", "json"),
    "GOOGLE_CLOUD_PROJECT": ("jokes-1", "jokes-1"),
}
BLANKS = [" ", "\t", "\n", "\r\n", "\xa0", "\u2003", "\u3000", "\ufeff", "\u200b", " \n\t \ufeff"]


def read(name: str, value: str) -> object:
    return getattr(read_settings({name: value}), name.lower())


def test_every_setting_has_a_value_here() -> None:
    assert VALUES.keys() == meanings().keys()


@pytest.mark.parametrize("name", VALUES)
def test_white_space_around_any_setting_is_dropped(name: str) -> None:
    """The file of a secret ends in a newline, an env file written on Windows has a carriage return, a pasted value a mark.

    `TELEGRAM_TOKEN` with a newline was once refused as "not what it should be", and `MODEL` with a blank as no folder.
    """
    value, right = VALUES[name]
    for blank in BLANKS:
        for given_value in (blank + value, value + blank, blank + value + blank):
            assert read(name, given_value) == right, repr(given_value)


@given(
    name=st.sampled_from(list(VALUES)),
    before=st.text(" \t\r\n\f\v\xa0\ufeff\u200b"),
    after=st.text(" \t\r\n\xa0\ufeff"),
)
def test_any_blanks_around_any_setting_are_dropped(name: str, before: str, after: str) -> None:
    value, right = VALUES[name]
    assert read(name, before + value + after) == right


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_are_refused_and_never_silently_a_part_of_the_value(name: str, quote: str) -> None:
    """Docker's --env-file keeps them: API_KEYS="abc" once let only those in who sent the quotes too."""
    value, _ = VALUES[name]
    for given_value in (quote + value + quote, f" {quote}{value}{quote}\n", quote * 2):
        with pytest.raises(SettingError) as refused:
            read(name, given_value)
        assert str(refused.value).startswith(f"{name} is ")
        assert str(refused.value).endswith(": leave out the quotes, which would be part of the value.")
        assert (value in str(refused.value)) == (name not in secrets() and given_value != quote * 2)


def test_quotes_around_one_of_several_are_refused_too() -> None:
    for value in ("'a',b", "a, 'b' ,c"):
        with pytest.raises(SettingError, match="leave out the quotes"):
            read("API_KEYS", value)
    assert read("API_KEYS", "it's,that's") == "it's,that's"


@pytest.mark.parametrize("name", sorted(set(VALUES) - {"FEEDBACK", "MODEL", "CORS_ORIGINS"} - secrets()))
@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_an_empty_setting_means_the_default(name: str, value: str) -> None:
    assert read(name, value) == getattr(Settings(), name.lower())


@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_where_empty_would_serve_something_else_it_is_no_default(value: str) -> None:
    assert read("FEEDBACK", value) == ""
    for name in ("MODEL", "CORS_ORIGINS"):
        with pytest.raises(SettingError, match=f"^{name} is '', and should be "):
            read(name, value)


@pytest.mark.parametrize("name", sorted(secrets()))
def test_a_secret_of_white_space_alone_is_refused(name: str) -> None:
    """An empty file of keys must not open the service to everybody."""
    assert read(name, "") == ""
    with pytest.raises(SettingError, match=f"^{name} is nothing but white space: give it a value, or leave it out.$"):
        read(name, "\n")


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [("REQUEST_TIMEOUT", "1e2", 100.0), ("REQUEST_TIMEOUT", "30", 30.0), ("MAX_LENGTH", "1e3", 1000), ("THREADS", "2.0", 2)],
)  # fmt: skip
def test_numbers_may_be_written_in_any_usual_way(name: str, value: str, right: float) -> None:
    assert read(name, value) == right


@pytest.mark.parametrize("name", ["ENGINE", "BUNDLE_CHECK", "LOG_LEVEL", "LOG_FORMAT"])
def test_words_may_be_written_in_capitals(name: str) -> None:
    """LOG_LEVEL=INFO, which most programs take, stopped the start."""
    value, right = VALUES[name]
    for given_value in (value.upper(), value.title(), f" {value.upper()}\n"):
        assert read(name, given_value) == right
    assert read("MODEL", "models/Mine") == "models/Mine"


@pytest.mark.parametrize("name", ["PORT", "THREADS", "REQUEST_TIMEOUT", "RATE_LIMIT"])
@pytest.mark.parametrize(
    "value",
    ["1_000", "1,000", "1 000", "+5", "\u0663", "0x10", "010", "inf", "nan", "-nan", "1e400", "1e-400x", "ten", "8080 # web",
     "null", "true", "--1", "1.2.3", "½"],
)  # fmt: skip
def test_what_is_no_number_is_refused_with_its_value(name: str, value: str) -> None:
    with pytest.raises(SettingError) as refused:
        read(name, value)
    assert str(refused.value).startswith(f"{name} is {value!r}, and should be ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELEGRAM_TOKEN", "\u0663:abc"), ("TELEGRAM_TOKEN", "4242:a b"), ("TELEGRAM_TOKEN", "bot4242:abc"),
        ("TELEGRAM_SECRET", "é"), ("TELEGRAM_ALLOW", "7;8"), ("TELEGRAM_ALLOW", "7,"), ("TELEGRAM_ALLOW", "\u0663"),
        ("TELEGRAM_ALLOW", "@ann"), ("TELEGRAM_API_URL", "http://"), ("TELEGRAM_API_URL", "http://[::1"),
        ("TELEGRAM_API_URL", "http://a:99999"), ("TELEGRAM_API_URL", "http://a:b"), ("TELEGRAM_API_URL", "ftp://a"),
        ("TELEGRAM_API_URL", "https:// a"), ("API_KEYS", "a,,b"), ("API_KEYS", "ключ"), ("API_KEYS", "a\nb"),
        ("LOG_LEVEL", "warn"), ("FEEDBACK", "sqlite://a.db"),
    ],
)  # fmt: skip
def test_other_wrong_values_are_refused_in_one_sentence(name: str, value: str) -> None:
    with pytest.raises(SettingError) as refused:
        read(name, value)
    said = str(refused.value)
    assert said.startswith(f"{name} is ")
    assert said.endswith(f", and should be {meanings()[name]}.")
    assert (value in said) == (name not in secrets())


def outcome(name: str, value: str) -> object:
    """The value that is used, or the error."""
    try:
        return read(name, value)
    except SettingError as error:
        return error


TYPED = st.one_of(
    st.text(max_size=20), st.integers().map(str), st.floats().map(str), st.sampled_from([v for v, _ in VALUES.values()])
)


@given(
    name=st.sampled_from(list(VALUES)), value=TYPED.filter(lambda text: "\0" not in text), blank=st.sampled_from(BLANKS)
)
def test_any_value_is_used_as_it_was_given_or_refused_by_name(name: str, value: str, blank: str) -> None:
    """Nothing is taken for something else without a word."""
    used = outcome(name, blank + value + blank)
    bare = without_blanks(value)
    if isinstance(used, SettingError):
        assert str(used).startswith(f"{name} is ")
        assert name not in secrets() or bare not in str(used).removeprefix(name) or len(bare) < 5
    elif not bare:
        assert used == ("" if name == "FEEDBACK" else getattr(Settings(), name.lower()))
    elif isinstance(used, str):
        assert used == bare
    else:
        assert used == float(bare)


def test_a_name_that_is_nearly_a_settings_is_noticed() -> None:
    """API_KEY (without S) once left the service open to everybody, without a word."""
    typos = {
        "API_KEY": "API_KEYS", "CORS_ORIGIN": "CORS_ORIGINS", "TELEGRAM_BOT_TOKEN": "TELEGRAM_TOKEN", "LOGLEVEL": "LOG_LEVEL",
        "RATELIMIT": "RATE_LIMIT", "TELEGRAM_ALLOWED": "TELEGRAM_ALLOW", "port": "PORT",
    }  # fmt: skip
    assert misspelt(dict.fromkeys(typos, "x")) == [
        f"{wrong} is not a setting and changes nothing: did you mean {right}?" for wrong, right in typos.items()
    ]
    others = ["PATH", "HOME", "HOST", "HOSTNAME", "K_SERVICE", "OPENAI_API_KEY", "HTTPS_PROXY", "LANG", "SHLVL", "PWD"]
    assert misspelt(dict.fromkeys([*meanings(), *others], "x")) == []


def test_the_format_of_the_log_is_read_alike() -> None:
    assert json_wanted({"LOG_FORMAT": "json\n"})
    assert json_wanted({"LOG_FORMAT": "JSON"})
    assert not json_wanted({"LOG_FORMAT": " text ", "K_SERVICE": "jokes"})
    assert json_wanted({"LOG_FORMAT": "", "K_SERVICE": "jokes"})


def test_a_server_starts_with_settings_from_files(tmp_path: Path) -> None:
    settings = {"ENGINE": "fake\r\n", "THREADS": "1\n", "LOG_LEVEL": " info", "LOG_FORMAT": "text\n", "API_KEY": "x"}
    with process(FEEDBACK=f" sqlite:///{tmp_path}/votes.db\n", **settings) as (child, _):
        child.send_signal(signal.SIGTERM)
        printed = child.communicate(timeout=20)[0]
    assert "WARNING API_KEY is not a setting and changes nothing: did you mean API_KEYS?\n" in printed


def test_a_setting_in_quotes_stops_the_start_with_one_line() -> None:
    ended = run_module("app", ENGINE="fake", PORT='"8080"')
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "error: PORT is '\"8080\"': leave out the quotes, which would be part of the value.\n"
