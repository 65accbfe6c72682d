"""The command line: one module for each group of commands; each parses, calls one use case and shows the result.

Everything heavy is imported inside the commands, so that `facesearch --help` is there at once."""

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from facesearch import __version__, interruption
from facesearch.cli import (
    align,
    asking,
    bench,
    calibrate,
    exits,
    find,
    forget,
    galleries,
    index,
    info,
    migrate,
    models,
    naming,
    people,
    people_files,
    people_list,
    people_places,
    people_sheet,
    query,
    show,
    store,
    train,
    upkeep,
    verify,
    web,
)
from facesearch.cli.command import (
    NOTHING_CHANGED,
    Command,
    Group,
    command_or_group,
    epilog,
    make_command,
    refuse_empty,
)
from facesearch.cli.examples import EXAMPLES
from facesearch.errors import ExitCode
from facesearch.files import keep_private
from facesearch.libraries import settle_all

_EMBEDDINGS_KEPT = "Interrupted; embeddings of earlier runs are kept, and the same command goes on with them."


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
    cls=Group,
    callback=_whole,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_DECIDED = "Interrupted; what you have answered is stored: facesearch people log{which} shows it."
_SYNCED_ON = (
    "Interrupted; what was sent is kept, and facesearch store sync{which} goes on; until then it is not asked."
)
_DONE_OR_NOT = "Interrupted; it is done whole or not at all: facesearch people log{which} shows it."
_GROUPS = {
    "people": typer.Typer(
        cls=Group,
        help=people.HELP,
        epilog=epilog(("people", "people name @17 Ann", "people ask", "people undo")),
        invoke_without_command=True,
        callback=command_or_group(people_list.list_people),
    ),
    "models": typer.Typer(cls=Group, help="The models that there are.", no_args_is_help=True),
    "galleries": typer.Typer(cls=Group, help="The galleries that there are.", no_args_is_help=True),
    "store": typer.Typer(
        cls=Group, help="A vector store beside a gallery: a Milvus that answers queries.", no_args_is_help=True
    ),
    "bench": typer.Typer(cls=Group, help="Measure models and indexes.", no_args_is_help=True),
}
# Each command, and what is true when it is interrupted; {which} is the option that names the gallery.
_COMMANDS: dict[str, tuple[Callable[..., ExitCode], str]] = {
    "index": (index.index, "Interrupted; what was finished is stored, and the same command goes on from there."),
    "query": (query.query, NOTHING_CHANGED),
    "find": (find.find, NOTHING_CHANGED),
    "verify": (verify.verify, NOTHING_CHANGED),
    "web": (web.web, "Interrupted; what was said is stored."),
    "calibrate": (
        calibrate.calibrate,
        "Interrupted; the gallery goes by the threshold that it had, or by the new one.",
    ),
    "align": (
        align.align,
        "Interrupted; the crops that are there are whole, and the same command passes them over.",
    ),
    "train": (train.train, "Interrupted; the last checkpoint stays, if there is one: go on with --resume."),
    "migrate": (
        migrate.migrate,
        "Interrupted; the gallery is the old one whole, or the new one, and the same command goes on from there.",
    ),
    "check": (upkeep.check, NOTHING_CHANGED),
    "repair": (
        upkeep.repair,
        "Interrupted; the gallery is as it was or repaired, and the same command goes on.",
    ),
    "forget": (forget.forget, "Interrupted; run the same command again, as not all may be forgotten."),
    "info": (info.info, NOTHING_CHANGED),
    "doctor": (info.doctor, NOTHING_CHANGED),
    "people import": (people_files.import_people, _DONE_OR_NOT),
    "people export": (
        people_files.export_people,
        "Interrupted; each file that is there is whole, and the same command goes on from there.",
    ),
    "people list": (people_list.list_people, NOTHING_CHANGED),
    "people group": (
        people.group_people,
        "Interrupted; the groups are the old ones or the new ones, whole.",
    ),
    "people name": (naming.name, _DECIDED),
    "people ask": (asking.ask, _DECIDED),
    "people join": (people.join, _DONE_OR_NOT),
    "people part": (people.part, _DONE_OR_NOT),
    "people ignore": (people.ignore, _DONE_OR_NOT),
    "people hide": (people.hide, _DONE_OR_NOT),
    "people not-a-face": (people.not_a_face, _DONE_OR_NOT),
    "people collage": (people.collage, _DONE_OR_NOT),
    "people move": (people_places.move, _DONE_OR_NOT),
    "people mark": (people_places.mark, _DONE_OR_NOT),
    "people cover": (people_places.cover, _DONE_OR_NOT),
    "people undo": (people.undo, _DONE_OR_NOT),
    "people log": (people_list.log, NOTHING_CHANGED),
    "people faces": (people_list.faces, NOTHING_CHANGED),
    "people sheet": (people_sheet.sheet, NOTHING_CHANGED),
    "models list": (models.list_models, NOTHING_CHANGED),
    "models show": (models.show_model, NOTHING_CHANGED),
    "models add": (models.add_model, "Interrupted; no model was added."),
    "models pull": (
        models.pull_model,
        "Interrupted; what was downloaded is kept, and the same command goes on from there.",
    ),
    "models remove": (models.remove_model, "Interrupted; run the same command again."),
    "galleries list": (galleries.list_galleries, NOTHING_CHANGED),
    "galleries rename": (galleries.rename_gallery, NOTHING_CHANGED),
    "galleries delete": (galleries.delete_gallery, "Interrupted; the gallery is whole or gone."),
    "galleries move": (galleries.move_library, NOTHING_CHANGED),
    "galleries backup": (galleries.back_up_gallery, "Interrupted; no backup was written."),
    "galleries restore": (galleries.restore_gallery, "Interrupted; nothing was restored."),
    "store add": (store.add, _SYNCED_ON),
    "store sync": (store.sync, _SYNCED_ON),
    "store drop": (store.drop, "Interrupted; run the same command again."),
    "store info": (store.info, NOTHING_CHANGED),
    "bench lfw": (bench.lfw, _EMBEDDINGS_KEPT),
    "bench yaleb": (bench.yaleb, _EMBEDDINGS_KEPT),
    "bench pairs": (bench.pairs, _EMBEDDINGS_KEPT),
    "bench people": (bench.people, NOTHING_CHANGED),
    "bench search": (bench.search, NOTHING_CHANGED),
}


def _add_commands() -> None:
    for words, (function, interrupted) in _COMMANDS.items():
        group, _, name = words.rpartition(" ")
        to = _GROUPS[group] if group else app
        to.command(name, cls=Command, epilog=epilog(EXAMPLES.get(words, ())))(make_command(function, interrupted))
    for group, made in _GROUPS.items():
        app.add_typer(made, name=group)


_add_commands()


def main() -> None:
    """The command line of a process of its own: puts that in order, runs the command, and ends with its code."""
    keep_private()
    settle_all()
    exits.prepare_process()
    interruption.watch(show.warn)
    code = run()
    if code == ExitCode.INTERRUPTED or interruption.is_stuck():
        os._exit(code)  # without waiting for threads that are still computing
    sys.exit(code)


def run() -> int:
    """Runs the command and turns what it raises into a sentence; its exit code."""
    interruption.listen()
    return exits.run_to_exit_code(_run)


def _run() -> object:
    refuse_empty(sys.argv[1:])
    return typer.main.get_command(app)(standalone_mode=False)
