"""The docs are true: what they name exists, what they quote is said, and their generated parts are current."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from app.bot.__main__ import VERBS as BOT_VERBS
from app.bot.languages import COMMANDS
from app.settings import meanings, read_settings
from docs import generate
from docs.file_tree import caption, tree_paths
from finetune.command_line import VERBS, options_of
from finetune.fetch.guardrails import NAMES
from finetune.fetch.named_source import SOURCE_KINDS
from finetune.fetch.query import query_names
from tests.conftest import ROOT
from tests.pages import PAGES, README, prose

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
    for name in ("container", "light", "training", "gpu", "tests", "browser"):
        assert f"<!-- generated: dependencies {name} -->" in PAGES["docs/architecture.md"]


# What is named.


def test_every_setting_has_its_default() -> None:
    for name in meanings():
        default = getattr(read_settings({}), name.lower())
        assert f"| `{name}` | {f'`{default}`' if default != '' else 'empty'} |" in PAGES["docs/settings.md"]


def test_every_verb_and_option_is_there() -> None:
    everything = "\n".join(PAGES.values())
    for verb in VERBS:
        assert f"<!-- generated: options {verb} -->" in everything
        for argument in options_of(verb):
            assert argument.parameter.help, f"{verb} {argument.name}"


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
    """A heading in backticks is a message of this program. Messages of other programs are in plain text."""
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
