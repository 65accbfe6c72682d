"""What was said about people is hours of work: damage to it is found, repair keeps it, and what is forgotten leaves
no trace in it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from facesearch import Gallery
from facesearch.gallery.database import Database
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.gallery.tables.same_faces import carry_over, take_up
from facesearch.gallery.upkeep.backup import back_up, restore
from facesearch.gallery.upkeep.salvage import salvage
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status
from tests.made_galleries import add, embedding, face, group, made, rows

_SAID = ("people", "faces", "apart", "strangers", "repeats", "marks", "changes", "changed")


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gallery:
    """Eight photos of one face each: Ann has 1, 2 and 3, Bob 4 and 5, who is not Ann; 6 and 7 are a group, from which
    7 was parted; 8 is no face, and 3.jpg is a collage in which Bob is marked."""
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    gallery = made(photos=[f"{i}.jpg" for i in range(1, 9)])
    group(gallery, (1, 2, 3), (4, 5), (6, 7))
    gallery.name_person("@1", "Ann Secretname")
    gallery.name_person("@2", "Bob Othername")
    gallery.name_person("@3", "Ann Secretname", other=True)
    gallery.part("@3", faces=[7])
    gallery.not_a_face([8])
    gallery.collage(["3.jpg"])
    with gallery.writing() as db, db.transaction():
        db.connection.execute("INSERT INTO marks VALUES (1, 3, 0, 0, 9, 9, 2)")
    return gallery


def _execute(gallery: Gallery, statement: str) -> None:
    with closing(sqlite3.connect(gallery.database)) as conn, conn:
        conn.execute(statement)


def _bytes(gallery: Gallery) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(gallery.directory.rglob("*")) if path.is_file())


def _said(gallery: Gallery) -> dict[str, list[tuple[object, ...]]]:
    with Database.open(gallery.database) as db:
        return {
            table: sorted(db.connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr) for table in _SAID
        }


def test_repair_keeps_all_that_was_said(gallery: Gallery, tmp_path: Path) -> None:
    """As rows, with their ids: what undo needs too. No id is ever given again."""
    before = _said(gallery)
    assert gallery.check().faults == ()
    salvage(gallery.database, tmp_path / "new.db")
    (tmp_path / "new.db").replace(gallery.database)
    assert _said(gallery) == before
    assert gallery.check().faults == ()
    gallery.undo()
    with Database.create(gallery.database) as db, db.transaction():
        assert db.changes.recorder("name").add_person(db.people.state(1) or pytest.fail("Ann is lost")) == 4


def test_what_speaks_of_lost_rows_is_left_out_and_the_rest_is_kept(gallery: Gallery, tmp_path: Path) -> None:
    _execute(gallery, "UPDATE faces SET embedding = zeroblob(512) WHERE id IN (1, 7)")
    _execute(gallery, "DELETE FROM people WHERE id = 2")
    salvage(gallery.database, tmp_path / "new.db")
    (tmp_path / "new.db").replace(gallery.database)
    assert gallery.check().faults == ()
    assert [(person.label, person.faces) for person in gallery.people()] == [
        ("Ann Secretname", 2),
        ("Ann Secretname", 1),
    ]
    said = _said(gallery)
    assert (said["apart"], said["marks"]) == ([], [])
    assert said["strangers"] == [(1, 3)]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE faces SET named_by = 'uzer' WHERE id = 1", "who named face 1"),
        ("UPDATE faces SET is_face = 7 WHERE id = 1", "who named face 1"),
        ("UPDATE people SET kind = 'persom' WHERE id = 1", "person 1 is not as it was stored"),
        ("UPDATE people SET joined_into = 77 WHERE id = 1", "joined into one who is not there"),
        ("UPDATE changed SET before = '[1,' WHERE id = 1", "row 1 of the log"),
        ("DELETE FROM people WHERE id = 1", "refers to a row of people"),
    ],
)
def test_check_finds_what_is_wrong_with_decisions_and_repair_mends_it(
    gallery: Gallery, tmp_path: Path, statement: str, said: str
) -> None:
    _execute(gallery, statement)
    assert any(said in fault for fault in gallery.check().faults)
    salvage(gallery.database, tmp_path / "new.db")
    (tmp_path / "new.db").replace(gallery.database)
    assert gallery.check().faults == ()


@pytest.mark.parametrize("what", ["person", "who", "name"])
def test_a_person_who_is_another_one_than_was_stored_is_found(gallery: Gallery, what: str) -> None:
    """A bit of the page in which it stands, not of the index that says the same."""
    with closing(sqlite3.connect(gallery.database)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        table = "people" if what == "name" else "faces"
        (page,) = conn.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    data = bytearray(gallery.database.read_bytes())
    for start in _leaves(data, page):
        part = data[start : start + 4096]
        for old, new in {
            "name": ((b"Bob Othername", b"Rob Othername"),),
            "who": ((b"user", b"auto"),),
            "person": (),
        }[what]:
            part = part.replace(old, new, 1)
        data[start : start + 4096] = part
    if what == "person":
        _with_index_ignored(gallery)
    else:
        gallery.database.write_bytes(data)
    assert any("SQLite's own check" in fault for fault in gallery.check().faults)


def _leaves(data: bytes | bytearray, page: int) -> Iterator[int]:
    """The offsets of a table's leaf pages: itself, or its children."""
    at = (page - 1) * 4096
    if data[at] == 13:
        yield at
        return
    cells = int.from_bytes(data[at + 3 : at + 5], "big")
    pointers = [int.from_bytes(data[at + 12 + 2 * i : at + 14 + 2 * i], "big") for i in range(cells)]
    children = [int.from_bytes(data[at + where : at + where + 4], "big") for where in pointers]
    for child in [*children, int.from_bytes(data[at + 8 : at + 12], "big")]:
        yield from _leaves(data, child)


