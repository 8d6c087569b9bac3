"""`python -m app`: load the model, open the port and answer requests until told to stop. `--help` lists the settings."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from app.errors import FatalError


def main(arguments: Sequence[str] = ()) -> int:
    if arguments:
        return explain(arguments)
    # As process 1 of a container, it would not be stopped by a signal that it does not handle.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: os._exit(128 + number))
    from app.log import configure_logging, fatal_line, write_utf_8
    from app.settings import json_wanted, misspelt, read_settings

    write_utf_8()
    as_json = json_wanted()
    # What is imported and loaded stays: looking for garbage in it would take a twentieth of the start, and time later on.
    gc.disable()
    try:
        from app.engine.heap import loading_weights, share_heap
        from app.models import load_models
        from app.port import listen, reserve
        from app.telemetry import open_telemetry

        settings = read_settings()
        configure_logging(settings.log_level, as_json, settings.google_cloud_project)
        for warning in misspelt():
            logging.getLogger(__name__).warning(warning)
        telemetry = open_telemetry()
        port = reserve(settings.port, settings.listen)
        share_heap()
        # On a thread, so that this one imports the server meanwhile, and hears a signal to stop while a large model is loaded.
        with loading_weights(), ThreadPoolExecutor(1) as thread:
            loading = thread.submit(load_models, settings)
            from app.application import create_application
            from app.engine.generation_queue import GenerationQueue
            from app.server import serve

            models = loading.result()
        queue = GenerationQueue(settings.concurrency, settings.queue_limit, settings.request_timeout, models.memory)
        application = create_application(models, queue, settings, telemetry)
        listen(port)
        gc.freeze()
    except FatalError as error:
        print(fatal_line(error, as_json), file=sys.stderr)
        return 2
    finally:
        gc.enable()
    serve(application, models.default, port, settings.log_level, queue.drain)
    return 0


def explain(arguments: Sequence[str]) -> int:
    """Print what this program does, if that is asked for. It takes no other argument."""
    from app.settings_help import settings_help

    if set(arguments) <= {"--help", "-h"}:
        print(settings_help())
        return 0
    print(
        f"error: python -m app takes no arguments, such as {arguments[0]!r}, but environment variables: --help lists them.",
        file=sys.stderr,
    )
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
