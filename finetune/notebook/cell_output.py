"""The output of a notebook's cell: a chart and a progress bar that change in place, and lines below them."""

from __future__ import annotations

from IPython.display import DisplayHandle


class CellOutput:
    """Shows lines, the newest state of a progress bar and the newest chart."""

    def __init__(self) -> None:
        self._chart = DisplayHandle()
        self._bar = DisplayHandle()
        self._chart.display({"text/plain": ""}, raw=True)
        self._bar.display({"text/plain": ""}, raw=True)

    def show(self, text: str, replaced: bool) -> None:
        """Show a line; in the place of the bar if the next line replaces it."""
        if replaced:
            self._bar.update({"text/plain": text}, raw=True)
        elif text:
            print(text, flush=True)

    def draw(self, png: bytes) -> None:
        """Show this chart in place of the one before."""
        self._chart.update({"image/png": png, "text/plain": "loss curve"}, raw=True)
