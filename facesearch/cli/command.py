"""What all commands share: how much they say, how an interruption is told, and examples in their help."""

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_args

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import OptionInfo

from facesearch import interruption
from facesearch.cli import exits, show
from facesearch.errors import ExitCode, FaceSearchError, UsageError
from facesearch.home import gallery_words, narrow_home

NOTHING_CHANGED = "Interrupted; nothing was changed."

_Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing but the answer, questions and errors.", show_default=False)
]
_Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", help="Say more: networks and engines, how many cores, each failure.", show_default=False
    ),
]
_SHARED = {"quiet": _Quiet, "verbose": _Verbose}


class Command(TyperCommand):
    """A command in whose help a switch has no value, that of `--help` either."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options and arguments."""
        return _without_values(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands, likewise."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options and arguments."""
        return _without_values(super().get_params(ctx))


def _without_values(params: list[Any]) -> list[Any]:
    for each in params:
        if getattr(each, "is_flag", False) and each.metavar is None:
            each.metavar = " "
    return params


def make_command(function: Callable[..., ExitCode], interrupted: str = NOTHING_CHANGED) -> Callable[..., None]:
    """A command whose returned number is its exit code, and whose interruption is an error like any other, with what
    is then true of this command. The core's own sentence, `raise KeyboardInterrupt("...")`, goes first. It has the
    options that all commands have."""

    @functools.wraps(function)
    def run(quiet: bool = False, verbose: bool = False, **words: object) -> None:
        try:
            _refuse_what_is_no_number(words)
            show.be(quiet, verbose)
            narrow_home(show.note)
            code = function(**words)
        except KeyboardInterrupt as error:
            raise exits.InterruptedCommandError(str(error) or _told(interrupted, words)) from None
        except BrokenPipeError as error:  # not of stdout, and Typer would end with 1
            raise FaceSearchError(exits.describe(error)) from error
        except Exception as error:
            if interruption.is_raised():
                raise exits.InterruptedCommandError(_told(interrupted, words)) from error
            raise
        raise typer.Exit(code)

    _add_shared_options(run, function)
    # The help is wrapped to the terminal's width, not to that of the source.
    paragraphs = (function.__doc__ or "").split("\n\n")
    run.__doc__ = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return run


def command_or_group(function: Callable[..., ExitCode]) -> Callable[..., None]:
    """The callback of a group that is a command, too: without another command behind it, it does this."""
    command = make_command(function)

    @functools.wraps(command)
    def run(ctx: typer.Context, **words: object) -> None:
        if ctx.invoked_subcommand is None:
            command(**words)
        given = [name for name in words if getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"]
        if given:
            option = f"--{given[0].replace('_', '-')}"
            raise UsageError(
                f"{option} stands before {ctx.invoked_subcommand}, and belongs behind it: facesearch people "
                f"{ctx.invoked_subcommand} ... {option}"
            )

    own = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    signature = inspect.signature(command)
    run.__signature__ = signature.replace(parameters=[own, *signature.parameters.values()])  # type: ignore[attr-defined]
    run.__annotations__ = {"ctx": typer.Context, **command.__annotations__}
    return run


def epilog(lines: Sequence[str]) -> str | None:
    """The end of a command's help; Typer leaves the lines behind \\b as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  facesearch {line}" for line in lines) if lines else None


def refuse_empty(typed: Sequence[str]) -> None:
    """Raises UsageError for a word without a letter: as a path it would be the current folder."""
    for before, word in zip(["", *typed], typed, strict=False):
        if not word or (word.startswith("--") and word.endswith("=")):
            where = word.rstrip("=") or (before if before.startswith("-") else "An argument")
            raise UsageError(
                f"{where} is empty, as from a variable that is not set; give it a value, or leave it out."
            )


def _told(interrupted: str, words: dict[str, object]) -> str:
    return interrupted.format(which=gallery_words(str(words.get("gallery") or "default")))


def _refuse_what_is_no_number(words: dict[str, object]) -> None:
    for name, value in words.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"--{name.replace('_', '-')} must be a number, not {value}.")


def _add_shared_options(run: Any, function: Callable[..., ExitCode]) -> None:
    signature = inspect.signature(function)
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in _SHARED.items()
    ]
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *shared])
    run.__annotations__ = {**function.__annotations__, **_SHARED}
    for parameter in run.__signature__.parameters.values():
        _name_value(parameter.annotation)


def _name_value(annotation: Any) -> None:
    """One word for one thing in the help: a number's is N where it counts and X where it measures. Words are given
    where the option is."""
    kind, *notes = get_args(annotation)
    for option in notes:
        if isinstance(option, OptionInfo) and option.metavar is None:
            kinds = {kind, *get_args(kind)}
            option.metavar = "N" if int in kinds else "X" if float in kinds else None
