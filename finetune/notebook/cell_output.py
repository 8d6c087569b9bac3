"""The output of a notebook's cell: lines, and below the last one a progress bar that changes in place."""

from __future__ import annotations

from IPython.display import DisplayHandle


class CellOutput:
    """Shows lines, and the newest state of a progress bar."""

    def __init__(self) -> None:
        self._bar = DisplayHandle()
        self._bar.display({"text/plain": ""}, raw=True)

    def show(self, text: str, replaced: bool) -> None:
        """Show a line; in the place of the bar if the next line replaces it."""
        if replaced:
            self._bar.update({"text/plain": text}, raw=True)
        elif text:
            print(text, flush=True)
