"""Names that other programs gave, from the files around the photos into the gallery: as one change, that a user can
undo, and weaker than what the user said."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from facesearch.errors import PhotoError, UsageError
from facesearch.files import printable
from facesearch.gallery.database import Database
from facesearch.gallery.names.import_plan import BY, Imported, Photo, Plan, called, planned
from facesearch.gallery.storage import Storage
from facesearch.gallery.tables.changes import Recorder
from facesearch.gallery.tables.row_images import MARKS, faces_of_people
from facesearch.gallery.tables.sqlite import BELOW, FACE_TABLES, below, from_sql, to_sql
from facesearch.people.decisions import FaceState, PersonState
from facesearch.people.files import Folders, Source
from facesearch.people.parsing_process import Parsers
from facesearch.photos.addresses import absolute

OnPhoto = Callable[[int, int], None]


def import_names(
    storage: Storage, paths: Sequence[str | Path], dry_run: bool, on_photo: OnPhoto = lambda done, total: None
) -> Imported:
    """Names faces of the gallery's photos below these paths, of all where none is given, as the files around them
    say. `on_photo` hears how many, of how many, were looked at. Raises UsageError for a path below which the gallery
    knows no photo."""
    with storage.reading() as (db, _), db.snapshot():
        photos = list(_photos(db, [absolute(path) for path in paths]))
    sources, counts = _read(photos, on_photo)
    if dry_run:
        with storage.reading() as (db, _), db.snapshot():
            plan = planned(db, sources, counts)
            return replace(plan.counts, people=len(_without_person(db, plan)))
    with storage.writing() as db, db.transaction():
        plan = planned(db, sources, counts)
        recorder = db.changes.recorder("import", made_by=BY)
        people = _carry_out(db, recorder, plan)
        recorder.say(f"faces named: {plan.counts.named:,}, places without a face marked: {plan.counts.marked:,}")
        change = db.changes.get(recorder.change) if recorder.change is not None else None
    return replace(plan.counts, people=people, change=change)


def _photos(db: Database, paths: Sequence[str]) -> Iterator[Photo]:
    """Those that are there and whose size is known."""
    known: dict[int, Photo] = {}
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
        known |= {id: Photo(id, from_sql(found), (width, height)) for id, found, width, height in rows}
    return iter(known.values())


def _read(photos: Sequence[Photo], on_photo: OnPhoto) -> tuple[list[tuple[Photo, Source]], Imported]:
    """What the files say, of those photos about which they say something."""
    found: list[tuple[Photo, Source]] = []
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


def _without_person(db: Database, plan: Plan) -> list[str]:
    """The names that nobody has yet."""
    wanted = dict.fromkeys([*plan.faces.values(), *(name for _, _, name in plan.marks)])
    return [name for name in wanted if not called(db, name)]


def _carry_out(db: Database, recorder: Recorder, plan: Plan) -> int:
    """Writes what is planned; how many people are new."""
    new = _without_person(db, plan)
    groups = _groups_with_one_name(db, plan)
    people = {name: _person_for(db, recorder, name, groups.get(name, [])) for name in _names_of(plan)}
    recorder.faces({face: FaceState(people[name], BY, None, 1) for face, name in plan.faces.items()})
    for photo, box, name in plan.marks:
        recorder.put(MARKS, (db.decisions.next_mark(), photo, *box, people[name]))
    for name, found in groups.items():
        for group in found:
            if group != people[name] and not db.decisions.are_strangers(group, people[name]):
                _follow(db, recorder, group, people[name])
    return len(new)


def _names_of(plan: Plan) -> dict[str, None]:
    return dict.fromkeys([*plan.faces.values(), *(name for _, _, name in plan.marks)])


def _person_for(db: Database, recorder: Recorder, name: str, groups: Sequence[int]) -> int:
    """Who has the name; else a group without one, which takes it; else somebody new."""
    known = called(db, name)
    if known:
        return known[0]
    if not groups:
        return recorder.add_person(PersonState(name=name, made_by=BY))
    state = db.people.state(groups[0]) or PersonState()
    recorder.person(groups[0], state._replace(name=name, made_by=BY))
    return groups[0]


def _groups_with_one_name(db: Database, plan: Plan) -> dict[str, list[int]]:
    """For each name the groups without one of which the files call faces so and no face otherwise: first those with
    most such faces. Their other faces are the same person's, as far as the computation can tell."""
    said: dict[int, dict[str, int]] = {}
    for face, name in plan.faces.items():
        person = db.people.person_of(face)
        if person is not None:
            counts = said.setdefault(person, {})
            counts[name] = counts.get(name, 0) + 1
    groups: dict[str, list[tuple[int, int]]] = {}
    for person, counts in said.items():
        state = db.people.state(person)
        if len(counts) == 1 and state and state.name is None and state.kind == "person":
            ((name, count),) = counts.items()
            groups.setdefault(name, []).append((-count, person))
    return {name: [person for _, person in sorted(found)] for name, found in groups.items()}


def _follow(db: Database, recorder: Recorder, group: int, person: int) -> None:
    """The faces that a computation has put into a group become the person's, too, and its id stands for that one;
    but for those that the user has parted from the person, and those whose photo shows the person already."""
    faces = faces_of_people(recorder.conn, [group])
    apart = {face for face, _ in db.decisions.apart_from([person])}
    taken = {_photo_of(db, face) for face in faces_of_people(recorder.conn, [person])}
    moved = {}
    for face, state in faces.items():
        photo = _photo_of(db, face)
        if state.is_computed and face not in apart and photo not in taken:
            moved[face] = state._replace(person=person)
            taken.add(photo)
    recorder.faces(moved)
    if len(moved) == len(faces):
        ended = db.people.state(group) or PersonState()
        recorder.person(group, ended._replace(joined_into=person))


def _photo_of(db: Database, face: int) -> int | None:
    for table in FACE_TABLES:
        row = db.connection.execute(f"SELECT photo_id FROM {table} WHERE id = ?", (face,)).fetchone()
        if row:
            return int(row[0])
    return None
