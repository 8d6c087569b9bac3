"""The documentation tells the truth: what it names is there, what it generates is current, what it tells people to run works."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import zstandard

from app.bot.__main__ import VERBS as BOT_VERBS
from app.bot.strings import COMMANDS
from app.settings import meanings, read_settings
from docs import generate
from docs.file_tree import caption, tree_paths
from finetune.__main__ import VERBS
from finetune.fetch.guardrails import NAMES
from finetune.fetch.named_source import SOURCE_KINDS
from finetune.fetch.query import query_names
from tests.conftest import ROOT, process, write_tiny

PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [*generate.pages(), ROOT / "CONTRIBUTING.md"]
}
README = PAGES["README.md"]
# What docs/README.md says that a block of commands needs. Blocks without a word are run here.
NEEDS = {"setup", "download", "server", "cloud", "telegram", "container", "other-program"}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the words behind it, its lines without their indentation."""

    language: str
    words: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def commands(self) -> list[str]:
        """The lines that begin with a dollar, each with those that continue it."""
        return re.findall(r"^\$ ((?:.*\\\n)*.*)$", "\n".join(self.lines), re.MULTILINE)


def blocks(text: str) -> Iterator[Block]:
    for found in re.finditer(r"^( *)```(\w+)([^\n]*)\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE):
        indent, language, words, body = found.groups()
        yield Block(language, tuple(words.split()), tuple(line.removeprefix(indent) for line in body.splitlines()))


def prose(text: str) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.DOTALL | re.MULTILINE)


# What is generated.


def test_the_generated_parts_are_current() -> None:
    assert generate.main(["--check"]) == 0, "run `make docs`"


def test_a_page_that_is_out_of_date_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "README.md"
    page.write_text("Before.\n<!-- generated: verbs -->\n<!-- end -->\nAfter.\n", encoding="utf-8")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().err == "README.md is out of date: run `make docs`.\n"
    assert generate.main([]) == generate.main(["--check"]) == 0
    assert re.fullmatch(r"Before\.\n.*\| `train` \|.*After\.\n", page.read_text(encoding="utf-8"), re.DOTALL)


def test_every_file_in_the_tree_has_a_caption_of_one_line() -> None:
    for path in tree_paths():
        assert 0 < len(caption(path)) <= 160, f"{path}: {caption(path)!r}"


def test_every_package_says_why_it_is_here() -> None:
    for path in (ROOT / "requirements").glob("*.in"):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert line.startswith(("#", "-")) or re.search(r"\S  # \S", line), f"{path.name}: {line}"
    for name in ("container", "training", "gpu", "tests", "browser"):
        assert f"<!-- generated: dependencies {name} -->" in PAGES["docs/architecture.md"]


# What is named.


def test_every_setting_has_its_default() -> None:
    for name in meanings():
        default = getattr(read_settings({}), name.lower())
        assert f"| `{name}` | {f'`{default}`' if default != '' else 'empty'} |" in PAGES["docs/settings.md"]


def test_every_verb_and_option_is_there() -> None:
    everything = "\n".join(PAGES.values())
    for verb, parser in generate.verbs().items():
        assert f"<!-- generated: options {verb} -->" in everything
        for action in parser._actions:
            assert action.dest in ("help", "config", "print_config") or action.help, f"{verb} --{action.dest}"
    assert set(generate.verbs()) == set(VERBS)


def test_every_route_and_field_is_there() -> None:
    application = (ROOT / "app/application.py").read_text(encoding="utf-8")
    routes = {path.replace(":path", "") for path in re.findall(r'Route\("(/[^"]*)"', application)}
    assert {"/", "/generate", "/v1/chat/completions", "/health", "/version"} <= routes
    for route in routes:
        assert f"| `{route}` |" in PAGES["docs/serving.md"]
    for path in ("/", "/v1/completions", "/v1/chat/completions"):
        assert f"<!-- generated: fields {path} -->" in PAGES["docs/serving.md"]
    for field in (
        "seed",
        "stop",
        "model",
        "presence_penalty",
        "include_prefix",
        "n",
        "logit_bias",
        "user",
        "messages",
        "prefix",
    ):
        assert f"| `{field}` |" in PAGES["docs/serving.md"]


def test_every_query_source_and_guardrail_is_there() -> None:
    for name in (*query_names(), *SOURCE_KINDS, "ratings", *NAMES):
        assert f"`{name}`" in PAGES["docs/fetching-text.md"]


def test_every_verb_and_command_of_the_bot_is_there() -> None:
    page = PAGES["docs/telegram.md"]
    assert all(f"python -m app.bot {verb}" in page for verb in BOT_VERBS)
    assert all(f"`/{command}`" in page for command in COMMANDS)


