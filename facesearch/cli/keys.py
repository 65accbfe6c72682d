"""What a user answers in the terminal: one key, or a line that Tab completes."""

import os
import select
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import typer

from facesearch.errors import UsageError
from facesearch.files import printable

_LONGEST_KEY = 32  # bytes
_BETWEEN_CHECKS = 0.2  # seconds
_END = ("\x04", "\x1a", "")  # Ctrl-D, Ctrl-Z, and a terminal that is gone


def is_terminal() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def must_be_terminal(otherwise: str) -> None:
    """Raises UsageError with the advice where nobody can be asked."""
    if not is_terminal():
        raise UsageError(f"There is no terminal to ask in; {otherwise}.")


def key(prompt: str, among: str, default: str = "") -> str:
    """The first key that is pressed of those in `among`; that of Enter is `default`, where it has a meaning. The end
    of the input is `q`. Raises KeyboardInterrupt."""
    with _one_by_one() as pressed:
        typer.echo(f"{printable(prompt)} ", nl=False, err=True)
        while True:
            typed = pressed()
            chosen = "q" if typed in _END else default if typed in ("\r", "\n") else typed.lower()
            if len(chosen) == 1 and chosen in f"{among}q":
                typer.echo(chosen, err=True)
                return chosen


@contextmanager
def _one_by_one() -> Iterator[Callable[[], str]]:
    """What reads a key as soon as it is pressed. Those that were pressed before are forgotten: a key that is held
    must not answer a question that nobody has seen."""
    try:
        import termios
    except ImportError:  # Windows
        yield typer.getchar
        return
    with _unbuffered(termios.TCSAFLUSH):

        def pressed() -> str:
            _wait_for_a_key()
            # One reading is one key: that of an arrow is several bytes, of which some are letters.
            return os.read(sys.stdin.fileno(), _LONGEST_KEY).decode(errors="replace")

        yield pressed


@contextmanager
def _unbuffered(when: int) -> Iterator[None]:
    """Inside, the terminal hands out keys one by one, and does not show them. `when` is termios's: whether keys that
    were pressed before count."""
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, when)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _wait_for_a_key() -> None:
    """Returns when a key can be read. A Ctrl-C that comes just before a wait without end would be heard only with the
    next key."""
    while not select.select([sys.stdin.fileno()], [], [], _BETWEEN_CHECKS)[0]:
        pass


def line(prompt: str, completions: Sequence[str]) -> str | None:
    """The line that is typed, without spaces at its ends; None at the end of the input. Tab completes it to one of
    these, in upper or lower case. Raises KeyboardInterrupt."""
    shown = f"{printable(prompt)} "
    try:
        if not sys.stdout.isatty():  # Python would write the prompt into the answer
            typer.echo(shown, nl=False, err=True)
            typed = sys.stdin.readline()
            if not typed:
                raise EOFError
            return typed.strip()
        _complete(completions)
        _wait_for_a_line(shown)
        return input(f"\r{shown}").strip()
    except EOFError:
        typer.echo(err=True)
        return None


def _wait_for_a_line(prompt: str) -> None:
    """Shows the prompt, and returns when a line is begun: readline itself waits without end (see
    `_wait_for_a_key`)."""
    try:
        import termios
    except ImportError:  # Windows
        return
    with _unbuffered(termios.TCSADRAIN):
        typer.echo(prompt, nl=False)
        _wait_for_a_key()


def _complete(completions: Sequence[str]) -> None:
    try:
        import readline
    except ImportError:  # Windows
        return

    def offered(begin: str, number: int) -> str | None:
        fits = [name for name in completions if name.casefold().startswith(begin.casefold()) and name.isprintable()]
        return fits[number] if number < len(fits) else None

    readline.set_completer(offered)
    readline.set_completer_delims("")  # names have spaces
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
    if not libedit:
        readline.parse_and_bind("set completion-ignore-case on")
