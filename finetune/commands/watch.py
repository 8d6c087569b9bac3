"""`watch`: a live page of a training run, or of several beside each other.

    gpt2 watch checkpoint/jokes --open

It shows the losses with a verdict in words, how long it will take, what the model writes from save to save and how much of it
is copied, and lets you talk to the newest save. The same page is left as RUN/watch.html when a training ends.
"""

from __future__ import annotations

import os
import sys
import webbrowser
from contextlib import suppress
from pathlib import Path

from app.errors import SettingError
from finetune.readable_json import readable_json
from finetune.watch.run_files import refuse_other_folders, run_named
from finetune.watch.watched_runs import WatchedRuns

USUAL_PORT = 8123
NICENESS = 10
"""The training goes first: this process takes what processor time is left."""


def watch(
    runs: list[Path],
    /,
    *,
    port: int | None = None,
    host: str = "127.0.0.1",
    open: bool = False,  # noqa: A002  The command line says --open.
    json: bool = False,
) -> None:
    """Show a live page of a training run, or of several: losses, time left, texts from save to save, talk to it.

    Args:
        runs: the folders of the runs, such as checkpoint/NAME, or their names; one that has not begun yet is waited for
        port: the page's port; by default 8123, or any that is free
        host: the address to listen on; 0.0.0.0 lets other machines see the page
        open: open the page in a browser
        json: print what the page would show as JSON, and end
    """
    runs = [run_named(path) for path in runs]
    for folder in runs:
        refuse_other_folders(folder)
    if port is not None and not 0 <= port <= 65535:
        raise SettingError(f"--port is {port} and should be between 0 and 65535.")
    watched = WatchedRuns(runs)
    if json:
        sys.stdout.write(readable_json(watched.views(wait=True)).decode())
        return
    from finetune.watch.watch_server import listen_on, serve_page, watch_application

    with listen_on(host, port, USUAL_PORT) as listener:
        go_second()
        address = f"http://{'localhost' if host in ('127.0.0.1', '0.0.0.0') else host}:{listener.getsockname()[1]}/"
        print(f"{address} shows {', '.join(map(str, runs))}. Ctrl-C ends the page, not the training.", flush=True)
        if open:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):
            serve_page(watch_application(watched, host), listener)


def go_second() -> None:
    """Leave the processor and the GPU to the training."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    if hasattr(os, "nice"):
        os.nice(NICENESS)
