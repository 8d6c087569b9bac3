"""The house: who may import what, how large things are, what they are called."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path

import app
import app.errors
from tests.conftest import ROOT

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 50
# The routes are a list on one screen.
LISTS = {("app/application.py", "create_application")}
# Two modules may share a name where they are two sides of one thing: the verb and the package that does its work.
VERB_FOLDER = "finetune/commands/"
TOO_GENERAL = {
    "Text", "Line", "Job", "Chat", "Piece", "Place", "Other", "Writing", "Handling", "Course", "Rate", "Start", "Entry",
    "Written", "Writer", "Description", "Manager", "Helper", "Utils",
}  # fmt: skip


def sources(*folders: str) -> list[str]:
    """The Python files below these folders, from the repository's root."""
    return sorted(str(path.relative_to(ROOT)) for folder in folders for path in (ROOT / folder).rglob("*.py"))


PRODUCT = sources("app", "finetune")
EVERYTHING = sources("app", "finetune", "benchmarks", "docs", "tests")


@cache
def parsed(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module_name(path) for path in PRODUCT}


@cache
def imported(path: str) -> frozenset[str]:
    """All imports of a file, also inside functions: modules by their full names, and imported names with their module."""
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively: name the module in full"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def imports_of(path: str) -> AbstractSet[str]:
    """The project's own modules that a file imports, with the packages that names are imported from."""
    return (imported(path) & MODULES) - {module_name(path)}


def package(module: str) -> str:
    """`app.api.replies.plain` belongs to `app.api`; a root module counts as a package of its own."""
    parts = module.split(".")
    return ".".join(parts[:2])


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A circle of the graph: its nodes in order, the first one again at the end. Empty if there is none."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for other in sorted(graph.get(node, ())):
            if found := visit(other, [*path, node]):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := visit(node, []))), [])


def module_graph() -> dict[str, set[str]]:
    return {module_name(path): set(imports_of(path)) for path in PRODUCT}


def package_graph() -> dict[str, set[str]]:
    graph: dict[str, set[str]] = defaultdict(set)
    for module, others in module_graph().items():
        graph[package(module)] |= {package(other) for other in others} - {package(module)}
    return graph


def test_a_circle_is_found() -> None:
    """A checker that never finds a circle would let every test below pass."""
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert not circle({"a": {"b", "c"}, "b": {"c"}, "c": set()})


def test_no_modules_import_each_other() -> None:
    """Imports inside functions count too: they only hide a circle."""
    assert not circle(module_graph())


def test_no_packages_import_each_other() -> None:
    assert not circle(package_graph())


def within(names: AbstractSet[str], *packages: str) -> set[str]:
    return {name for name in names if f"{name}.".startswith(tuple(f"{each}." for each in packages))}


def test_the_app_imports_nothing_for_training() -> None:
    for path in sources("app"):
        forbidden = ["finetune", "keras", "onnx", "tests", "benchmarks", "docs", "cyclopts"]
        if path != "app/engine/tensorflow.py":
            forbidden += ["tensorflow", "gpt_2_simple"]
        assert not within(imported(path), *forbidden), path


def test_the_engine_knows_neither_http_nor_settings() -> None:
    for path in sources("app/engine"):
        own = {name for name in imports_of(path) if not name.startswith("app.engine")}
        assert own <= {"app.errors"}, path
        assert not within(imported(path), "starlette", "uvicorn", "telegram"), path
        assert not within(imported(path), *(f"app.errors.{name}" for name in http_errors())), path


def http_errors() -> set[str]:
    kinds = vars(app.errors).values()
    return {kind.__name__ for kind in kinds if isinstance(kind, type) and issubclass(kind, app.errors.RequestError)}


def test_the_routes_of_other_protocols_take_no_time_at_the_start() -> None:
    """Nor do the traces. They are imported when they are needed: nothing that is imported at the start leads there."""
    seen: set[str] = set()
    waiting = ["app/__main__.py", "app/application.py", "app/server.py"]
    while waiting:
        path = waiting.pop()
        top = {
            name
            for node in parsed(path).body
            if isinstance(node, ast.ImportFrom)
            for name in (node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names))
        }
        new = (top & MODULES) - seen
        seen |= new
        files = [name.replace(".", "/") for name in new]
        waiting += [f"{file}.py" if (ROOT / f"{file}.py").is_file() else f"{file}/__init__.py" for file in files]
    late = (
        "app.api.ollama",
        "app.api.tgi",
        "app.api.llama_cpp",
        "app.api.responses",
        "app.api.tracing",
        "app.api.openapi",
    )
    assert {"app.api.chat", "app.api.keys"} <= seen
    assert not within(seen, *late)


