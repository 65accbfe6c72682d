"""`facesearch people import` and `people export`: names from and for other programs."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facesearch.cli import show
from facesearch.cli.delivery import in_its_folder, note_if_indexed
from facesearch.cli.options import GalleryName, Json, place
from facesearch.cli.progress import Progress
from facesearch.errors import ExitCode, FaceSearchError, UsageError
from facesearch.files import folder_for, new_file, printable
from facesearch.home import gallery_words

if TYPE_CHECKING:
    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.names.exporting import NamedFace, Sidecars
    from facesearch.gallery.names.import_plan import Imported

_LISTED = 10  # files that could not be read
_BESIDE = "beside"
_COLUMNS = ("photo", "name", "person", "left", "top", "right", "bottom", "named_by")


def import_people(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders or photos of the gallery; all where none is named.", show_default=False, parser=place
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be named.")] = False,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Take over the names that other programs gave: digiKam, Lightroom, ACDSee, Windows Photo Gallery, Picasa and all
    that write XMP, into photos or beside them.

    A name with a region goes to the face that lies there, or is kept as a mark where none was found; a name without a
    region only to the face of a photo that has one face and one name. What you said yourself stands. It is one
    change: facesearch people undo takes it back.

    Exit code 7: done, but some files could not be read."""
    from facesearch.gallery.gallery import Gallery

    with Progress() as progress:
        opened = Gallery.open(gallery, note=progress.note)
        progress.begin("Reading what photos say")
        done = opened.import_names(paths or (), dry_run=dry_run, on_photo=_bar(progress, "Reading names"))
    if json:
        show.as_json(_import_form(done, dry_run))
    else:
        _show_import(done, dry_run, gallery)
    _note_failed(done.failed, "Not all could be read that is about")
    return ExitCode.SOME_UNREAD if done.failed else ExitCode.DONE


