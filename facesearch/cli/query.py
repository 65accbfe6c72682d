"""`facesearch query`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch import limits
from facesearch.cli import answer_forms, delivery, show
from facesearch.cli.delivery import CopyTo, Csv, Delivery, LinkTo, Nul, Paths, Since, Until, Within
from facesearch.cli.options import Device, GalleryName, Json, Precision
from facesearch.cli.query_options import (
    Copies,
    Every,
    Face,
    Faces,
    Here,
    MinQuality,
    Most,
    OpenSheet,
    Person,
    Photos,
    Sheet,
    Threshold,
    Together,
)
from facesearch.cli.whom import settled
from facesearch.errors import ExitCode, UsageError
from facesearch.files import printable
from facesearch.forms import query_forms

if TYPE_CHECKING:
    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.records.answers import Answer, Unanswered
    from facesearch.gallery.search.questions import QueryOptions


def query(
    photos: Photos = None,
    k: Most = None,
    every: Every = False,
    person: Person = None,
    together: Together = False,
    gallery: GalleryName = "default",
    threshold: Threshold = None,
    face: Face = None,
    min_quality: MinQuality = 0.0,
    faces: Faces = False,
    copies: Copies = False,
    within: Within = None,
    since: Since = None,
    until: Until = None,
    sheet: Sheet = None,
    open_sheet: OpenSheet = False,
    paths: Paths = False,
    nul: Nul = False,
    as_csv: Csv = False,
    copy_to: CopyTo = None,
    link_to: LinkTo = None,
    here: Here = False,
    device: Device = "auto",
    precision: Precision = "auto",
    json: Json = False,
) -> ExitCode:
    """Who is this? Shows the nearest people in a gallery.

    Exit code 1: nobody reaches the threshold that was given, or with --all nobody at all. 4: the photo shows no face.
    7: a photo of several could not be read."""
    from facesearch.gallery.search.questions import QueryOptions
    from facesearch.gallery.tables.scope import Scope

    if every and k is not None:
        raise UsageError("--all gives every photo and --k some people; leave one out.")
    asked = _Asked(tuple(photos or ()), person, together, *_which(face))
    wanted = Delivery(json, as_csv, paths, nul, copy_to, link_to)
    asked.check()
    wanted.check()
    is_own = open_sheet and sheet is None
    sheet = _own_sheet(gallery) if is_own else sheet
    _check_sheet(sheet, asked.photos)
    scope = Scope(within or None, since, until)
    options = QueryOptions(k or 5, not faces, threshold, min_quality, every, copies, scope, here)
    is_chosen = asked.face is not None or asked.every_face or together
    answering = _Answering(gallery, wanted, options, is_chosen)
    for answer in asked.answers(partial(_opened, gallery, device, precision), options):
        answering.show(answer)
    answering.place()
    if sheet is not None and answering.answers:
        _draw(answering.answers, sheet, is_own)
        if open_sheet:
            delivery.open_picture(sheet)
    return answering.code()


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked about."""

    photos: tuple[str, ...]
    person: str | None
    together: bool
    face: int | None
    every_face: bool

    def check(self) -> None:
        """Raises UsageError for words that do not fit together."""
        if bool(self.photos) == (self.person is not None):
            raise UsageError("Name a photo, or somebody by --person NAME, and not both.")
        if self.together and len(self.photos) < 2:
            raise UsageError("--together takes several photos of one person.")
        if self.face is not None and (self.is_several or self.person):
            raise UsageError("--face chooses a face of one photo; leave it out, or say --face all.")
        if self.every_face and (self.together or self.person):
            raise UsageError("--face all gives one answer a face, and here one answer is wanted; leave it out.")

    @property
    def is_several(self) -> bool:
        """Whether there may be several photos."""
        from facesearch.photos.places import is_folder

        return len(self.photos) > 1 or any(map(is_folder, self.photos))

    def answers(
        self, open_gallery: "Callable[[bool], Gallery]", options: "QueryOptions"
    ) -> "Iterable[Answer | Unanswered]":
        """One for each question."""
        opened = open_gallery(self.is_several and not self.together)
        if self.person is not None:
            (who,) = settled(opened, [self.person])
            return [opened.query_person(who, options)]
        if self.together:
            return [opened.query_together(list(_photos(self.photos)), options)]
        if self.is_several:
            return opened.query_many(_photos(self.photos), every_face=self.every_face, options=options)
        return self._of_one(opened, options)

    def _of_one(self, opened: "Gallery", options: "QueryOptions") -> "Iterable[Answer | Unanswered]":
        (photo,) = self.photos
        if not self.every_face:
            return [opened.query(photo, face=self.face, options=options)]
        return opened.query_many([photo], every_face=True, options=options)


def _opened(name: str, device: Device, precision: Precision, is_many: bool) -> "Gallery":
    from facesearch.gallery.gallery import Gallery

    # One photo is embedded before a GPU would have started.
    return Gallery.open(name, "cpu" if device == "auto" and not is_many else device, show.note, precision)


