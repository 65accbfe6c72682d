"""The command `facesearch`, also as `python -m facesearch`."""

import os
import signal

_INTERRUPTED = 130  # interruption.EXIT_CODE, which is not imported yet


def main() -> None:
    """Runs the command line. An interruption while it is still being imported ends it without a word."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: os._exit(_INTERRUPTED))
    from facesearch.cli import main as run

    run()


if __name__ == "__main__":
    main()
