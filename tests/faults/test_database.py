"""A database that is damaged: it is refused with a sentence, `check` says what is wrong, and `repair` restores it."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from facesearch import Gallery
from facesearch.errors import DamagedGalleryError, FaceSearchError, GalleryError, GalleryLockedError
from facesearch.gallery.upkeep.checking import check

_FLIPS = pytest.mark.parametrize(
    "flips", [25, pytest.param(600, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)


def _path(home: Path) -> Path:
    return home / "indexes" / "default" / "faces.db"


def _computed(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Of a dump what networks found: path, status and faces, without names."""
    return [(row[0], row[1], *(face[:-1] for face in row[8:])) for row in rows]


@pytest.fixture
def full(victim: Any, few: Any, tmp_path: Path) -> Path:
    """A home with all photos in its gallery."""
    home = tmp_path / "full"
    home.mkdir()
    assert victim(home, few.folder)["code"] == 7
    return home


@pytest.fixture
def gallery(full: Path, monkeypatch: pytest.MonkeyPatch) -> Gallery:
    monkeypatch.setenv("FACESEARCH_HOME", str(full))
    return Gallery.open()


def _used(home: Path) -> list[int]:
    """The bytes of the database of which something is read."""
    return [at for at, byte in enumerate(_path(home).read_bytes()) if byte]


def _of_definitions(home: Path) -> list[int]:
    """The bytes of all rows that say what the database holds: each is a few numbers, the names, and a statement."""
    data, found = _path(home).read_bytes(), list[int]()
    with closing(sqlite3.connect(_path(home))) as conn:
        for row in conn.execute("SELECT type, name, tbl_name, ifnull(sql, '') FROM sqlite_master").fetchall():
            *names, statement = (value.encode() for value in row)
            at = data.index(b"".join(names))
            found += range(at - 12, at + sum(map(len, names)) + 2 + len(statement))
    return found


@_FLIPS
@pytest.mark.parametrize("where", [_used, _of_definitions])
def test_a_byte_that_is_flipped_anywhere(
    where: Callable[[Path], list[int]], flips: int, victim: Any, few: Any, trusted: Any, full: Path, tmp_path: Path
) -> None:
    expected = trusted.dump(full)
    asked = next(path for path in few.files if "Abdullah_Gul_0002" in path)
    used = where(full)
    chosen = random.Random(flips)
    found = refused = 0
    for _ in range(flips):
        home = tmp_path / "flipped"
        shutil.copytree(full, home)
        data = bytearray(_path(home).read_bytes())
        at, by = chosen.choice(used), chosen.randrange(1, 256)
        data[at] ^= by
        _path(home).write_bytes(data)
        which = f"byte {at} ^ {by}"
        # Whatever is asked of it, the answer is one or a sentence.
        for order in ({"query": asked, "do": "check"}, {}):
            said = victim(home, few.folder, **order)
            assert said["ended"] == 0, which
            for answer in (said, said.get("query", said)):
                assert answer["code"] in (0, 3, 5, 6, 7), (which, answer)
            found += bool(said.get("faults"))
            refused += said["code"] == 5
        repaired = victim(home, do="repair")
        assert repaired["code"] == 0, (which, repaired)
        checked = victim(home, do="check")
        assert checked.get("faults") == [], (which, checked, repaired)
        assert where is _used or not repaired["analysed"], (which, repaired)  # all rows are there
        done = victim(home, few.folder)
        if done["code"] != 6:  # the name of the model itself is another one
            assert done["code"] in (0, 7), (which, done)
            trusted.sound(home)
            # A path that reads otherwise now is that of a photo which is missing; the photo itself was found again.
            there = [row for row in trusted.dump(home) if row[1] != "missing"]
            assert _computed(there) == _computed(expected), which
        shutil.rmtree(home)
    print(f"{flips} bytes flipped: {found} found by check, {refused} times refused, all restored")
    assert few.is_untouched()


