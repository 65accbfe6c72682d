"""`facesearch people` that shows: who there is, their faces, and what was changed."""

from typing import TYPE_CHECKING, Annotated

import typer

from facesearch import limits
from facesearch.cli import show
from facesearch.cli.delivery import in_its_folder
from facesearch.cli.options import GalleryName, Json
from facesearch.cli.people import Who, opened_gallery, sentence_of
from facesearch.errors import ExitCode
from facesearch.forms import people_forms
from facesearch.home import gallery_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.records.people import PersonFacts

_ROWS = 50  # a screen or two


def list_people(
    unnamed: Annotated[bool, typer.Option("--unnamed", help="Only groups that have no name yet.")] = False,
    hidden: Annotated[bool, typer.Option("--hidden", help="Also strangers, and who is hidden.")] = False,
    min_photos: Annotated[
        int, typer.Option(help="Only who is in at least so many photos.", min=limits.ROWS.least, max=limits.ROWS.most)
    ] = 1,
    rows: Annotated[
        int, typer.Option("--n", "-n", help="How many rows at most.", min=limits.ROWS.least, max=limits.ROWS.most)
    ] = _ROWS,
    every: Annotated[bool, typer.Option("--all", help="All rows.")] = False,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """List the people of a gallery: those with a name, then the groups of faces that have none, the largest first."""
    everybody = opened_gallery(gallery).people()
    found = [each for each in everybody if _is_listed(each, unnamed, hidden) and each.photos >= min_photos]
    if json:
        show.as_json([people_forms.person(each) for each in found])
        return ExitCode.DONE
    if not found:
        show.note(_why_nobody(unnamed, min_photos, gallery))
        return ExitCode.DONE
    shown = found if every else found[:rows]
    _show_people(shown)
    show.say(_summary(found))
    if len(shown) < len(found):
        show.note(f"Shown: {len(shown):,} of {len(found):,}; --all shows the others, too.")
    return ExitCode.DONE


def _is_listed(person: "PersonFacts", unnamed: bool, hidden: bool) -> bool:
    return (hidden or is_shown(person)) and (not unnamed or person.name is None)


def is_shown(person: "PersonFacts") -> bool:
    """Whether somebody is neither hidden nor a stranger."""
    return not person.hidden and person.kind != "stranger"


def unnamed_groups(opened: "Gallery") -> "list[PersonFacts]":
    """The groups that wait for a name, the largest first."""
    found = [each for each in opened.people() if each.name is None and is_shown(each)]
    return sorted(found, key=lambda each: (-each.photos, -each.faces, each.id))


def _why_nobody(unnamed: bool, min_photos: int, gallery: str) -> str:
    if unnamed or min_photos > 1:
        return "Nobody is like that."
    return f"There are no people yet; find them with: facesearch people group{gallery_words(gallery)}"


def _show_people(people: "Sequence[PersonFacts]") -> None:
    out = show.console(80)
    years = ["years"] * any(each.first for each in people)
    made = show.table("id", "name", "photos", "faces", "unsure", *years, right=("id", "photos", "faces", "unsure"))
    for each in people:
        name = each.name or ("(stranger)" if each.kind == "stranger" else "-")
        unsure = f"{each.unsure:,}" if each.unsure else "-"
        made.add_row(f"@{each.id}", name, f"{each.photos:,}", f"{each.faces:,}", unsure, *[_years(each)] * len(years))
    out.print(made)


def _years(person: "PersonFacts") -> str:
    first, last = (person.first or "")[:4], (person.last or "")[:4]
    return first if first == last else f"{first}-{last}"


def _summary(people: "Sequence[PersonFacts]") -> str:
    named = sum(each.name is not None for each in people)
    strangers = sum(each.kind == "stranger" and each.name is None for each in people)
    groups = len(people) - named - strangers
    parts = [
        show.count(named, "person has", "people have").replace("has", "has a name").replace("have", "have a name"),
        show.count(groups, "group has no name", "groups have no name"),
    ]
    if strangers:
        parts.append(show.count(strangers, "is a stranger", "are strangers"))
    return f"{', '.join(parts)}."


def faces(
    who: Who,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """List the faces of a person, the least sure last: the id by which `part` takes them, date and photo."""
    opened = opened_gallery(gallery)
    found = opened.faces_of(who)
    if json:
        show.as_json([people_forms.face(each) for each in found])
        return ExitCode.DONE
    with opened.reading() as (db, _):
        roots = db.roots.paths()
    out = show.console(4096)
    made = show.table("face", "date", "", "photo", right=("face",))
    rows = [
        [str(each.face_id), (each.taken or "-")[:10], "unsure" * each.is_unsure, in_its_folder(each.photo, roots)]
        for each in found
    ]
    show.add_rows(made, out, rows)
    out.print(made)
    return ExitCode.DONE


def log(
    rows: Annotated[
        int,
        typer.Option("--n", "-n", help="How many of the last changes.", min=limits.ROWS.least, max=limits.ROWS.most),
    ] = 20,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Show the last changes, the newest first, with their numbers for undo."""
    changes = opened_gallery(gallery).log(rows)
    if json:
        show.as_json([people_forms.change(each) for each in changes])
        return ExitCode.DONE
    if not changes:
        show.note("Nothing was changed yet.")
        return ExitCode.DONE
    out = show.console(80)
    made = show.table("change", "when (UTC)", "what", "", right=("change",))
    for each in changes:
        made.add_row(
            str(each.id), each.at[:16].replace("T", " "), sentence_of(each), "undone" if each.undone_at else ""
        )
    out.print(made)
    return ExitCode.DONE
