"""What an import of names would do to a gallery: which face gets which name, and why others get none. Only reads."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from facesearch.errors import UsageError
from facesearch.gallery.database import Database
from facesearch.gallery.records.people import Change
from facesearch.gallery.tables.sqlite import FACE_TABLES, columns
from facesearch.people import names
from facesearch.people.decisions import FaceState
from facesearch.people.files import Source
from facesearch.people.regions import Box, Frame, Region, overlap, place

BY = "xmp"  # who said so, also where the file was Picasa's
_SAME_MARK = 0.5  # overlap of two regions that mark one person


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
class Photo:
    id: int
    path: str
    size: tuple[int, int]


@dataclass(slots=True)
class Plan:
    """Which face gets which name, by its id; and which names get a mark, with photo and box."""

    faces: dict[int, str] = field(default_factory=dict)
    marks: list[tuple[int, Box, str]] = field(default_factory=list)
    counts: Imported = field(default_factory=Imported)

    def count(self, kind: str, more: int = 1) -> None:
        self.counts = replace(self.counts, **{kind: getattr(self.counts, kind) + more})


def planned(db: Database, sources: Sequence[tuple[Photo, Source]], counts: Imported) -> Plan:
    plan = Plan(counts=counts)
    for photo, source in sources:
        _Planner(db, plan, photo).add(source)
    return plan


class _Planner:
    """Decides what becomes of the names of one photo. Only reads."""

    def __init__(self, db: Database, plan: Plan, photo: Photo) -> None:
        self._db, self._plan, self._photo = db, plan, photo
        self._states: dict[int, FaceState] = {}
        self._boxes: list[Box] = []
        self._is_of_today = bool(columns(db.connection, "marks"))  # an earlier facesearch knew no decisions
        for face, box, state in _faces_in(db, photo.id):
            self._states[face] = state
            self._boxes.append(box)

    def add(self, source: Source) -> None:
        """Plans for all names of the photo."""
        ids = list(self._states)
        faces = {face for face, state in self._states.items() if state.is_face}
        free = set(faces)
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
        if len(faces) == len(free) == len(set(loose)) == 1:
            self._name(free.pop(), loose[0])
        else:
            self._plan.count("unplaced", len(set(loose)))

    def _usable(self, name: str) -> str | None:
        with suppress(UsageError):
            return names.checked(name)
        self._plan.count("unusable")
        return None

    def _name(self, face: int, name: str) -> None:
        state, people = self._states[face], called(self._db, name)
        if state.person in people and (state.named_by in ("user", BY) or len(people) > 1):
            self._plan.count("known")
        elif state.named_by == "user" or not state.is_face or self._is_parted(face, people):
            self._plan.count("decided")
        elif len(people) > 1:
            self._plan.count("shared")
        else:
            self._plan.faces[face] = name
            self._plan.count("named")

    def _is_parted(self, face: int, people: list[int]) -> bool:
        """Whether the user said that the face is not one of these people's."""
        return self._is_of_today and any(self._db.decisions.is_apart(face, person) for person in people)

    def _mark(self, box: Box, name: str) -> None:
        people = called(self._db, name)
        if len(people) > 1:
            self._plan.count("shared")
            return
        if not self._is_of_today:
            self._add_mark(box, name)
            return
        rows = self._db.connection.execute(
            "SELECT person_id, box_left, box_top, box_right, box_bottom FROM marks WHERE photo_id = ?",
            (self._photo.id,),
        )
        if any(person in people and overlap(there, box) > _SAME_MARK for person, *there in rows):
            self._plan.count("known")
            return
        self._add_mark(box, name)

    def _add_mark(self, box: Box, name: str) -> None:
        self._plan.marks.append((self._photo.id, box, name))
        self._plan.count("marked")


def _faces_in(db: Database, photo: int) -> Iterator[tuple[int, Box, FaceState]]:
    """The faces of a photo, and what the user said is none."""
    for table in FACE_TABLES:
        there = columns(db.connection, table)
        if not there:
            continue
        state = "person_id, named_by, margin, is_face" if "is_face" in there else "person_id, 'folder', NULL, 1"
        wanted = f"id, box_left, box_top, box_right, box_bottom, {state}"
        rows = db.connection.execute(f"SELECT {wanted} FROM {table} WHERE photo_id = ? ORDER BY id", (photo,))
        for face, left, top, right, bottom, *said in rows:
            yield face, (left, top, right, bottom), FaceState(*said)


def called(db: Database, name: str) -> list[int]:
    """Who has this name, or had it before being joined into somebody."""
    return db.people.called(name) or db.people.formerly_called(name)
