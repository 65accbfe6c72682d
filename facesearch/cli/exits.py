"""The end of a command: whatever happens, one sentence and an exit code of `ExitCode`."""

import errno
import io
import logging
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress

import typer

from facesearch.cli import show
from facesearch.errors import ExitCode, FaceSearchError

_ADVICE = "set FACESEARCH_DEBUG=1 to see where, or run facesearch doctor to check this machine"
_LONGEST = 300  # characters of a library's own words


class InterruptedCommandError(FaceSearchError):
    """Ctrl-C was pressed, or the system asked the process to end."""

    exit_code = ExitCode.INTERRUPTED


def run_to_exit_code(command: Callable[[], object]) -> int:
    """Runs a command to its end, whatever that is, and returns its exit code. Never raises."""
    code = ExitCode.DONE
    try:
        result = command()
        code = ExitCode(result) if isinstance(result, int) else ExitCode.DONE
        show.flush()
        return code
    except BaseException as error:
        return _report(error, code)
    finally:
        _close_streams()


def prepare_process() -> None:
    """Opens all three streams, makes them print any text, and silences libraries unless FACESEARCH_DEBUG is set."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if _is_debugging():
        return
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    threading.excepthook = lambda _: None  # a thread's error is reported where its result is missing
    sys.unraisablehook = lambda _: None


def describe(error: BaseException) -> str:
    """One sentence for an error that no code foresaw: what happened, and what to type next."""
    if isinstance(error, MemoryError):
        return "This machine has too little memory; close other programs, or try --threads 1 --batch 8."
    if isinstance(error, FileNotFoundError) and not _has_current_folder():
        return "The current folder no longer exists; change to another folder and run the command again."
    if isinstance(error, OSError) and error.strerror:
        named = isinstance(error.filename, str | bytes) and bool(error.filename)
        what = f"{os.fsdecode(error.filename)} cannot be used" if named else "The system refused an operation"
        return f"{what} ({_short(error.strerror)}); {_ADVICE}."
    message = _short(" ".join(str(error).split()))
    details = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return f"Something unforeseen happened ({details}); {_ADVICE}."


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _report(error: BaseException, code: ExitCode) -> int:
    """Tells the user what happened and returns the exit code. `code` is the command's own: it is kept where the
    reader of stdout has gone, or where Typer has ended the command."""
    if isinstance(error, SystemExit | show.ClosedPipeError):
        return code  # whoever read the answer has seen enough: Typer and Rich end like this, too
    if _is_debugging():
        with suppress(Exception):
            traceback.print_exception(error)
    if isinstance(error, FaceSearchError):
        show.warn(str(error))
        return error.exit_code
    if isinstance(error, typer.TyperException):
        return _report_usage(error)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        show.warn(str(error) or "Interrupted.")
        return ExitCode.INTERRUPTED
    show.warn(describe(error))
    return ExitCode.ERROR


def _report_usage(error: Exception) -> int:
    """Shows the command's usage and what is wrong with the options that were given."""
    if type(error).__name__ == "NoArgsIsHelpError":  # the help has been shown
        return ExitCode.USAGE
    context = getattr(error, "ctx", None)
    if context is not None:
        show.warn(str(context.get_usage()))
        show.warn(f"Try '{context.command_path} {context.help_option_names[0]}' for help.")
    message = str(getattr(error, "format_message", lambda: error)()).strip()
    show.warn(f"Error: {message}")
    return ExitCode.USAGE


def _is_debugging() -> bool:
    return os.environ.get("FACESEARCH_DEBUG", "") not in ("", "0")


def _has_current_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 (a path is not asked for)
    except OSError:
        return False
    return True


def _open_streams() -> None:
    """Points a stream that was closed before the start at nothing. Otherwise the next file to be opened would get its
    number, and a library's complaint would be written into a gallery."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError as error:
            if error.errno == errno.EBADF:
                os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 (stays open)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115


def _close_streams() -> None:
    """Drops what cannot be written. Python would try again at its end, and exit with a code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
