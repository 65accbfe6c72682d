"""Opens the page in the user's browser."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable

from facesearch.files import umask_of_user
from facesearch.interruption import out_of_its_reach

# The address comes by a pipe. Without TERM no browser that runs in a terminal is chosen.
_OPEN = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.stdin.readline().strip()))"


def open_browser(address: str, failed: Callable[[], None]) -> None:
    """Opens an address, in a process of its own, so that a browser's own words do not come between. `failed` is
    called, in a thread, where there is no browser. Never raises."""
    threading.Thread(target=_open, args=(address, failed), daemon=True).start()


def _open(address: str, failed: Callable[[], None]) -> None:
    settings = {name: value for name, value in os.environ.items() if name != "TERM"}
    silent = subprocess.DEVNULL
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _OPEN],
            input=address.encode(),
            stdout=silent,
            stderr=silent,
            env=settings,
            umask=umask_of_user(),
            check=False,
            **out_of_its_reach(),
        )
    except OSError:
        return failed()
    return failed() if done.returncode else None
