"""Random sequences of all that can happen to people: what the user said holds after every step, and every undo is
exact where no computation came between."""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from facesearch import Gallery
from facesearch.errors import FaceSearchError, UsageError
from facesearch.gallery.database import Database
from facesearch.gallery.decisions.restoring import InTheWayError
from facesearch.gallery.decisions.undoing import NothingToUndoError
from facesearch.gallery.records.people import Question
from facesearch.people.decisions import FaceState
from tests.made_galleries import add, made, rows

_FACES = st.integers(1, 14)
_NAMES = st.sampled_from(["Ann", "Bob", "Cid"])
_SEEDS = st.integers(0, 2**32 - 1)


class _People(RuleBasedStateMachine):
    """A gallery of twelve faces in nine photos, to which everything happens."""

    template: Path  # the folder of a gallery that is copied for each sequence
    galleries: Iterator[str]

    def __init__(self) -> None:
        super().__init__()
        self.gallery = Gallery.open(next(self.galleries), "cpu")
        shutil.copytree(self.template, self.gallery.directory)
        self.added = 0
        self.has_forgotten = False  # the face that a decision held to may be among what was
        self.exact: list[tuple[int, Any]] = []  # changes that nothing computed has followed, and the rows before each
        self.before = rows(self.gallery)

    def teardown(self) -> None:
        shutil.rmtree(self.gallery.directory)

    @contextmanager
    def _said(self) -> Iterator[None]:
        """A verb: it is one change, or nothing at all."""
        before = rows(self.gallery)
        newest = self._newest()
        try:
            yield
        except UsageError:
            assert rows(self.gallery) == before
            assert self._newest() == newest
            return
        if self._newest() != newest:
            self.exact.append((self._newest(), before))
        else:
            assert rows(self.gallery) == before

    @contextmanager
    def _computed(self, forgets: bool = False) -> Iterator[None]:
        """Nothing that the user said changes, of the faces and people that are still there."""
        said = _decided(rows(self.gallery))
        yield
        after = rows(self.gallery)
        there, now = {row[0] for row in after["faces"]}, _decided(after)
        kept = {row for row in said["faces"] if row[0] in there}
        assert (
            kept <= now["faces"] if forgets else kept == now["faces"]
        )  # another face may stand for one that is gone
        for table in ("apart", "strangers", "repeats"):
            assert now[table] <= said[table] if forgets else now[table] == said[table]
        assert forgets or now["people"] == said["people"]
        self.exact.clear()

    def _newest(self) -> int:
        with Database.open(self.gallery.database) as db:
            changes = db.changes.newest(1)
            return changes[0].id if changes else 0

    def _who(self, face: int) -> str | int:
        """The person of a face, or the face by its photo."""
        with Database.open(self.gallery.database) as db:
            person = db.people.person_of(face)
            if person is not None:
                return person
            row = db.connection.execute(
                "SELECT path, photo_id FROM photos JOIN faces ON photo_id = photos.id WHERE faces.id = ?", (face,)
            ).fetchone()
            if row is None:
                return 10**6
            number = [each for each, _ in db.people.faces_in(row[1])].index(face) + 1
            return f"{row[0]}#{number}"

    @rule(face=_FACES, name=_NAMES, how=st.sampled_from([{}, {"same": True}, {"other": True}]))
    def name(self, face: int, name: str, how: dict[str, bool]) -> None:
        with self._said():
            done = self.gallery.name_person(self._who(face), name, **how)
            assert self.gallery.person(done.person or 0).name == name
            assert {each.named_by for each in self.gallery.faces_of(done.person or 0)} <= {"user"}

    @rule(a=_FACES, b=_FACES, c=_FACES, anyway=st.booleans(), into=st.booleans())
    def join(self, a: int, b: int, c: int, anyway: bool, into: bool) -> None:
        with self._said():
            whos = [self._who(face) for face in (a, b, c)]
            self.gallery.join(whos, whos[0] if into else None, anyway=anyway)

    @rule(face=_FACES)
    def part(self, face: int) -> None:
        with self._said():
            person = self._who(face)
            self.gallery.part(person, [face])
            with Database.open(self.gallery.database) as db:
                assert db.people.person_of(face) is None

    @rule(faces=st.lists(_FACES, min_size=1, max_size=3), to=st.one_of(_FACES, _NAMES), other=st.booleans())
    def move(self, faces: list[int], to: int | str, other: bool) -> None:
        with self._said():
            with Database.open(self.gallery.database) as db:
                person = db.people.person_of(to) if isinstance(to, int) else None
            done = self.gallery.move(faces, person or (to if isinstance(to, str) else 10**6), other=other)
            with Database.open(self.gallery.database) as db:
                assert {db.people.person_of(face) for face in faces} == {done.person}

    @rule(photo=st.integers(1, 9), left=st.sampled_from([0.0, 80.0, 300.0]), name=_NAMES, same=st.booleans())
    def mark(self, photo: int, left: float, name: str, same: bool) -> None:
        """The box is a face, lies in one, or where there is none."""
        with self._said():
            done = self.gallery.mark(photo, (left, left, left + 90, left + 90), name, same=same)
            shown = self.gallery.photo(photo)
            there = [face.person for face in shown.faces] + [mark.person for mark in shown.marks]
            assert done.person in there

    @rule(face=_FACES)
    def ignore(self, face: int) -> None:
        with self._said():
            self.gallery.ignore([self._who(face)])

    @rule(below=st.integers(1, 4))
    def ignore_small_ones(self, below: int) -> None:
        with self._said():
            self.gallery.ignore(unnamed_below=below)

    @rule(face=_FACES)
    def not_a_face(self, face: int) -> None:
        with self._said():
            self.gallery.not_a_face([face])

    @rule(photo=st.integers(1, 9))
    def collage(self, photo: int) -> None:
        with self._said():
            self.gallery.collage([f"{photo}.jpg"])

    @rule(face=_FACES)
    def cover(self, face: int) -> None:
        with self._said():
            self.gallery.cover(self._who(face), face)

    @rule(face=_FACES)
    def hide(self, face: int) -> None:
        with self._said():
            self.gallery.hide([self._who(face)])

    @rule(
        a=_FACES, b=_FACES, kind=st.sampled_from(["same", "stray"]), reply=st.sampled_from(["yes", "no", "stranger"])
    )
    def answer(self, a: int, b: int, kind: Any, reply: Any) -> None:
        with Database.open(self.gallery.database) as db:
            faces = db.people_list.faces([a, b])
        if a != b and len(faces) == 2:
            with self._said():
                self.gallery.answer(Question(kind, faces[a], faces[b], -0.01), reply)

    @rule()
    def undo(self) -> None:
        self._undo(None)

    @rule(change=st.integers(1, 40))
    def undo_one(self, change: int) -> None:
        self._undo(change)

    def _undo(self, change: int | None) -> None:
        before = rows(self.gallery)
        with Database.open(self.gallery.database) as db:
            newest = db.changes.to_undo()
        try:
            self.gallery.undo(change)
        except (NothingToUndoError, InTheWayError):
            assert rows(self.gallery) == before
            return
        if self.exact and newest and newest.id == self.exact[-1][0] and change in (None, newest.id):
            assert rows(self.gallery) == self.exact.pop()[1]
        else:
            self.exact.clear()

    @precondition(lambda self: self.exact)
    @rule()
    def undo_all(self) -> None:
        for change, before in reversed(self.exact):
            self.gallery.undo(change)
            assert rows(self.gallery) == before
        self.exact.clear()

    @rule(seed=_SEEDS)
    def group_in_any_way(self, seed: int) -> None:
        with self._computed(), self.gallery.writing() as db, db.transaction():
            _group_at_random(db, random.Random(seed))

    @rule(mode=st.sampled_from(["careful", "balanced", "eager"]))
    def group(self, mode: Any) -> None:
        with self._computed():
            self.gallery.group(mode, again=True)

    @rule()
    def index_more(self) -> None:
        if self.added < 3:
            self.added += 1
            with self._computed(), self.gallery.writing() as db:
                add(db, [f"more-{self.added}.jpg"])

    @rule(photo=st.integers(1, 9))
    def move_a_photo(self, photo: int) -> None:
        with self._computed(), self.gallery.writing() as db, db.transaction():
            db.connection.execute(
                "UPDATE photos SET path = replace(path, ?, ?)", (f"/{photo}.jpg", f"/moved/{photo}.jpg")
            )

    @rule(photo=st.integers(1, 9))
    def lose_a_photo(self, photo: int) -> None:
        """Its file is gone; what is known of it is kept."""
        with self._computed(), self.gallery.writing() as db, db.transaction():
            db.connection.execute("UPDATE photos SET status = 'missing' WHERE id = ?", (photo,))

    @rule(photo=st.integers(1, 9))
    def forget(self, photo: int) -> None:
        with Database.open(self.gallery.database) as db:
            row = db.connection.execute("SELECT path FROM photos WHERE id = ?", (photo,)).fetchone()
        if row:
            self.has_forgotten = True
            with self._computed(forgets=True), suppress(FaceSearchError):
                self.gallery.forget(row[0])

    def _last_words_hold(self, now: dict[str, Any]) -> None:
        """A face is whose the user said last, whatever was undone before or after it."""
        with Database.open(self.gallery.database) as db:
            said = _last_words(db)
        for face, *state in now["faces"]:
            if face in said and not said[face].is_computed:
                assert FaceState(*state) == said[face]

    @invariant()
    def nothing_contradicts_itself(self) -> None:
        now = rows(self.gallery)
        people = {row[0]: row for row in now["people"]}
        live = {person for person, row in people.items() if row[-1] is None}
        for face, person, _, _, is_face in now["faces"]:
            assert person is None or person in live
            assert is_face or person is None
            assert (face, person) not in now["apart"]
        anchored = {row[1] for row in now["faces"] if row[2] == "user"}
        with_faces = {row[1] for row in now["faces"]}
        for a, b in now["strangers"]:
            assert {a, b} <= live
        for person in {each for pair in now["strangers"] for each in pair} | {row[1] for row in now["apart"]}:
            assert person in live
            assert person in anchored or person not in with_faces or self.has_forgotten
        self._last_words_hold(now)
        self.gallery.people()
        self.gallery.log(100)
        self.gallery.questions()


