"""The command `facesearch`, also as `python -m facesearch`."""

import gc
import os
import signal

from facesearch.errors import ExitCode


def main() -> None:
    """Runs the command line. An interruption while it is still being imported ends it without a word."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: os._exit(ExitCode.INTERRUPTED))
    # What is imported stays. To look for garbage in it again and again takes a tenth of what --help takes.
    gc.disable()
    from facesearch.cli import main as run

    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
