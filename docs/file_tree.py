"""The captioned file tree of README.md and docs/architecture.md.

The caption of a Python file is the first line of its docstring; of a package, that of its `__init__.py`. Everything else has its
caption here.
"""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
CAPTIONS = {
    # Folders.
    "app/": "What the container runs: `python -m app`",
    "app/web/": "The page: HTML, CSS and JavaScript modules, without a build step",
    "finetune/": "From text to a bundle: `python -m finetune VERB`",
    "finetune/starter_corpus/": "The text that the starter is trained on, written for this project (CC0)",
    "finetune/report_layout/": "The layout and the style that both reports share",
    "finetune/watch/page/": "The page of runs: its template, style and scripts, which make one file",
    "models/": "Bundles that can be served; yours are ignored by git",
    "models/starter/": "The model that is served unless you name another, with its card",
    "bq_queries/": "What `fetch` asks BigQuery or Reddit's dumps",
    "benchmarks/": "One script for each measured claim; results/ has the figures",
    "docs/": "The documentation, and the script that generates its tables",
    "notebooks/": "Fine-tuning in Colab, on its GPU",
    "tests/": "Mirrors app/ and finetune/, on a tiny real model and real servers",
    "requirements/": "Packages with reasons (.in), locked with hashes (.txt)",
    ".github/": "Continuous integration, and templates for issues and pull requests",
    ".ci/": "What continuous integration runs",
    ".devcontainer/": "A ready-made environment for editors and Codespaces",
    # Files.
    "app/api/letters.npz": "The letters of the picture for previews of links",
    "finetune/evaluation/report.html.jinja": "The template of evaluate's report",
    "finetune/evaluation/comparison.html.jinja": "The template of compare's report",
    "finetune/votes/report.html.jinja": "The template of the votes' report",
    "Dockerfile": "The container: packages, bundle, app",
    "training.Dockerfile": "The image for training, with JAX and CUDA",
    "Makefile": "Commands for everybody; `make help` lists them",
    "README.md": "The front page",
    "CHANGELOG.md": "What each version means for its users",
    "CONTRIBUTING.md": "How to work on this project",
    "SECURITY.md": "How to report a vulnerability",
    "LICENSE": "MIT",
    "cloudbuild.yaml": "The pipeline on Cloud Build: test, build, scan, push, deploy",
    "service.yaml": "The service on Cloud Run, with the reason for each value",
    "training-job.yaml": "Training on a GPU, as a Cloud Run job",
    "pyproject.toml": "Settings of ruff, mypy, pytest and coverage",
    ".dockerignore": "What docker does not send to a build",
    ".gcloudignore": "What gcloud does not send to a build",
    ".cloudbuildignore": "What gcloud does not send to the pipeline",
    ".gitignore": "What git does not track",
    ".gitattributes": "How git treats some files",
    ".editorconfig": "Indentation and line ends for editors",
    ".pre-commit-config.yaml": "Checks before each commit",
}


def tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if (ROOT / line).exists()]


def tree() -> str:
    """Every file with its caption; other folders than packages as a whole."""
    return fenced(line for path in tree_paths() if (line := tree_line(path)))


def folders() -> str:
    """The folders of the first two levels."""
    return fenced(tree_line(path, 22) for path in tree_paths() if path.endswith("/") and path.count("/") <= 2)


def fenced(lines: Iterable[str]) -> str:
    return "\n".join(["```text", *lines, "```"])


def tree_paths() -> list[str]:
    """What the tree lists, folders with a slash at their end: folders first, each before what is in it."""
    return sorted({part for file in tracked() for part in parts_of(file)}, key=order)


def order(path: str) -> list[tuple[bool, str]]:
    *parents, last = path.rstrip("/").split("/")
    return [(False, parent) for parent in parents] + [(not path.endswith("/"), last)]


def parts_of(file: str) -> Iterator[str]:
    """The folders on the way to a file, and the file itself unless a folder stands for all that is in it."""
    parents = [f"{parent}/" for parent in [*reversed(Path(file).parents)][1:]]
    for parent in map(str, parents):
        yield parent
        if not is_listed(parent):
            return
    if not file.endswith("__init__.py"):
        yield file


def is_listed(folder: str) -> bool:
    """Whether the tree lists what is in a folder: the packages of the product, and the models."""
    package = folder.startswith(("app/", "finetune/")) and (ROOT / folder / "__init__.py").is_file()
    return package or folder == "models/"


def tree_line(path: str, width: int = 34) -> str:
    name = Path(path).name + "/" * path.endswith("/")
    indent = "  " * (path.rstrip("/").count("/"))
    return f"{indent + name:<{width}}{caption(path)}"


def caption(path: str) -> str:
    """The first line of a module's docstring, or of its package's; for other files that of CAPTIONS."""
    source = ROOT / path / "__init__.py" if path.endswith("/") else ROOT / path
    if path not in CAPTIONS and source.suffix == ".py" and source.is_file():
        said = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
        return said.partition("\n")[0].rstrip(".:")
    if path not in CAPTIONS:
        raise SystemExit(f"error: {path} has no caption: give it one in docs/file_tree.py.")
    return CAPTIONS[path]
