"""Names that other programs gave, from the files around the photos into the gallery: as one change, that a user can
undo, and weaker than what the user said."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from facesearch.errors import PhotoError, UsageError
from facesearch.files import printable
from facesearch.gallery.changes_table import MARKS, Recorder
from facesearch.gallery.database import Database
from facesearch.gallery.people_records import Change
from facesearch.gallery.sqlite import BELOW, FACE_TABLES, below, from_sql, to_sql
from facesearch.gallery.storage import Storage
from facesearch.people import names
from facesearch.people.decisions import FaceState, PersonState
from facesearch.people.files import Folders, Source
from facesearch.people.parsing_process import Parsers
from facesearch.people.regions import Box, Frame, Region, overlap, place

_BY = "xmp"  # who said so, also where the file was Picasa's
_SAME_MARK = 0.5  # overlap of two regions that mark one person
OnPhoto = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or would do. Of `photos` that were looked at, `naming` name somebody. So many faces were
    `named` anew, and so many had that name already (`known`); `marked` are regions in which no face was found, kept
    as marks; `unplaced` are names that fit no face. `decided` contradict what the user said, which stands; `shared`
    are names that several people have, so that none is meant; `unusable` are no names, as they hold what cannot be
    seen. `nameless` are faces whose names Picasa keeps elsewhere. `people` is how many new people there are, `failed`
    holds files that could not be read, with the reason of each."""

    photos: int = 0
    naming: int = 0
    named: int = 0
    known: int = 0
    marked: int = 0
    unplaced: int = 0
    decided: int = 0
    shared: int = 0
    unusable: int = 0
    nameless: int = 0
    people: int = 0
    failed: tuple[tuple[str, str], ...] = ()
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class _Photo:
    id: int
    path: str
    size: tuple[int, int]


@dataclass(slots=True)
class _Plan:
    """Which face gets which name, by its id; and which names get a mark, with photo and box."""

    faces: dict[int, str] = field(default_factory=dict)
    marks: list[tuple[int, Box, str]] = field(default_factory=list)
    counts: Imported = field(default_factory=Imported)

    def count(self, kind: str, more: int = 1) -> None:
        self.counts = replace(self.counts, **{kind: getattr(self.counts, kind) + more})


def import_names(
    storage: Storage, paths: Sequence[str | Path], dry_run: bool, on_photo: OnPhoto = lambda done, total: None
) -> Imported:
    """Names faces of the gallery's photos below these paths, of all where none is given, as the files around them
    say. `on_photo` hears how many, of how many, were looked at. Raises UsageError for a path below which the gallery
    knows no photo."""
    with storage.reading() as (db, _), db.snapshot():
        photos = list(_photos(db, [os.path.abspath(path) for path in paths]))
    sources, counts = _read(photos, on_photo)
    if dry_run:
        with storage.reading() as (db, _), db.snapshot():
            plan = _planned(db, sources, counts)
            return replace(plan.counts, people=len(_without_person(db, plan)))
    with storage.writing() as db, db.transaction():
        plan = _planned(db, sources, counts)
        recorder = db.changes.recorder("import", made_by=_BY)
        people = _carry_out(db, recorder, plan)
        recorder.say(f"names for {plan.counts.named:,} faces and {plan.counts.marked:,} places")
        change = db.changes.get(recorder.change) if recorder.change is not None else None
    return replace(plan.counts, people=people, change=change)


def _photos(db: Database, paths: Sequence[str]) -> Iterator[_Photo]:
    """Those that are there and whose size is known."""
    known: dict[int, _Photo] = {}
    wanted: Sequence[str | None] = paths or [None]
    for path in wanted:
        where, values = ("1", []) if path is None else (f"(path = ? OR {BELOW})", [to_sql(path), *below(path)])
        rows = db.connection.execute(
            f"SELECT id, path, width, height FROM photos WHERE {where} AND status IN ('ok', 'no_face') "
            "AND width > 0 AND height > 0 ORDER BY path",
            values,
        ).fetchall()
        if path is not None and not rows:
            raise UsageError(f"The gallery knows no photo below {printable(path)}; index it first.")
        known |= {id: _Photo(id, from_sql(found), (width, height)) for id, found, width, height in rows}
    return iter(known.values())


def _read(photos: Sequence[_Photo], on_photo: OnPhoto) -> tuple[list[tuple[_Photo, Source]], Imported]:
    """What the files say, of those photos about which they say something."""
    found: list[tuple[_Photo, Source]] = []
    failed: list[tuple[str, str]] = []
    with Parsers() as parsers:
        folders = Folders(parsers)
        for done, photo in enumerate(photos, 1):
            try:
                source = folders.read(photo.path)
                failed += [(photo.path, reason) for reason in source.reasons]
                if source.described.names_people:
                    found.append((photo, source))
            except OSError as error:
                failed.append((photo.path, error.strerror or str(error)))
            except PhotoError as error:
                failed.append((photo.path, error.reason))
            on_photo(done, len(photos))
    return found, Imported(len(photos), len(found), nameless=folders.nameless, failed=tuple(failed))


def _planned(db: Database, sources: Sequence[tuple[_Photo, Source]], counts: Imported) -> _Plan:
    plan = _Plan(counts=counts)
    for photo, source in sources:
        _Planner(db, plan, photo).add(source)
    return plan