def test_finetune_imports_only_the_engine_and_the_errors_of_the_app() -> None:
    """The image that exports a checkpoint contains no other part of the app. `serve` has the app's settings as options.

    What bounds the answers of other servers is for the app and for finetune alike.
    """
    for path in sources("finetune"):
        allowed = (
            "app.engine",
            "app.errors",
            "app.bounded_adapter",
            *(["app.settings"] if path == "finetune/commands/serve.py" else []),
        )
        own = {name for name in imports_of(path) if name.startswith("app.")}
        assert not {name for name in own if not name.startswith(allowed)}, path


def test_verbs_are_leaves() -> None:
    """The command line names each verb and imports it when it is used."""
    for path in PRODUCT:
        assert path.startswith(VERB_FOLDER) or not within(imports_of(path), "finetune.commands"), path


def test_no_verb_imports_another() -> None:
    for path in set(sources("finetune/commands")) - {"finetune/commands/new.py", "finetune/commands/starter.py"}:
        assert not within(imports_of(path), "finetune.commands") - {"finetune.commands"}, path


def test_the_routes_and_the_bot_do_not_import_each_other() -> None:
    """Both ask a model through app/ask.py. Two modules may import the bot: the webhook's route, and the state for its types."""
    for path in sources("app/bot"):
        assert not within(imports_of(path), "app.api")
    exceptions = {"app/api/telegram.py", "app/api/state.py"}
    for path in set(sources("app/api")) - exceptions:
        assert not within(imports_of(path), "app.bot")


def test_one_name_one_module() -> None:
    """Names should lead to one file. A verb may share the name of the package that does its work."""
    named: dict[str, list[str]] = defaultdict(list)
    for path in PRODUCT:
        name = Path(path).stem
        if not name.startswith("__") and not path.startswith(VERB_FOLDER):
            named[name].append(path)
    assert not {name: paths for name, paths in named.items() if len(paths) > 1}


def classes(path: str) -> Iterator[ast.ClassDef]:
    return (node for node in parsed(path).body if isinstance(node, ast.ClassDef))


def test_one_name_one_class() -> None:
    named: dict[str, list[str]] = defaultdict(list)
    for path in PRODUCT:
        for each in classes(path):
            named[each.name].append(path)
    assert not {name: paths for name, paths in named.items() if len(paths) > 1}


def test_classes_are_named_after_the_fields_terms() -> None:
    assert not [f"{path}: {each.name}" for path in PRODUCT for each in classes(path) if each.name in TOO_GENERAL]


def test_a_file_is_short() -> None:
    lengths = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in EVERYTHING}
    assert not {path: lines for path, lines in lengths.items() if lines > MAX_FILE_LINES}


def functions(path: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without the docstring."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_functions_are_short() -> None:
    lengths = {f"{path}:{each.name}": length(each) for path in PRODUCT for each in functions(path)}
    ordered = sorted(lengths.values())
    assert ordered[len(ordered) // 2] <= 8
    allowed = {f"{path}:{name}" for path, name in LISTS}
    assert not {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES and name not in allowed}


def test_a_module_opens_with_what_it_is() -> None:
    """The first line of its docstring is its caption in the architecture's tree."""
    captions = {path: (ast.get_docstring(parsed(path)) or "").partition("\n")[0] for path in PRODUCT}
    assert not {path: caption for path, caption in captions.items() if not 10 <= len(caption) <= 130}


def test_no_context_variables() -> None:
    """A function gets what it needs as arguments. The exception is a request's trace, which every log line carries."""
    for path in set(PRODUCT) - {"app/log.py"}:
        assert not within(imported(path), "contextvars"), path


def test_html_comes_from_templates_that_escape() -> None:
    for path in sources("finetune"):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not re.search(r"f[\"'][^\"'\n]*</?(div|p|td|tr|table|span|h\d|pre|li|ul|section|figure)\b", text), path
        assert not re.search(r"\bhtml\.escape\b", text), path
        assert not within(imported(path), "html.escape", "string.Template"), path


def test_one_version() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == app.__version__


def test_requirements_are_hashed_and_name_no_address() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "http" not in re.sub(r"^[\w.-]+==", "", text, flags=re.MULTILINE)
        assert "index" not in text
        for block in re.findall(r"^[a-z].+?==(?:.|\n)+?(?=\n[a-z#]|\Z)", text, re.MULTILINE):
            assert "--hash=sha256:" in block