_DEFINITIONS = {  # an object, what stands in its row of sqlite_master, what stands there then, and what is said
    "a reference": ("apart", "people (id)", "ptople (id)", "definition of the table apart"),
    "a reference of faces": ("faces", "REFERENCES people", "REFERENCES pfople", "definition of the table faces"),
    "what a reference does": ("marks", "ON DELETE CASCADE", "ON DELETE CASCADF", "it cannot be opened"),
    "a condition": ("strangers", "(a < b)", "(a > b)", "definition of the table strangers"),
    "a column that is read": ("faces", "embedding BLOB", "embfdding BLOB", "table faces"),
    "a column of an index": ("people", "name TEXT", "nbme TEXT", "it cannot be opened"),
    "a column of the settings": ("settings", "model TEXT", "mpdel TEXT", "it cannot be opened"),
    "a column that few read": ("awaited", "apart TEXT", "apbrt TEXT", "definition of the table awaited"),
    "a key": ("photos", "id INTEGER PRIMARY", "id INTEGDR PRIMARY", "table photos"),
    "a key of a table that is computed": ("cohort", "id INTEGER PRIMARY", "id INTEGER PRIMARX", "table cohort"),
    "a count": ("face_counts", "faces INTEGER NOT", "facfs INTEGER NOT", "table face_counts"),
    "a kind of values": ("photos", "size INTEGER", "size BNTEGER", "definition of the table photos"),
    "a word": ("faces", "score REAL NOT NULL", "score REAL NOT NUML", "it cannot be opened"),
    "ids that never come twice": ("people", "AUTOINCREMENT", "AUTOINCREMEMT", "it cannot be opened"),
    "an index": ("changed_by_row", "(table_name, row_id)", "(table_name, before)", "index changed_by_row"),
    "the rows of an index": ("people_by_join", "joined_into NOTNULL", "kind        NOTNULL", "index people_by_join"),
    "a trigger": ("face_removed", "INSERT INTO removed", "INSERT INTO rfmoved", "trigger face_removed"),
    "when a trigger acts": ("photo_discounted", "AFTER DELETE", "AFTER INSERT", "trigger photo_discounted"),
    "an index of a condition": ("sqlite_autoindex_photos_1", "autoindex", "autoindfx", "it cannot be opened"),
}


def _redefine(home: Path, name: str, old: str, new: str) -> None:
    """Replaces a part of all that SQLite keeps of an object; the rows stay where they are."""
    with closing(sqlite3.connect(_path(home))) as conn, conn:
        conn.execute("PRAGMA writable_schema = ON")
        changed = conn.execute(
            "UPDATE sqlite_master SET type = replace(type, :old, :new), name = replace(name, :old, :new), "
            "tbl_name = replace(tbl_name, :old, :new), sql = replace(sql, :old, :new) WHERE name = :name AND "
            "instr(type || ' ' || name || ' ' || tbl_name || ' ' || ifnull(sql, ''), :old)",
            {"name": name, "old": old, "new": new},
        )
        assert changed.rowcount == 1


@pytest.mark.parametrize(("name", "old", "new", "said"), _DEFINITIONS.values(), ids=_DEFINITIONS)
def test_a_definition_that_is_another_one(
    name: str, old: str, new: str, said: str, victim: Any, few: Any, trusted: Any, full: Path
) -> None:
    """Of a table, an index or a trigger: it is found, and nothing is lost, neither faces nor what was said."""
    asked = next(path for path in few.files if "Abdullah_Gul_0002" in path)
    for what in (["name_person", "Abdullah_Gul", "Abdullah Gül"], ["part", "Angelina_Jolie", [3]]):
        assert victim(full, do="decide", what=what)["code"] == 0
    expected, decisions = trusted.dump(full), _decisions(full)
    _redefine(full, name, old, new)
    found = victim(full, do="check")["faults"]
    assert any(said in fault for fault in found), found
    for order in ({}, {"do": "forget", "what": asked}):  # what meets it says what helps
        met = victim(Path(shutil.copytree(full, full.with_name("met"))), few.folder, **order)
        assert met["code"] in (0, 7) or "try: facesearch repair" in met["said"], met
        shutil.rmtree(full.with_name("met"))
    repaired = victim(full, do="repair")
    assert (repaired["code"], repaired["faults"], repaired["analysed"]) == (0, found, 0), repaired
    assert victim(full, do="check")["faults"] == []
    assert trusted.dump(full) == expected
    assert _decisions(full) == decisions
    done = victim(full, few.folder, query=asked)
    assert (done["code"], done["analysed"], done["query"]["code"]) == (7, 0, 0), done
    assert asked in done["query"]["matches"]
    shutil.rmtree(next(full.glob("indexes/default/backup-*")))
    trusted.whole(full, few, expected)


def _decisions(home: Path) -> dict[str, list[Any]]:
    tables = ("people", "apart", "strangers", "repeats", "marks", "changes", "changed")
    with closing(sqlite3.connect(_path(home))) as conn:
        found = {table: conn.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall() for table in tables}
        found["faces"] = conn.execute("SELECT id, person_id, named_by, is_face FROM faces ORDER BY id").fetchall()
    return found