class _Planner:
    """Decides what becomes of the names of one photo. Only reads."""

    def __init__(self, db: Database, plan: _Plan, photo: _Photo) -> None:
        self._db, self._plan, self._photo = db, plan, photo
        self._states: dict[int, FaceState] = {}
        self._boxes: list[Box] = []
        for face, box, state in _faces_in(db, photo.id):
            self._states[face] = state
            self._boxes.append(box)

    def add(self, source: Source) -> None:
        """Plans for all names of the photo."""
        ids = list(self._states)
        free = set(ids)
        loose = [name for each in source.described.names if (name := self._usable(each))]
        regions = [
            Region(name, each.box, each.applied_to, each.is_upright)
            for each in source.described.regions
            if (name := self._usable(each.name))
        ]
        for placed in place(regions, Frame(self._photo.size, source.orientation), self._boxes):
            if placed.face is not None:
                self._name(ids[placed.face], placed.region.name)
                free.discard(ids[placed.face])
            elif placed.box is not None:
                self._mark(placed.box, placed.region.name)
            else:
                loose.append(placed.region.name)
        if len(ids) == len(free) == len(set(loose)) == 1:
            self._name(ids[0], loose[0])
        else:
            self._plan.count("unplaced", len(set(loose)))

    def _usable(self, name: str) -> str | None:
        with suppress(UsageError):
            return names.checked(name)
        self._plan.count("unusable")
        return None

    def _name(self, face: int, name: str) -> None:
        state, people = self._states[face], self._db.people.called(name)
        if state.person in people and state.named_by in ("user", _BY):
            self._plan.count("known")
        elif state.named_by == "user" or any(self._db.decisions.is_apart(face, person) for person in people):
            self._plan.count("decided")
        elif len(people) > 1:
            self._plan.count("shared")
        else:
            self._plan.faces[face] = name
            self._plan.count("named")

    def _mark(self, box: Box, name: str) -> None:
        people = self._db.people.called(name)
        if len(people) > 1:
            self._plan.count("shared")
            return
        rows = self._db.connection.execute(
            "SELECT person_id, box_left, box_top, box_right, box_bottom FROM marks WHERE photo_id = ?",
            (self._photo.id,),
        )
        if any(person in people and overlap(there, box) > _SAME_MARK for person, *there in rows):
            self._plan.count("known")
            return
        self._plan.marks.append((self._photo.id, box, name))
        self._plan.count("marked")


def _faces_in(db: Database, photo: int) -> Iterator[tuple[int, Box, FaceState]]:
    """The faces of a photo, without what the user said is none."""
    for table in FACE_TABLES:
        rows = db.connection.execute(
            f"SELECT id, box_left, box_top, box_right, box_bottom, person_id, named_by, margin, is_face FROM {table} "
            "WHERE photo_id = ? AND is_face ORDER BY id",
            (photo,),
        )
        for face, left, top, right, bottom, *state in rows:
            yield face, (left, top, right, bottom), FaceState(*state)


def _without_person(db: Database, plan: _Plan) -> list[str]:
    """The names that nobody has yet."""
    wanted = dict.fromkeys([*plan.faces.values(), *(name for _, _, name in plan.marks)])
    return [name for name in wanted if not db.people.called(name)]


def _carry_out(db: Database, recorder: Recorder, plan: _Plan) -> int:
    """Writes what is planned; how many people are new."""
    new = _without_person(db, plan)
    groups = _groups_to_name(db, plan, set(new))
    people: dict[str, int] = {}
    for name in dict.fromkeys([*plan.faces.values(), *(name for _, _, name in plan.marks)]):
        if name in groups:
            state = db.people.state(groups[name])
            assert state
            recorder.person(groups[name], state._replace(name=name, made_by=_BY))
            people[name] = groups[name]
        elif name in new:
            people[name] = recorder.add_person(PersonState(name=name, made_by=_BY))
        else:
            (people[name],) = db.people.called(name)
    recorder.faces({face: FaceState(people[name], _BY, None, 1) for face, name in plan.faces.items()})
    for photo, box, name in plan.marks:
        recorder.put(MARKS, (_next_mark(db), photo, *box, people[name]))
    return len(new)


def _groups_to_name(db: Database, plan: _Plan, new: set[str]) -> dict[str, int]:
    """For each new name the group without one that becomes that person: of those whose faces have that name and no
    other, the one with most of them, so that the group's other faces have a name, too."""
    meant: dict[int, dict[str, int]] = {}
    for face, name in plan.faces.items():
        person = db.people.person_of(face)
        if person is not None:
            found = meant.setdefault(person, {})
            found[name] = found.get(name, 0) + 1
    best: dict[str, tuple[int, int]] = {}
    for person, found in meant.items():
        state = db.people.state(person)
        (name, count), *others = found.items()
        if not others and name in new and state and state.name is None and state.kind == "person":
            best[name] = max(best.get(name, (0, 0)), (count, -person))
    return {name: -person for name, (_, person) in best.items()}


def _next_mark(db: Database) -> int:
    """An id that no mark had."""
    last = "(SELECT seq FROM sqlite_sequence WHERE name = 'marks')"
    used = f"SELECT max((SELECT coalesce(max(id), 0) FROM marks), coalesce({last}, 0))"
    return int(db.connection.execute(used).fetchone()[0]) + 1
