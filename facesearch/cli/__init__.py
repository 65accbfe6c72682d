"""The command line: one module for each group of commands; each parses, calls one use case and shows the result.

Everything heavy is imported inside the commands, so that `facesearch --help` is there at once."""

import functools
import math
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from facesearch import __version__, interruption
from facesearch.cli import (
    align,
    bench,
    calibrate,
    exits,
    forget,
    galleries,
    index,
    info,
    migrate,
    models,
    query,
    show,
    train,
    upkeep,
    verify,
)
from facesearch.errors import ExitCode, FaceSearchError, UsageError
from facesearch.files import keep_private
from facesearch.home import narrow_home
from facesearch.libraries import settle_all

_NOTHING_CHANGED = "Interrupted; nothing was changed."
_EMBEDDINGS_KEPT = "Interrupted; embeddings of earlier runs are kept, and the same command goes on with them."


def _command(function: Callable[..., ExitCode], interrupted: str = _NOTHING_CHANGED) -> Callable[..., None]:
    """A command whose returned number is its exit code, and whose interruption is an error like any other, with what
    is then true of this command. The core's own sentence, `raise KeyboardInterrupt("...")`, goes first."""

    @functools.wraps(function)
    def run(**words: object) -> None:
        try:
            for name, value in words.items():
                if isinstance(value, float) and not math.isfinite(value):
                    raise UsageError(f"--{name.replace('_', '-')} must be a number, not {value}.")
            narrow_home(show.note)
            code = function(**words)
        except KeyboardInterrupt as error:
            raise exits.InterruptedCommandError(str(error) or interrupted) from None
        except BrokenPipeError as error:  # not of stdout, and Typer would end with 1
            raise FaceSearchError(exits.describe(error)) from error
        raise typer.Exit(code)

    # The help is wrapped to the terminal's width, not to that of the source.
    paragraphs = (function.__doc__ or "").split("\n\n")
    run.__doc__ = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return run


def _show_version(wanted: bool) -> None:
    if wanted:
        show.say(f"facesearch {__version__}")
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
app.command("index")(
    _command(index.index, "Interrupted; what was finished is stored, and the same command goes on from there.")
)
app.command("query")(_command(query.query))
app.command("verify")(_command(verify.verify))
app.command("calibrate")(
    _command(calibrate.calibrate, "Interrupted; the gallery goes by the threshold that it had, or by the new one.")
)
app.command("align")(
    _command(align.align, "Interrupted; the crops that are there are whole, and the same command passes them over.")
)
app.command("train")(
    _command(train.train, "Interrupted; the last checkpoint stays, if there is one: go on with --resume.")
)
app.command("migrate")(
    _command(
        migrate.migrate,
        "Interrupted; the gallery is the old one whole, or the new one, and the same command goes on from there.",
    )
)
app.command("check")(_command(upkeep.check))
app.command("repair")(
    _command(upkeep.repair, "Interrupted; the gallery is as it was or repaired, and the same command goes on.")
)
app.command("forget")(
    _command(forget.forget, "Interrupted; run the same command again, as not all may be forgotten.")
)
app.command("info")(_command(info.info))
app.command("doctor")(_command(info.doctor))
_models = typer.Typer(help="The models that there are.", no_args_is_help=True)
_models.command("list")(_command(models.list_models))
_models.command("show")(_command(models.show_model))
_models.command("add")(_command(models.add_model, "Interrupted; no model was added."))
_models.command("pull")(
    _command(models.pull_model, "Interrupted; what was downloaded is kept, and the same command goes on from there.")
)
_models.command("remove")(_command(models.remove_model, "Interrupted; run the same command again."))
app.add_typer(_models, name="models")
_galleries = typer.Typer(help="The galleries that there are.", no_args_is_help=True)
_galleries.command("list")(_command(galleries.list_galleries))
_galleries.command("rename")(_command(galleries.rename_gallery))
_galleries.command("delete")(_command(galleries.delete_gallery, "Interrupted; the gallery is whole or gone."))
_galleries.command("move")(_command(galleries.move_library))
_galleries.command("backup")(_command(galleries.back_up_gallery, "Interrupted; no backup was written."))
_galleries.command("restore")(_command(galleries.restore_gallery, "Interrupted; nothing was restored."))
app.add_typer(_galleries, name="galleries")
_bench = typer.Typer(help="Measure models and indexes.", no_args_is_help=True)
_bench.command("lfw")(_command(bench.lfw, _EMBEDDINGS_KEPT))
_bench.command("yaleb")(_command(bench.yaleb, _EMBEDDINGS_KEPT))
_bench.command("pairs")(_command(bench.pairs, _EMBEDDINGS_KEPT))
_bench.command("search")(_command(bench.search))
app.add_typer(_bench, name="bench")


def main() -> None:
    """The command line of a process of its own: puts that in order, runs the command, and ends with its code."""
    keep_private()
    settle_all()
    exits.prepare_process()
    sys.exit(run())


def run() -> int:
    """Runs the command and turns what it raises into a sentence; its exit code."""
    interruption.listen()
    return exits.run_to_exit_code(lambda: typer.main.get_command(app)(standalone_mode=False))
