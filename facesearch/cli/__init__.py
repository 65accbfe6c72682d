"""The command line: one module for each group of commands; each parses, calls one use case and shows the result.

Everything heavy is imported inside the commands, so that `facesearch --help` is there at once."""

import os
import signal
import sys

import click
import typer

from facesearch.cli import about, index, models, query
from facesearch.errors import FaceSearchError

_INTERRUPTED = 130

app = typer.Typer(
    name="facesearch",
    help="Find a face in a folder of photos. Everything happens on this machine; nothing is sent anywhere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("index")(index.index)
app.command("query")(query.query)
app.command("verify")(query.verify)
app.add_typer(models.app, name="models")
app.command("info")(about.info)
app.command("doctor")(about.doctor)


def main() -> None:
    """Runs the command and turns what it raises into a sentence and an exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = app(standalone_mode=False)
    except FaceSearchError as error:
        code = _say(str(error), error.exit_code)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        code = _say("Interrupted; what was finished is stored, and the same command goes on from here.", _INTERRUPTED)
    except BrokenPipeError:  # whoever read the answer has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def _say(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code