def test_every_label_of_the_page_is_there() -> None:
    page = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "app/web").glob("*.js"))
    page += (ROOT / "app/web/index.html").read_text(encoding="utf-8")
    labels = set(re.findall(r"\*\*(.+?)\*\*", PAGES["docs/page.md"]))
    assert {"Continue", "Settings", "History"} <= labels
    for label in labels:
        assert re.search(rf'[>"]{label}[<"]', page), label


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {target for text in PAGES.values() for target in re.findall(r"(?:`|[$;] |&& )make ([\w.-]+)", text)}
    assert {"serve", "test", "docs"} <= targets
    for target in targets - {".venv"}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def anchors(text: str) -> set[str]:
    """The fragments that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "name", [*PAGES, "CHANGELOG.md", "SECURITY.md", "models/starter/README.md", "finetune/starter_corpus/README.md"]
)
def test_every_link_leads_somewhere(name: str) -> None:
    text = prose((ROOT / name).read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(([^)\s]+)\)", text.replace("\n", "")) + re.findall(r'src="([^"]+)"', text)
    for target in targets:
        path, _, anchor = target.partition("#")
        if path.startswith("https://"):
            continue
        page = (ROOT / name).parent / path if path else ROOT / name
        assert page.exists(), f"{name} links to {target}"
        assert not anchor or anchor in anchors(page.read_text(encoding="utf-8")), f"{name} links to {target}"


@pytest.mark.parametrize("name", PAGES)
def test_tables_have_as_many_cells_in_each_row(name: str) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", prose(PAGES[name]), re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table


def test_the_front_page_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_every_module_named_in_the_flows_is_there() -> None:
    flows = PAGES["docs/architecture.md"].partition("## Every file")[0]
    named = re.findall(r"`((?:app/|finetune/)?[a-z_]+/[a-z_]+)`", flows)
    assert len(named) > 20
    for name in named:
        folders = (ROOT, ROOT / "app", ROOT / "finetune")
        assert any((folder / name).is_dir() or (folder / f"{name}.py").is_file() for folder in folders), name


# What the messages say.


def messages() -> list[re.Pattern[str]]:
    """The strings in the code; an f-string's expressions stand for anything."""
    found = []
    for path in [*(ROOT / "app").rglob("*.py"), *(ROOT / "finetune").rglob("*.py")]:
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        inside = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
                found.append(re.escape(node.value))
            elif isinstance(node, ast.JoinedStr):
                parts = (re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".*" for part in node.values)
                found.append("".join(parts))
    return [re.compile(pattern) for pattern in found if len(pattern) > 20]


def test_troubleshooting_quotes_messages_as_they_are_printed() -> None:
    """A heading in backticks is a message of this program; those of others are in plain text."""
    headings = re.findall(r"^### (`+ ?)(.+?) ?`+$", PAGES["docs/troubleshooting.md"], re.MULTILINE)
    quoted = [message for _, message in headings]
    assert len(quoted) >= 12
    known = messages()
    unknown = []
    for message in quoted:
        longest = max((len(found[0]) for pattern in known if (found := pattern.search(message))), default=0)
        # A message may be put together from two strings.
        if longest < len(message) / 3:
            unknown.append(message)
    assert not unknown, "no messages of the code read like these"


# What people are told to run.


def test_every_block_of_commands_is_run_or_says_what_it_needs() -> None:
    for name, text in PAGES.items():
        for block in blocks(text):
            assert set(block.words) <= NEEDS, f"{name}: ```{block.language} {' '.join(block.words)}"
            assert block.language != "console" or block.commands, f"{name}: a block of commands without a command"
    assert all(f"| `{word}` |" in PAGES["docs/README.md"] for word in NEEDS)


def furnish(folder: Path) -> None:
    """A folder with what the pages take for granted; the models in it are tiny."""
    (folder / "models").mkdir(parents=True)
    (folder / "models/starter").symlink_to(ROOT / "models/starter")
    for name in ("models/124M", "checkpoint/theirs"):
        write_tiny(folder / name)
    jokes = "".join(
        f"Why did duck {number} cross road {number * 7}? To see {number * 3} geese.\n" for number in range(90)
    )
    (folder / "jokes.csv").write_text(f"joke\n{jokes}", encoding="utf-8")
    comments = (
        {"id": str(number), "author": "ann", "subreddit": "AmItheAsshole", "created_utc": 1546300800, "score": 5,
         "body": f"YTA, and you know why this is number {number}.", "parent_id": "t3_x", "link_id": "t3_x"}
        for number in range(50)
    )  # fmt: skip
    (folder / "dumps").mkdir()
    lines = "".join(f"{json.dumps(comment)}\n" for comment in comments)
    (folder / "dumps/RC_2019-01.zst").write_bytes(zstandard.compress(lines.encode()))


def run(command: str, folder: Path, address: str) -> str:
    """A command as a person would type it, but to the server of this test, and with less training. Returns its output."""
    typed = command.replace("http://localhost:8080", address).replace("localhost:8080", address)
    typed = re.sub(r"(finetune train .*--steps) \d+", r"\1 2 --sample_length 8", typed)
    environ = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", typed], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, f"$ {command}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


def run_page(text: str, folder: Path) -> None:
    """Run a page's commands and Python from top to bottom. `MODEL=... make serve` decides which model is served from there on."""
    with contextlib.ExitStack() as servers:
        address = ""
        for block in blocks(text):
            said = "\n".join(block.lines)
            if "server" in block.words:
                model = re.search(r"MODEL=(\S+)", said)
                address = serve(servers, model[1] if model else "models/starter")
            if block.words or block.language not in ("console", "python"):
                continue
            if "localhost" in said and not address:
                address = serve(servers, "models/starter")
            if block.language == "python":
                run(f"python - <<'END'\n{said}\nEND", folder, address)
            for command in block.commands:
                assert '"error"' not in run(command.replace("curl ", "curl -sS "), folder, address), command


def serve(servers: contextlib.ExitStack, model: str) -> str:
    _, address = servers.enter_context(process("-m", "app", MODEL=model))
    return address


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the docs use curl")
def test_the_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the front page in one folder; from the quickstart and then all other pages, which build on it, in another."""
    front, rest = tmp_path / "front", tmp_path / "rest"
    for folder in (front, rest):
        furnish(folder)
    monkeypatch.chdir(front)
    run_page(README, front)
    monkeypatch.chdir(rest)
    run_page(PAGES["docs/quickstart.md"], rest)
    run(
        "python -m finetune export --checkpoint checkpoint/theirs --out downloads/DialoGPT-small --format huggingface",
        rest,
        "",
    )
    for name in PAGES.keys() - {"README.md", "docs/quickstart.md"}:
        run_page(PAGES[name], rest)
    # What the container would serve.
    assert (rest / "checkpoint/run1/checkpoint").is_file()
