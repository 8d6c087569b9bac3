"""`python -m app`: load the model, open the port and answer requests until told to stop."""

from __future__ import annotations

import sys

from app.errors import FatalError


def main() -> int:
    from app.log import configure_logging, fatal_line
    from app.settings import json_wanted, read_settings

    as_json = json_wanted()
    try:
        from app.models import load_models
        from app.port import listen, reserve

        settings = read_settings()
        configure_logging(settings.log_level, as_json, settings.google_cloud_project)
        port = reserve(settings.port)
        models = load_models(settings)

        from app.application import create_application
        from app.engine.generation_queue import GenerationQueue
        from app.server import serve

        queue = GenerationQueue(settings.concurrency, settings.queue_limit, settings.request_timeout)
        application = create_application(models, queue, settings)
        listen(port)
    except FatalError as error:
        print(fatal_line(error, as_json), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    serve(application, port, settings.log_level, queue.drain)
    return 0


if __name__ == "__main__":
    sys.exit(main())
