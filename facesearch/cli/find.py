"""`facesearch find`."""

from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli import completion, delivery, show
from facesearch.cli.delivery import CopyTo, Csv, Delivery, LinkTo, Nul, Paths, Since, Until, Within
from facesearch.cli.options import GalleryName, Json
from facesearch.cli.whom import settled
from facesearch.errors import ExitCode
from facesearch.forms import query_forms

if TYPE_CHECKING:
    from facesearch.gallery.records.answers import PhotosOfPeople


def find(
    people: Annotated[
        list[str],
        typer.Argument(
            help="Names of people, or ids such as @17.", metavar="NAME|@17...", autocompletion=completion.who
        ),
    ],
    gallery: GalleryName = "default",
    within: Within = None,
    since: Since = None,
    until: Until = None,
    paths: Paths = False,
    nul: Nul = False,
    as_csv: Csv = False,
    copy_to: CopyTo = None,
    link_to: LinkTo = None,
    json: Json = False,
) -> ExitCode:
    """In which photos are all these people? Goes by the people in a gallery, newest photos first.

    Exit code 1: in none."""
    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.tables.scope import Scope

    wanted = Delivery(json, as_csv, paths, nul, copy_to, link_to)
    wanted.check()
    scope = Scope(within or None, since, until)
    opened = Gallery.open(gallery, "cpu", show.note)
    found = opened.find(settled(opened, people), scope)
    _show(found, wanted)
    show.flush()
    if found.undated:
        show.note(f"{show.count(found.undated, 'photo')} without a known date took no part.")
    if not found.photos:
        where = "" if scope.is_whole else " in that folder or time"
        show.note(f"No photo{where} shows {'all of them' if len(people) > 1 else 'this person'}.")
        return ExitCode.NO
    return wanted.place([each.photo for each in found.photos], found.roots)


def _show(found: "PhotosOfPeople", wanted: Delivery) -> None:
    if wanted.json:
        show.as_json(query_forms.photos_of_people(found))
    elif wanted.wants_paths:
        delivery.show_paths((each.photo for each in found.photos), wanted.nul)
    elif wanted.csv:
        rows = ((each.photo, each.taken, "; ".join(each.people)) for each in found.photos)
        delivery.show_csv([("photo", "taken", "people"), *rows])
    elif found.photos:
        out = show.console(4096)
        made = show.table("date", "people", "photo")
        show.add_rows(
            made,
            out,
            [
                [each.taken[:10] if each.taken else "-", ", ".join(each.people), photo]
                for each in found.photos
                for photo in [delivery.in_its_folder(each.photo, found.roots)]
            ],
        )
        out.print(made)
        out.print(f"{show.count(len(found.photos), 'photo')}.")
