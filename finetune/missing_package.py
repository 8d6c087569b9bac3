"""A package that is not installed, as a sentence: what serves and chats is installed without what trains."""

from __future__ import annotations

from finetune.network_errors import causes_of

OURS = ("app", "finetune")


def missing_package(error: BaseException) -> str | None:
    """Which package an import lacked, and what installs it. None if it lacked none, or a module of ours."""
    for each in causes_of(error):
        name = (each.name or "").partition(".")[0] if isinstance(each, ModuleNotFoundError) else ""
        if name and name not in OURS:
            return (
                f"this needs {name}, which is not installed here: `pip install '.[train]'` in the project's folder, or "
                "`make .venv/training`, installs everything that trains."
            )
    return None