_TURNS = ("undo", "redo")


def _last_words(db: Database) -> dict[int, FaceState]:
    """By face what the last change that holds has said of it: as it was made, or was made to hold again."""
    changes = db.changes.newest(1000)
    again = {int(change.words): change.id for change in reversed(changes) if change.verb in _TURNS}
    holding = [change.id for change in changes if change.undone_at is None and change.verb not in _TURNS]
    said: dict[int, FaceState] = {}
    for change in sorted(holding, key=lambda each: max(each, again.get(each, 0))):
        for row in db.changes.rows(change):
            if row.table == "faces":
                said[row.key[0]] = FaceState(*(row.after or ()))
    return said


def _decided(now: dict[str, Any]) -> dict[str, set[Any]]:
    """What the user said, of all rows."""
    return {
        "faces": {row for row in now["faces"] if row[2] == "user"},
        "people": {(*row[:4], *row[5:]) for row in now["people"] if row[5] == "user"},  # a cover may be gone
        **{table: set(now[table]) for table in ("apart", "strangers", "repeats")},
    }


def _group_at_random(db: Database, drawn: random.Random) -> None:
    """What a grouping may do at the most: it moves every face of which nobody has said anything among the groups
    that there are and new ones, and deletes groups that it made."""
    conn = db.connection
    apart = set(conn.execute("SELECT face_id, person_id FROM apart"))
    live = [row[0] for row in conn.execute("SELECT DISTINCT person_id FROM faces WHERE person_id NOTNULL ORDER BY 1")]
    for _ in range(2):
        live.append(int(conn.execute("INSERT INTO people (made_by) VALUES ('auto')").lastrowid or 0))
    free = conn.execute(
        "SELECT id FROM faces WHERE coalesce(named_by, 'auto') = 'auto' AND is_face ORDER BY id"
    ).fetchall()
    for (face,) in free:
        person = drawn.choice([None, *live])
        if (face, person) in apart:
            person = None
        conn.execute(
            "UPDATE faces SET person_id = ?, named_by = ?, margin = ? WHERE id = ?",
            (person, person and "auto", person and drawn.uniform(-0.1, 0.3), face),
        )
    conn.execute(
        "DELETE FROM people WHERE made_by = 'auto' AND id NOT IN "
        "(SELECT person_id FROM faces WHERE person_id NOTNULL)"
    )


def test_what_was_said_holds_whatever_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    gallery = made("template", {f"{i}.jpg": 1 + (i % 3 == 0) for i in range(1, 10)})
    with gallery.writing() as db, db.transaction(), closing(db.connection.cursor()):
        _group_at_random(db, random.Random(1))
    _People.template = gallery.directory
    _People.galleries = (f"g{number}" for number in range(10**6))
    run_state_machine_as_test(
        _People,
        settings=settings(
            max_examples=int(os.environ.get("FACESEARCH_SEQUENCES", "20")),
            stateful_step_count=25,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # a sequence takes half a second: to shrink one would take minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