def export_people(
    xmp: Annotated[
        str | None,
        typer.Option(
            help="Write sidecars: 'beside' the photos, or into this folder. What is in one that is there stays.",
            metavar="beside|FOLDER",
        ),
    ] = None,
    keywords: Annotated[bool, typer.Option("--keywords", help="With --xmp, write names as keywords too.")] = False,
    csv: Annotated[
        Path | None, typer.Option(help="Write a table of all named faces; - prints it.", metavar="FILE")
    ] = None,
    folders: Annotated[
        Path | None, typer.Option(help="Make a folder for each person in this one.", metavar="FOLDER")
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="With --folders, copy the photos.")] = False,
    link: Annotated[bool, typer.Option("--link", help="With --folders, make links to the photos.")] = False,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Give the names of people to other programs: as sidecars of XMP, which digiKam, Lightroom and others read, as a
    table, as JSON, or as a folder for each person. Photos are never written, and no file is replaced: a sidecar that
    is there takes the names and keeps everything else.

    Exit code 1: nobody has a name. 7: done, but for some photos."""
    _check(xmp, keywords, csv, folders, copy, link, json)
    from facesearch.gallery.gallery import Gallery

    opened = Gallery.open(gallery, note=show.note)
    faces = opened.named_faces()
    if json:
        show.as_json({"gallery": opened.name, "faces": [_face_form(face) for face in faces]})
    if not faces:
        show.note(f"Nobody has a name yet; give some with: facesearch people name{gallery_words(gallery)}")
        return ExitCode.NO
    if csv:
        _write_csv(csv, faces)
    code = ExitCode.DONE
    if xmp:
        code = max(code, _write_xmp(opened, xmp, keywords))
    if folders:
        code = max(code, _fill_folders(folders, "copy" if copy else "link", faces))
        note_if_indexed(folders, copy, opened.facts().roots)
    return code


def _check(
    xmp: str | None, keywords: bool, csv: Path | None, folders: Path | None, copy: bool, link: bool, json: bool
) -> None:
    """Raises UsageError for options that do not fit together, and for places that cannot be."""
    from facesearch.pictures.placing import check_folder

    if not (xmp or csv or folders or json):
        raise UsageError("Say in which form: --xmp beside, --xmp FOLDER, --csv FILE, --json or --folders FOLDER.")
    if json and csv and str(csv) == "-":
        raise UsageError("--json and --csv - are two forms of one answer; leave one out.")
    if keywords and not xmp:
        raise UsageError("--keywords says what --xmp writes; give --xmp, too.")
    if (copy or link) and not folders:
        raise UsageError("--copy and --link say how --folders is filled; give --folders, too.")
    if folders and copy == link:
        raise UsageError("Choose one for --folders: --copy or --link.")
    if csv and str(csv) != "-" and os.path.lexists(csv):
        raise UsageError(f"{printable(str(csv))} is there already; give --csv another name.")
    if folders:
        check_folder(folders, "--folders")
    if xmp and xmp != _BESIDE:
        check_folder(Path(xmp), "--xmp")


def _write_csv(path: Path, faces: "Sequence[NamedFace]") -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for face in faces:
        writer.writerow((face.photo, face.name, face.person, *(round(side, 1) for side in face.box), face.named_by))
    data = os.fsencode(text.getvalue())
    if str(path) == "-":
        show.raw(data)
        return
    try:
        folder_for(path)
        with new_file(path) as file:
            file.write(data)
    except OSError as error:
        raise FaceSearchError(f"{printable(str(path))} cannot be written: {error.strerror}.") from error
    show.note(f"Wrote {show.count(len(faces), 'face')} to {printable(str(path))}.")


def _write_xmp(opened: "Gallery", xmp: str, keywords: bool) -> ExitCode:
    roots = opened.facts().roots

    def where(photo: str) -> Path:
        return Path(xmp, in_its_folder(photo, roots).lstrip(os.sep))

    with Progress() as progress:
        progress.begin("Writing sidecars")
        bar = _bar(progress, "Writing sidecars")
        done = opened.write_sidecars(None if xmp == _BESIDE else where, keywords=keywords, on_photo=bar)
    _show_sidecars(done, xmp)
    _note_failed(done.failed, "No sidecar could be written for")
    return ExitCode.SOME_UNREAD if done.failed else ExitCode.DONE


def _show_sidecars(done: "Sidecars", xmp: str) -> None:
    where = "beside the photos" if xmp == _BESIDE else f"in {printable(xmp)}"
    parts = (
        [f"{show.count(done.new, 'sidecar')} written {where}"] if done.new or not (done.merged or done.known) else []
    )
    if done.merged:
        parts.append(f"{show.count(done.merged, 'sidecar')} {where} took names and kept everything else")
    if done.known:
        parts.append(f"{show.count(done.known, 'sidecar')} {where} had all names already")
    show.note("; ".join(parts) + ".")


def _fill_folders(folder: Path, way: Any, faces: "Sequence[NamedFace]") -> ExitCode:
    from facesearch.pictures.folders import folder_names
    from facesearch.pictures.placing import place

    names = folder_names({(face.person, face.name) for face in faces})
    new = known = 0
    failed: dict[str, str] = {}
    for person, name in names.items():
        placed = place([face.photo for face in faces if face.person == person], folder / name, way)
        new, known = new + placed.new, known + placed.known
        failed |= dict(placed.failed)
    done = "Copied" if way == "copy" else "Made links to"
    there = f"; {known:,} were there already" if known else ""
    show.note(f"{done} {show.count(new, 'photo')} in {show.count(len(names), 'folder')} of {folder}{there}.")
    _note_failed(tuple(failed.items()), "Nothing could be read of")
    return ExitCode.SOME_UNREAD if failed else ExitCode.DONE


def _bar(progress: Progress, words: str) -> Any:
    def on_photo(done: int, total: int) -> None:
        if done == 1:
            progress.begin(words, total, "photos")
        progress.update(done=done)

    return on_photo


def _show_import(done: "Imported", dry_run: bool, gallery: str) -> None:
    named, kept = ("that would be named", "to be kept") if dry_run else ("named", "kept")
    people = f" (new people: {done.people:,})" if done.people else ""
    show.say(
        f"{show.count(done.photos, 'photo')} looked at, with names in {done.naming:,} of them; faces {named}: "
        f"{done.named:,}{people}."
    )
    for number, noun, words in (
        (done.known, "face", "had that name already"),
        (done.marked, "region", f"without a face that was found, {kept} as a mark each"),
        (done.unplaced, "name", "without a place, in photos that have several faces or names, or no face"),
        (done.decided, "name", "against what you said, which stands"),
        (done.shared, "name", "that several people have, so that nobody is meant"),
        (done.unusable, "name", "with signs that cannot be seen, or too long"),
        (done.nameless, "face", "of contacts whose names Picasa keeps elsewhere"),
    ):
        if number:
            show.say(f"  {show.count(number, noun)} {words}")
    if done.change:
        show.note(f"facesearch people undo{gallery_words(gallery)} takes it back.")


def _note_failed(failed: Sequence[tuple[str, str]], words: str) -> None:
    if not failed:
        return
    show.note(f"{words} {show.count(len(failed), 'photo')}:")
    for photo, reason in failed[:_LISTED]:
        show.note(f"  {printable(photo)}: {reason}")
    if len(failed) > _LISTED:
        show.note(f"  ... and {len(failed) - _LISTED:,} more")


def _import_form(done: "Imported", dry_run: bool) -> dict[str, Any]:
    keys = ("photos", "naming", "named", "known", "marked", "unplaced", "decided", "shared", "unusable", "nameless")
    return {
        **{key: getattr(done, key) for key in keys},
        "new_people": done.people,
        "dry_run": dry_run,
        "change": done.change.id if done.change else None,
        "failed": [{"photo": photo, "reason": reason} for photo, reason in done.failed],
    }


def _face_form(face: "NamedFace") -> dict[str, Any]:
    return {
        "photo": face.photo,
        "name": face.name,
        "person": face.person,
        "box": [round(side, 1) for side in face.box],
        "named_by": face.named_by,
    }
