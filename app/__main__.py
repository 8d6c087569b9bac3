"""`python -m app`: load the model, open the port, answer until told to stop. All that the container runs."""

from __future__ import annotations

import sys

from app.errors import StartError


def main() -> int:
    try:
        from app.engine import load_engine
        from app.settings import read_settings

        settings = read_settings()
        engine = load_engine(settings)
    except StartError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    from app.application import create_application
    from app.engine.runner import Runner
    from app.server import serve

    runner = Runner(engine, settings.concurrency, settings.queue_limit, settings.request_timeout)
    serve(create_application(runner, settings), settings.port, settings.log_level, runner.drain)
    return 0


if __name__ == "__main__":
    sys.exit(main())