@pytest.mark.parametrize("name", ["people", "faces", "photos", "faces_by_photo", "photo_counted", "sqlite_sequence"])
def test_a_name_of_a_definition_that_is_another_one(
    name: str, victim: Any, few: Any, trusted: Any, full: Path
) -> None:
    expected = trusted.dump(full)
    _redefine(full, name, name, name[:-1] + "_")
    assert victim(full, do="check")["faults"]
    repaired = victim(full, do="repair")
    assert (repaired["code"], repaired["analysed"]) == (0, 0), repaired
    assert victim(full, do="check")["faults"] == []
    assert trusted.dump(full) == expected
    assert victim(full, few.folder)["code"] == 7


@pytest.mark.parametrize(
    ("old", "new"), [("_sqlite_migrations", "_sqlite_migratjons"), ("applied_at", "applifd_at"), ("set", "sdt")]
)
def test_a_list_of_migrations_that_is_another_one(
    old: str, new: str, victim: Any, few: Any, trusted: Any, full: Path
) -> None:
    expected = trusted.dump(full)
    _redefine(full, "_sqlite_migrations", old, new)
    assert victim(full, do="check")["faults"]
    repaired = victim(full, do="repair")
    assert (repaired["code"], repaired["analysed"]) == (0, 0), repaired
    assert victim(full, do="check")["faults"] == []
    assert trusted.dump(full) == expected
    assert victim(full, few.folder)["code"] == 7


def _cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


@pytest.mark.parametrize(
    ("what", "damage", "keeps"),
    [
        ("empty", lambda data: b"", False),
        ("text", lambda data: b"no database at all\n" * 400, False),
        ("a tenth", lambda data: _cut(data, 0.1), False),
        ("half", lambda data: _cut(data, 0.5), False),
        ("all but a page", lambda data: data[:-4096], False),
        ("without its first page", lambda data: bytes(4096) + data[4096:], True),
        ("without its second page", lambda data: data[:4096] + b"\xff" * 4096 + data[8192:], True),
        ("noise", lambda data: random.Random(0).randbytes(len(data)), False),
    ],
)
def test_a_database_that_is_damaged_is_repaired(
    what: str,
    damage: Callable[[bytes], bytes],
    keeps: bool,
    victim: Any,
    few: Any,
    trusted: Any,
    full: Path,
    gallery: Gallery,
) -> None:
    expected = trusted.dump(full)
    damaged = damage(_path(full).read_bytes())
    _path(full).write_bytes(damaged)
    if damaged:
        with pytest.raises(GalleryError, match=r"faces\.db is damaged .*try: facesearch repair\."):
            _ask(gallery, few)
        assert check(gallery).faults
    else:  # as if it had never been filled
        for ask in (lambda: _ask(gallery, few), lambda: check(gallery)):
            with pytest.raises(GalleryError, match="still empty; run: facesearch index"):
                ask()
    assert _path(full).read_bytes() == damaged  # nothing was made worse
    assert victim(full, do="repair")["code"] in (0, 5)
    if damaged:
        (backup,) = full.glob("indexes/default/backup-*")
        assert (backup / "faces.db").read_bytes() == damaged
        assert backup.stat().st_mode & 0o777 == 0o700
        shutil.rmtree(backup)
    if keeps:
        assert _computed(trusted.dump(full)) == _computed(expected)
    again = victim(full, few.folder)
    assert again["code"] in (0, 7)
    assert not keeps or not again["analysed"]
    trusted.whole(full, few, expected)
    assert check(gallery).faults == ()


def _ask(gallery: Gallery, few: Any) -> None:
    with gallery.reading() as (db, _):
        db.faces.count()
        db.photos.known(list(few.files))


