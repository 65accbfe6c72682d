"""Options of `facesearch index`."""

from typing import Annotated

import typer

from facesearch import limits
from facesearch.cli import completion
from facesearch.cli.options import (
    place,
)

Paths = Annotated[
    list[str] | None,
    typer.Argument(
        help="Folders of photos, or photos, or s3://BUCKET/FOLDER; by default all that the gallery has.",
        metavar="PATH",
        parser=place,
    ),
]
PeopleFrom = Annotated[
    str,
    typer.Option(
        help="Name people after folders: none, folder (a photo's own), or folder:1 (the first below PATH). Of "
        "several faces in a photo the one is named who looks like the person in photos with one face.",
        metavar="none|folder|folder:N",
    ),
]
MinFace = Annotated[
    float | None,
    typer.Option(
        help="Smallest face that is looked for, in pixels of the photo, or of two thirds of --max-side where it "
        "is larger; 20 in a new gallery.",
        metavar="PIXELS",
        min=limits.MIN_FACE_PX.least,
        max=limits.MIN_FACE_PX.most,
    ),
]
MaxSide = Annotated[
    int | None,
    typer.Option(
        help="Most pixels a side of a photo in which faces are looked for: a larger one is shrunk for it, unless "
        "this is 0. 1500 in a new gallery.",
        metavar="PIXELS",
        min=limits.MAX_SIDE_PX.least,
        max=limits.MAX_SIDE_PX.most,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="Embedding model of a new gallery (see: facesearch models list).",
        metavar="NAME",
        autocompletion=completion.embedders,
    ),
]
MaxMegapixels = Annotated[
    float,
    typer.Option(
        help="A larger photo is not decoded, and said to be too large.",
        min=limits.MEGAPIXELS.least,
        max=limits.MEGAPIXELS.most,
    ),
]
RetryFailed = Annotated[
    bool,
    typer.Option(
        "--retry-failed",
        help="Look again at all photos that could not be read before, not only where that may help.",
    ),
]
AgainForgotten = Annotated[bool, typer.Option("--again-forgotten", help="Look again at photos that were forgotten.")]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        help="Leave out what matches, as a line of a .gitignore would: *.png, Scans/, /2019. May be repeated; "
        "the gallery remembers it.",
        metavar="GLOB",
    ),
]
NoExclude = Annotated[bool, typer.Option("--no-exclude", help="Forget what earlier runs were told to --exclude.")]
DefaultExcludes = Annotated[
    bool | None,
    typer.Option(
        "--default-excludes/--no-default-excludes",
        help="Leave out what begins with a dot, bins, snapshots, and thumbnails of network disks and of Photos; "
        "the gallery remembers it. By default on.",
        show_default=False,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and about how long it would take.")]
Watch = Annotated[
    bool,
    typer.Option("--watch", help="Go on: look at what is new or changed as soon as it is there, until Ctrl-C."),
]