class _Answering:
    """Shows answers as they come, and keeps what the end needs."""

    def __init__(self, gallery: str, wanted: Delivery, options: "QueryOptions", is_chosen: bool) -> None:
        """`is_chosen` says that the user has said which face is meant."""
        self._gallery, self.wanted, self.answers = gallery, wanted, list["Answer"]()
        self._options, self._is_chosen = options, is_chosen
        self._codes: set[ExitCode] = set()
        self._paths: set[str] = set()  # that were printed

    def show(self, answer: "Answer | Unanswered") -> None:
        """Shows one answer. Whoever reads them need not wait for the last one."""
        from facesearch.gallery.records.answers import Answer

        if isinstance(answer, Answer):
            self._codes.add(self._show(answer))
            self.answers.append(answer)
        else:
            self._codes.add(_show_unanswered(answer, self.wanted.json))
        show.flush()

    def place(self) -> None:
        """Copies or links the photos."""
        photos = [photo for answer in self.answers for match in answer.matches for photo in match.photos]
        roots = self.answers[0].roots if self.answers else ()
        if photos and (self.wanted.copy_to or self.wanted.link_to):
            self._codes.add(self.wanted.place(photos, roots))

    def code(self) -> ExitCode:
        """What could not be read comes first, then what has no face; a no counts when every answer is a no."""
        first = (code for code in (ExitCode.SOME_UNREAD, ExitCode.NO_FACE) if code in self._codes)
        return next(first, min(self._codes, default=ExitCode.DONE))

    def _show(self, answer: "Answer") -> ExitCode:
        if self.wanted.json:
            show.as_json(query_forms.answer(answer))
        elif self.wanted.csv:
            delivery.show_csv([*([] if self.answers else [answer_forms.COLUMNS]), *answer_forms.csv_rows(answer)])
        elif self.wanted.wants_paths:
            photos = [photo for match in answer.matches for photo in match.photos]
            new = [photo for photo in dict.fromkeys(photos) if photo not in self._paths]
            self._paths.update(new)
            delivery.show_paths(new, self.wanted.nul)
        else:
            answer_forms.show_table(answer, self._gallery, self._is_chosen, self._options.every)
        if answer.store and not self.answers:
            show.note(f"Searched in {answer.store}.")
        if answer.undated and not self.answers:
            show.note(f"{show.count(answer.undated, 'photo')} without a known date took no part.")
        if answer.matches:
            return ExitCode.DONE
        if not answer.compared and not self._options.scope.is_whole:
            show.note("No photo with a face is left to compare with; choose another folder or other dates.")
            return ExitCode.NO
        if self._options.threshold is None and not self._options.every:
            return ExitCode.DONE
        least = answer.threshold if self._options.threshold is None else self._options.threshold
        show.note(f"Nobody in the gallery reaches {least:g}.")
        return ExitCode.NO


def _which(face: str | None) -> tuple[int | None, bool]:
    """The number of a face, and whether all are meant. Raises UsageError for what is neither."""
    if face is None or face == "all":
        return None, face == "all"
    if not face.isdecimal() or not limits.FACE.least <= int(face) <= limits.FACE.most:
        raise UsageError(f"--face takes a number from 1 to {limits.FACE.most:,}, or all, not {face[:30]}.")
    return int(face), False


def _own_sheet(gallery: str) -> Path:
    """Where the sheet lies that is only to be shown: the next one takes its place. Raises GalleryError where there is
    no gallery."""
    from facesearch.gallery.gallery import Gallery

    opened = Gallery.open(gallery)
    with opened.reading():
        return opened.sheet


def _check_sheet(sheet: Path | None, photos: Sequence[str]) -> None:
    if sheet is not None:
        from facesearch.pictures.sheets import check_sheet_name

        check_sheet_name(sheet, asked=photos)


def _photos(paths: Sequence[str]) -> Iterator[str]:
    """The files that were named, and in each folder the files whose names are those of photos."""
    from facesearch.errors import FaceSearchError
    from facesearch.files import printable
    from facesearch.photos.formats import looks_like_photo
    from facesearch.photos.places import is_folder
    from facesearch.photos.walk import walk

    for path in paths:
        if not is_folder(path):
            yield path
            continue
        count = 0
        for file in walk(path):
            if looks_like_photo(file.path):
                count += 1
                yield file.path
        if not count:
            raise FaceSearchError(f"There is no photo in the folder {printable(path)}; name a photo.")


def _show_unanswered(answer: "Unanswered", json: bool) -> ExitCode:
    from facesearch.photos.status import Status

    if json:
        show.as_json(query_forms.unanswered(answer))
    else:
        show.note(f"{printable(answer.photo)}: {answer.reason}.")
    return ExitCode.NO_FACE if answer.status == Status.NO_FACE else ExitCode.SOME_UNREAD


def _draw(answers: "Sequence[Answer]", sheet: Path, is_own: bool) -> None:
    """Draws the contact sheet; one of facesearch's own is its owner's alone."""
    from facesearch.pictures.sheets import contact_sheet, write_sheet

    picture, shown, total = contact_sheet(answers)
    write_sheet(picture, sheet)
    if is_own:
        sheet.chmod(0o600)
    left_out = f" It shows {shown:,} of {total:,} faces." if shown < total else ""
    show.note(f"The contact sheet is {printable(str(sheet))}.{left_out}")
