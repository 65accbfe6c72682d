"""How a command ends: whatever happens, with one sentence and an exit code of the README's table. 1 is an honest no
and nothing else."""

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

from facesearch import interruption
from facesearch.cli import show
from facesearch.errors import FaceSearchError, UsageError

_UNFORESEEN = FaceSearchError.exit_code
_WHERE = "FACESEARCH_DEBUG=1 shows where, and facesearch doctor looks at this machine"
_LONGEST = 300  # characters of a library's own words


class InterruptedError(FaceSearchError):
    """Ctrl-C, or the system asked the process to end."""

    exit_code = interruption.EXIT_CODE


def code_of(command: Callable[[], object]) -> int:
    """Runs a command to its end, of whatever kind, and gives its exit code. Never raises."""
    ended: int | None = None
    try:
        ended = _number(command())
        show.flush()
        return ended
    except BaseException as error:
        return _explained(error, ended)
    finally:
        _close()


def prepare() -> None:
    """Puts this process in order: open streams, text that any terminal can show, and libraries that say nothing."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if _is_debugging():
        return
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    threading.excepthook = lambda _: None  # what a thread has raised is heard of where its result is missing
    sys.unraisablehook = lambda _: None


def sentence_of(error: BaseException) -> str:
    """What happened, and what to type next, for what nobody foresaw."""
    if isinstance(error, MemoryError):
        return "This machine's memory does not suffice; end other programs, or try it with --threads 1 --batch 8."
    if isinstance(error, FileNotFoundError) and not _has_current_folder():
        return "The folder in which this was started is gone; change to another one and run it again."
    if isinstance(error, OSError) and error.strerror:
        where = (
            f"{os.fsdecode(error.filename)} cannot be used" if _names_a_file(error) else "The system refused a step"
        )
        return f"{where} ({_short(error.strerror)}); {_WHERE}."
    said = _short(" ".join(str(error).split()))
    return f"Something unforeseen happened ({type(error).__name__}{f': {said}' if said else ''}); {_WHERE}."


def _names_a_file(error: OSError) -> bool:
    return isinstance(error.filename, str | bytes) and bool(error.filename)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _number(result: object) -> int:
    return result if isinstance(result, int) else 0


def _explained(error: BaseException, ended: int | None) -> int:
    """Says what happened; the exit code. `ended` is the command's own, where only its output could not be written."""
    if isinstance(error, SystemExit | show.ClosedPipeError):
        return ended or 0  # whoever read the answer has seen enough: Typer and Rich end so, too
    if _is_debugging():
        with suppress(Exception):
            traceback.print_exception(error)
    if isinstance(error, FaceSearchError):
        show.note(str(error))
        return error.exit_code
    if isinstance(error, typer.TyperException):
        return _explained_usage(error)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        show.note(str(error) or "Interrupted.")
        return interruption.EXIT_CODE
    show.note(sentence_of(error))
    return _UNFORESEEN


def _explained_usage(error: Exception) -> int:
    """The words of the command do not fit its options: usage, and what is wrong, in words that cannot be obeyed by a
    terminal."""
    context = getattr(error, "ctx", None)
    said = str(getattr(error, "format_message", lambda: error)()).strip()
    if type(error).__name__ == "NoArgsIsHelpError":  # the help has been shown
        return UsageError.exit_code
    if context is not None:
        show.note(str(context.get_usage()))
        show.note(f"Try '{context.command_path} {context.help_option_names[0]}' for help.")
    show.note(f"Error: {said}")
    return UsageError.exit_code


def _is_debugging() -> bool:
    return os.environ.get("FACESEARCH_DEBUG", "") not in ("", "0")


def _has_current_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 (a path is not asked for)
    except OSError:
        return False
    return True


def _open_streams() -> None:
    """A stream that was closed before the start leads nowhere, or the next file to be opened would get its number,
    and a library's complaint would be written into a gallery."""
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


def _close() -> None:
    """What cannot be written now shall not be tried again when Python ends, which would have a code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