def test_repair_embeds_again_only_what_is_lost(victim: Any, few: Any, trusted: Any, full: Path) -> None:
    expected = trusted.dump(full)
    with closing(sqlite3.connect(_path(full))) as conn, conn:
        (embedding,) = conn.execute("SELECT embedding FROM faces WHERE id = 1").fetchone()
        conn.execute("UPDATE faces SET embedding = ? WHERE id = 1", (bytes([embedding[0] ^ 1]) + embedding[1:],))
    assert victim(full, do="check")["faults"] == ["face 1 is not as it was stored"]
    repaired = victim(full, do="repair")
    assert repaired["faults"] == ["face 1 is not as it was stored"]
    assert repaired["analysed"] == 1
    shutil.rmtree(next(full.glob("indexes/default/backup-*")))
    trusted.whole(full, few, expected)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE photos SET status = 'fine' WHERE id = 1", "the unknown status 'fine'"),
        ("UPDATE photos SET face_count = 7 WHERE id = 1", "has 1 faces, and had 7"),
        ("DELETE FROM faces WHERE id = 1", "has 0 faces, and had 1"),
        ("UPDATE faces SET photo_id = 77 WHERE id = 1", "refers to a row of photos that is not there"),
        ("UPDATE faces SET embedding = zeroblob(512) WHERE id = 1", "face 1 is not as it was stored"),
        ("UPDATE faces SET score = 'high' WHERE id = 1", "face 1 is not as it was stored"),
        ("UPDATE photos SET status = 'no_face' WHERE id = 1", "is 'no_face' with 1 faces"),
        ("UPDATE index_stamp SET sha256 = 'other'", "is not the file that belongs to the database"),
    ],
)
def test_check_names_what_is_wrong(
    statement: str, said: str, victim: Any, few: Any, trusted: Any, full: Path, gallery: Gallery
) -> None:
    expected = trusted.dump(full)
    with closing(sqlite3.connect(_path(full))) as conn, conn:
        conn.execute(statement)
    assert any(said in fault for fault in check(gallery).faults)
    assert victim(full, do="repair")["code"] == 0
    for backup in full.glob("indexes/default/backup-*"):
        shutil.rmtree(backup)
    assert check(gallery).faults == ()
    assert _computed(trusted.dump(full)) == _computed(expected)
    trusted.whole(full, few, trusted.dump(full))


@pytest.mark.parametrize("stamp", [True, False])
def test_without_settings_the_stamp_says_which_model_it_was(
    stamp: bool, victim: Any, few: Any, trusted: Any, full: Path
) -> None:
    expected = trusted.dump(full)
    with closing(sqlite3.connect(_path(full))) as conn:
        pages = dict(conn.execute("SELECT name, rootpage FROM sqlite_master").fetchall())
    data = bytearray(_path(full).read_bytes())
    for table in ("settings",) if stamp else ("settings", "index_stamp"):
        at = (pages[table] - 1) * 4096
        data[at : at + 4096] = random.Random(0).randbytes(4096)
    _path(full).write_bytes(data)
    repaired = victim(full, do="repair")
    assert repaired["code"] == 0
    assert repaired["analysed"] == (0 if stamp else 5)
    assert any("settings cannot be read any more" in note for note in repaired["notes"])
    assert _computed(trusted.dump(full)) == _computed(expected)
    if stamp:
        shutil.rmtree(next(full.glob("indexes/default/backup-*")))
        trusted.whole(full, few, expected)


def test_a_log_that_is_lost_costs_what_was_in_it(victim: Any, few: Any, trusted: Any, tmp_path: Path) -> None:
    """A killed process leaves its newest photos in the log alone."""
    whole, home = tmp_path / "whole", tmp_path / "home"
    for each in (whole, home):
        each.mkdir()
    steps = victim(whole, few.folder)["steps"]
    victim(home, few.folder, at=steps * 2 // 3)
    log = home / "indexes" / "default" / "faces.db-wal"
    assert log.stat().st_size
    log.unlink()
    for name in ("faces.db-shm",):
        (home / "indexes" / "default" / name).unlink(missing_ok=True)
    assert victim(home, few.folder)["code"] in (0, 7)
    trusted.whole(home, few, trusted.dump(whole))


def test_a_newer_facesearch_is_not_repaired(full: Path, gallery: Gallery) -> None:
    with closing(sqlite3.connect(_path(full))) as conn, conn:
        conn.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('facesearch', 'x', '')"
        )
    before = _path(full).read_bytes()
    for do in (check, Gallery.repair):
        with pytest.raises(GalleryError, match="was written by a newer facesearch") as raised:
            do(gallery)
        assert not isinstance(raised.value, DamagedGalleryError)
    assert _path(full).read_bytes() == before


def test_nothing_is_repaired_while_another_writes_or_where_nothing_is(
    full: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gallery.repair().faults == ()
    assert not list(full.glob("indexes/default/backup-*"))
    _path(full).write_bytes(b"damaged" * 1000)
    with gallery.locked(), pytest.raises(GalleryLockedError):
        Gallery.open().repair()
    assert _path(full).read_bytes() == b"damaged" * 1000
    with pytest.raises(FaceSearchError, match="There is no gallery 'other'"):
        Gallery.open("other").repair()


def test_without_room_for_a_backup_nothing_is_repaired(
    full: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    _path(full).write_bytes(b"damaged" * 1000)
    monkeypatch.setattr(shutil, "copy2", refuse)
    with pytest.raises(FaceSearchError, match="without a backup nothing is repaired"):
        gallery.repair()
    assert _path(full).read_bytes() == b"damaged" * 1000