def _with_index_ignored(gallery: Gallery) -> None:
    """A face goes to another person, and the index is not told."""
    with closing(sqlite3.connect(gallery.database)) as conn, conn:
        (made,) = conn.execute("SELECT sql FROM sqlite_master WHERE name = 'faces_by_person'").fetchone()
        conn.execute("PRAGMA writable_schema = ON")
        conn.execute(
            "UPDATE sqlite_master SET sql = NULL, name = 'hidden', type = 'x' WHERE name = 'faces_by_person'"
        )
    with closing(sqlite3.connect(gallery.database)) as conn, conn:
        conn.execute("PRAGMA writable_schema = ON")
        conn.execute("UPDATE faces SET person_id = 2 WHERE id = 1")
        conn.execute(
            "UPDATE sqlite_master SET sql = ?, name = 'faces_by_person', type = 'index' WHERE name = 'hidden'",
            (made,),
        )


def test_of_a_person_who_is_forgotten_no_byte_stays_in_the_log(gallery: Gallery) -> None:
    gallery.name_person("@2", "Rob Newname")
    gallery.forget("@2", "person")
    everything = _bytes(gallery)
    assert b"Othername" not in everything
    assert b"Newname" not in everything
    assert b"Ann Secretname" in everything
    assert gallery.check().faults == ()
    assert [person.label for person in gallery.people()] == ["Ann Secretname", "Ann Secretname"]
    assert _said(gallery)["marks"] == []


def test_what_holds_for_others_too_can_still_be_undone_and_says_what_is_lost(gallery: Gallery) -> None:
    gallery.forget(str(Path("1.jpg").absolute()))
    assert gallery.check().faults == ()
    change = next(each for each in gallery.log() if each.verb == "name" and "@1" in each.words)
    for each in gallery.log():
        if each.id > change.id and each.undone_at is None and each.verb not in ("undo", "redo"):
            gallery.undo(each.id)
    (note,) = gallery.undo(change.id).notes
    assert "gone" in note


def test_a_decision_about_somebody_outlives_the_face_that_it_held_to(gallery: Gallery) -> None:
    _execute(gallery, "UPDATE faces SET named_by = 'auto' WHERE id IN (2, 3)")
    gallery.forget(str(Path("1.jpg").absolute()))
    assert sorted(str(row[2]) for row in rows(gallery)["faces"] if row[1] == 1) == ["auto", "user"]


def test_a_backup_brings_all_of_it_back(gallery: Gallery, tmp_path: Path) -> None:
    before = _said(gallery)
    back_up(gallery, tmp_path / "backup.zip")
    restore(tmp_path / "backup.zip", "again", lambda _: None)
    assert _said(Gallery.open("again")) == before


def test_a_face_that_a_repair_could_not_keep_is_who_it_was_when_its_photo_is_looked_at_again(
    gallery: Gallery, tmp_path: Path
) -> None:
    before = rows(gallery)
    _execute(gallery, "UPDATE faces SET embedding = zeroblob(512) WHERE id IN (3, 7, 8)")
    salvage(gallery.database, tmp_path / "new.db")
    (tmp_path / "new.db").replace(gallery.database)
    assert [row[0] for row in rows(gallery)["faces"]] == [1, 2, 4, 5, 6]
    salvage(gallery.database, tmp_path / "new.db")  # what was written down outlives a second repair
    (tmp_path / "new.db").replace(gallery.database)
    with gallery.writing() as db, db.transaction():
        for path in ("3.jpg", "7.jpg", "8.jpg"):
            add(db, [path])
            take_up(db.connection, db.photos.id_of(str(Path(path).absolute())) or 0, path.encode())
    now = rows(gallery)
    assert [row[0] for row in now["faces"]][5:] == [9, 10, 11]
    whose = [(person, by, is_face) for _, person, by, _, is_face in before["faces"]]
    assert [(person, by, is_face) for _, person, by, _, is_face in now["faces"]][5:] == [
        whose[i - 1] for i in (3, 7, 8)
    ]
    assert (before["apart"], now["apart"]) == ([(7, 3)], [(10, 3)])
    assert len(now["repeats"]) == 1
    assert gallery.check().faults == ()


def test_a_face_in_a_photo_that_was_changed_is_who_it_was(gallery: Gallery) -> None:
    """The path of 7.jpg holds other bytes now, in which the same face is found, that of 1.jpg somebody else's."""
    with gallery.writing() as db, db.transaction():
        for path, sign in (("7.jpg", 1), ("1.jpg", -1)):
            old = db.photos.id_of(str(Path(path).absolute())) or 0
            row = PhotoRow(
                PhotoFile(str(Path(path).absolute()), 2, 2),
                Status.OK,
                digest=b"changed " + path.encode(),
                faces=[face(90)],
                embeddings=sign * embedding(path, 0)[None],
            )
            new = db.photos.save(row)
            carry_over(db.connection, old, new, "dlib-resnet")
        db.photos.delete_displaced()
    found = rows(gallery)
    assert found["apart"] == [(9, 3)]
    assert found["faces"][-1][:3] == (10, None, None)
    assert gallery.check().faults == ()
