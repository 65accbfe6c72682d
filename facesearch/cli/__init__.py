"""The command line: one module for each group of commands; each parses, calls one use case and shows the result.

Everything heavy is imported inside the commands, so that `facesearch --help` is there at once."""

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from facesearch import __version__, interruption
from facesearch.cli import about, align, bench, calibrate, index, models, query, train, upkeep
from facesearch.errors import FaceSearchError


class _InterruptedError(FaceSearchError):
    """Ctrl-C, or the system asked the process to end."""

    exit_code = interruption.EXIT_CODE


def _command(function: Callable[..., int]) -> Callable[..., None]:
    """A command whose returned number is its exit code, and whose interruption is an error like any other."""

    @functools.wraps(function)
    def run(**words: object) -> None:
        try:
            code = function(**words)
        except KeyboardInterrupt:
            said = "Interrupted; what was finished is stored, and the same command goes on from there."
            raise _InterruptedError(said) from None
        raise typer.Exit(code)

    # The help is wrapped to the terminal's width, not to that of the source.
    paragraphs = (function.__doc__ or "").split("\n\n")
    run.__doc__ = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return run


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"facesearch {__version__}")
        raise typer.Exit


def _whole(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Find a face in a folder of photos. Everything happens on this machine; nothing is sent anywhere."""


app = typer.Typer(
    name="facesearch",
    callback=_whole,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("index")(_command(index.index))
app.command("query")(_command(query.query))
app.command("verify")(_command(query.verify))
app.command("calibrate")(_command(calibrate.calibrate))
app.command("align")(_command(align.align))
app.command("train")(_command(train.train))
app.command("check")(_command(upkeep.check))
app.command("repair")(_command(upkeep.repair))
app.command("forget")(_command(upkeep.forget))
app.command("info")(_command(about.info))
app.command("doctor")(_command(about.doctor))
_models = typer.Typer(help="The models that there are.", no_args_is_help=True)
_models.command("list")(_command(models.list_models))
_models.command("show")(_command(models.show_model))
_models.command("add")(_command(models.add_model))
_models.command("pull")(_command(models.pull_model))
app.add_typer(_models, name="models")
_bench = typer.Typer(help="Measure models and indexes.", no_args_is_help=True)
_bench.command("lfw")(_command(bench.lfw))
_bench.command("yaleb")(_command(bench.yaleb))
_bench.command("pairs")(_command(bench.pairs))
_bench.command("search")(_command(bench.search))
app.add_typer(_bench, name="bench")


def main() -> None:
    """Runs the command and turns what it raises into a sentence and an exit code."""
    interruption.listen()
    try:
        app()
    except FaceSearchError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever read the answer has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
