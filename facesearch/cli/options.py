"""Options that several commands share, and words that advice shares."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from facesearch import limits
from facesearch.cli import completion
from facesearch.photos.addresses import absolute, is_remote

GalleryName = Annotated[
    str,
    typer.Option("--gallery", "-g", help="The gallery's name.", metavar="NAME", autocompletion=completion.galleries),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="Embedding model (see: facesearch models list).", metavar="NAME", autocompletion=completion.embedders
    ),
]
Detector = Annotated[
    str | None,
    typer.Option(
        help="Face detector, where not the model's usual one.", metavar="NAME", autocompletion=completion.detectors
    ),
]
GalleryArgument = Annotated[
    str, typer.Argument(help="The gallery's name.", metavar="NAME", autocompletion=completion.galleries)
]
ModelArgument = Annotated[
    str, typer.Argument(help="The model's name.", metavar="NAME", autocompletion=completion.models)
]
Device = Annotated[
    Literal["auto", "cpu", "gpu"], typer.Option("--device", help="auto takes a GPU where there is one.")
]
Precision = Annotated[
    Literal["auto", "float32"],
    typer.Option(
        "--precision",
        help="auto computes in bfloat16 where OpenVINO is installed and the processor has that, which is faster.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        help="Batches that are worked on at once, a core each; by default as many as there are cores.",
        min=limits.THREADS.least,
        max=limits.THREADS.most,
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        help="Photos in a batch: 32 on a CPU, 256 on a GPU; fewer take less memory.",
        min=limits.BATCH.least,
        max=limits.BATCH.most,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def place(typed: str) -> str:
    """A path of this machine as `Path` writes it, or an address as it was typed: to two slashes in it a `Path` would
    be blind. Raises UsageError for an address that no photo can be read from, before a password in it is repeated."""
    if not is_remote(typed):
        return str(Path(typed))
    absolute(typed)
    return typed
