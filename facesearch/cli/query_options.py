"""Options of `facesearch query`."""

from pathlib import Path
from typing import Annotated

import typer

from facesearch import limits
from facesearch.cli import completion
from facesearch.cli.options import place

Photos = Annotated[
    list[str] | None,
    typer.Argument(help="A photo, several, or a folder.", metavar="PHOTO", show_default=False, parser=place),
]
Most = Annotated[
    int | None,
    typer.Option("--k", "-k", help="How many people: 5.", min=limits.MATCHES.least, max=limits.MATCHES.most),
]
Every = Annotated[
    bool, typer.Option("--all", help="Every photo with a face that counts as the same person, a photo a row.")
]
Person = Annotated[
    str | None,
    typer.Option(help="Ask about somebody in the gallery.", metavar="NAME|@17", autocompletion=completion.who),
]
Together = Annotated[bool, typer.Option("--together", help="The photos show one person: one answer to all of them.")]
Threshold = Annotated[
    float | None,
    typer.Option(help="Least judged value; without it the nearest are shown, however far.", min=-1, max=1),
]
Face = Annotated[
    str | None,
    typer.Option(
        help="Which face of the photo: 1 is the largest (the default), 2 the next; all: one answer a face.",
        metavar="N|all",
    ),
]
MinQuality = Annotated[
    float,
    typer.Option(help="Leave out faces that are small, blurred or turned away: least quality.", min=0, max=1),
]
Faces = Annotated[bool, typer.Option("--faces", help="Show faces; do not group them by person.")]
Copies = Annotated[bool, typer.Option("--copies", help="Show copies of a photo and bursts in rows of their own.")]
Sheet = Annotated[Path | None, typer.Option(help="Draw a contact sheet of the faces.", metavar="FILE.jpg")]
OpenSheet = Annotated[bool, typer.Option("--open", help="Draw a contact sheet and show it.")]
Here = Annotated[
    bool, typer.Option("--here", help="Do not ask the gallery's vector store; this machine's own vectors answer.")
]
