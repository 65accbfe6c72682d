"""Taking a change back: each of its rows becomes what it was before, unless somebody has decided otherwise since.

What a computation or a run of indexing did meanwhile stands in nobody's way. A row that is gone, as after `forget`,
is passed over. To make an undone change hold again is the same the other way round, only where all is as it was."""

from collections.abc import Iterable

from facesearch.errors import UsageError
from facesearch.gallery.database import Database
from facesearch.gallery.records.people import Change
from facesearch.gallery.tables.row_images import (
    APART,
    FACES,
    MARKS,
    PEOPLE,
    STRANGERS,
    TABLES,
    Image,
    Key,
    Recorded,
    Row,
    face_states,
    faces_of_people,
    write_faces,
)
from facesearch.people.decisions import FREE, FaceState, agrees, outranks

_MADE_BY = PEOPLE.all.index("made_by")


class InTheWayError(UsageError):
    """Another change has to be undone first. `change` is its id, None where it is none that can be undone."""

    def __init__(self, message: str, change: int | None) -> None:
        super().__init__(message)
        self.change = change


class Restoring:
    """Writes the rows of one change, as they were before it or with `is_undo` off as they were after it, inside of
    the caller's transaction, which ends where an error is raised. `since` are the changes that came after it and
    hold, and may stand in the way; `option` is what selects the gallery on the command line."""

    def __init__(self, db: Database, change: Change, since: set[int], is_undo: bool, option: str = "") -> None:
        self._db, self._conn, self._change, self._is_undo, self._option = db, db.connection, change, is_undo, option
        self._since = since
        self._states: dict[int, FaceState] = {}  # of all faces of the change that are stored
        self._said_since: set[int] = set()  # faces of which such a change has said something
        self._written: set[int] = set()
        self._people: set[int] = set()
        self._to_delete: list[int] = []
        self.lost = 0  # rows that are gone, and stay so

    @property
    def faces(self) -> int:
        """How many faces were written."""
        return len(self._written)

    def write(self) -> None:
        """Writes all rows. Raises InTheWayError where another change stands in the way."""
        rows = list(self._db.changes.rows(self._change.id))
        self._states = face_states(self._conn, [row.key[0] for row in rows if row.table == FACES])
        self._said_since = self._db.changes.faces_of(self._since)
        self._people = {state.person for state in self._states.values() if state.person}
        for row in [row.reversed for row in reversed(rows)] if self._is_undo else rows:
            if row.is_affirmed:
                self._check_affirmed(row)
            elif row.table == FACES:
                self._face(row)
            elif row.table == PEOPLE.name:
                self._person(row)
            elif row.table in TABLES:
                self._other(TABLES[row.table], row)
        self._write_faces()
        self._empty_who_is_joined()
        for person in self._to_delete:
            self._delete(person)
        self._keep_decisions()

    def _check_affirmed(self, row: Row) -> None:
        """What a change has only said again stays when it is undone, and must be so when it is to hold again."""
        if self._is_undo:
            return
        if row.table == FACES:
            is_so = self._states.get(row.key[0]) in (None, row.after)
        elif row.table == PEOPLE.name:
            is_so = True
        else:
            is_so = TABLES[row.table].read(self._conn, row.key) is not None
        if not is_so:
            self._refuse(row.table, row.key, anyhow=True)

    # One row, which the change left as `before`, becomes `after`

    def _face(self, row: Row) -> None:
        (face,) = row.key
        if face not in self._states:
            self.lost += 1
            return
        now, then, wanted = self._states[face], FaceState(*(row.before or FREE)), FaceState(*(row.after or FREE))
        if now != wanted and not now.is_computed and face in self._said_since:
            self._refuse(FACES, row.key, or_affirming=True)
        if now != wanted and not agrees(now, then):
            self._refuse(FACES, row.key, anyhow=not self._is_undo)
            if outranks(now.named_by, wanted.named_by):
                return
        self._states[face] = wanted
        self._written.add(face)

    def _person(self, row: Row) -> None:
        now = PEOPLE.read(self._conn, row.key)
        self._people.add(row.key[0])
        if row.after is None:
            self._to_delete += [row.key[0]] * (now is not None)
        elif now is None and row.before is not None and row.before[_MADE_BY] != "auto":
            self.lost += 1  # it was there, and is forgotten; a group may merely have been grouped otherwise
        elif now is None or row.before is None:
            PEOPLE.write(self._conn, row.after)
        else:
            PEOPLE.write(self._conn, self._columns(row, now, row.before, row.after))

    def _columns(self, row: Row, now: Image, then: Image, wanted: Image) -> Image:
        """The person's row, those columns of it as they are wanted that the change wrote."""
        written = [i for i in range(len(now)) if then[i] != wanted[i]]
        if _MADE_BY in written and self._db.changes.touching(row.table, row.key, self._since, or_affirming=True):
            written.remove(_MADE_BY)  # something else has been decided about them, so that they stay a user's
        if any(now[i] not in (then[i], wanted[i]) for i in written):
            self._refuse(row.table, row.key, anyhow=not self._is_undo)
        return tuple(wanted[i] if i in written else now[i] for i in range(len(now)))

    def _other(self, table: Recorded, row: Row) -> None:
        image = row.after or row.before or ()
        self._people.update(_people_in(table, image))
        if not self._refers_to_what_is_there(table, image):
            self.lost += 1
        elif row.after is not None:
            table.write(self._conn, row.after)
            if table is APART:
                self._states.update(face_states(self._conn, [k for k in row.key[:1] if k not in self._states]))
        else:
            self._refuse(table.name, row.key, or_affirming=table.read(self._conn, row.key) is not None)
            table.delete(self._conn, row.key)

    def _refers_to_what_is_there(self, table: Recorded, image: Image) -> bool:
        """Whether the face, the photo and the people of a row still exist."""
        values = dict(zip(table.all, image, strict=True))
        for person in _people_in(table, image):
            state = self._db.people.state(person)
            if state is None:
                return False
            if state.joined_into is not None:
                self._refuse(PEOPLE.name, (person,), anyhow=True)
        if "photo_id" in values and not self._db.photos.has_id(values["photo_id"]):
            return False
        return "face_id" not in values or self._db.people.has_face(values["face_id"])

    # All rows together

    def _write_faces(self) -> None:
        """A face goes where it was if that person still is one and the face was not parted from them since."""
        apart = set(self._db.decisions.apart_of(self._states))
        live = self._live(state.person for state in self._states.values() if state.person)
        for face, state in self._states.items():
            if state.person is None:
                continue
            is_apart = (face, state.person) in apart
            if state.person in live and not is_apart:
                continue
            if state.named_by == "user":
                table, key = (APART.name, (face, state.person)) if is_apart else (PEOPLE.name, (state.person,))
                self._refuse(table, key, anyhow=not self._is_undo)
            self._states[face] = FaceState(None, None, None, state.is_face)
            self._written.add(face)
        write_faces(self._conn, {face: self._states[face] for face in self._written})
        self._people.update(live)

    def _live(self, people: Iterable[int]) -> set[int]:
        """Those of these people who exist and were not joined into others."""
        states = {person: self._db.people.state(person) for person in set(people)}
        return {person for person, state in states.items() if state and state.joined_into is None}

    def _empty_who_is_joined(self) -> None:
        """Who is joined into another one has nothing of their own."""
        for person in sorted(self._people):
            state = self._db.people.state(person)
            if state is None or state.joined_into is None:
                continue
            if self._db.people.root(person) in (None, person) or self._in_a_circle(person):
                self._refuse(PEOPLE.name, (state.joined_into,), anyhow=True)
            self._release(person)

    def _in_a_circle(self, person: int) -> bool:
        root = self._db.people.root(person)
        state = self._db.people.state(root) if root is not None else None
        return state is None or state.joined_into is not None

    def _delete(self, person: int) -> None:
        """A person whom the change made goes, and so do the faces that a computation put there since."""
        for (joined,) in self._db.people.joined_into(person):
            self._refuse(PEOPLE.name, (joined,), anyhow=True)
        if self._release(person):
            PEOPLE.delete(self._conn, (person,))

    def _release(self, person: int) -> bool:
        """Takes from a person what a computation gave them; whether nothing is left. Raises InTheWayError where a
        user has decided something about them."""
        for pair in self._db.decisions.apart_from([person]):
            self._refuse(APART.name, pair)
        for pair in self._db.decisions.strangers_of([person]):
            self._refuse(STRANGERS.name, pair)
        for mark in self._db.decisions.marks_of([person]):
            self._refuse(MARKS.name, mark)
        faces = faces_of_people(self._conn, [person])
        for face in faces:
            self._refuse(FACES, (face,), anyhow=faces[face].named_by == "user")
        write_faces(self._conn, {face: FaceState() for face, state in faces.items() if state.is_computed})
        return all(state.is_computed for state in faces.values())

    def _keep_decisions(self) -> None:
        """Whoever is told from somebody keeps a face of which the user said that it is theirs."""
        faces = faces_of_people(self._conn, self._people)
        anchored = {state.person for state in faces.values() if state.named_by == "user"}
        loose = {state.person for state in faces.values() if state.person} - anchored
        wanted = {person for person in loose if person is not None}
        for pair in self._db.decisions.strangers_of(wanted):
            self._refuse(STRANGERS.name, pair, anyhow=not self._is_undo)
        for pair in self._db.decisions.apart_from(wanted):
            self._refuse(APART.name, pair, anyhow=not self._is_undo)

    def _refuse(self, table: str, key: Key, anyhow: bool = False, or_affirming: bool = False) -> None:
        """Raises InTheWayError if another change that holds has written this row, or has said it again; `anyhow` if
        none is known, too."""
        other = self._db.changes.touching(table, key, self._since, or_affirming)
        if other is None and not anyhow:
            return
        what = f"Change {self._change.id} cannot be {'undone' if self._is_undo else 'made to hold again'}: "
        if other is None:
            raise InTheWayError(f"{what}what it was about has been changed since.", None)
        raise InTheWayError(
            f"{what}change {other.id} ({other.verb}) was about the same; undo that one first, with: "
            f"facesearch people undo {other.id}{self._option}.",
            other.id,
        )


def _people_in(table: Recorded, image: Image) -> list[int]:
    values = dict(zip(table.all, image, strict=True))
    return [values[column] for column in ("a", "b", "person_id") if column in values]
