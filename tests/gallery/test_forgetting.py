"""What is forgotten leaves no byte, also in a database that is too large to be rewritten for it."""

import os
import re
import signal
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from facesearch.errors import FaceSearchError
from facesearch.gallery import storage as storage_module
from facesearch.gallery.database import Database
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.storage import Storage
from facesearch.gallery.tables import free_space, removal
from facesearch.gallery.tables.free_space import InUseError, NotUnderstoodError, sweep, sweep_apart
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.gallery.upkeep import forgetting
from facesearch.gallery.upkeep.checking import Soundness, check
from facesearch.gallery.upkeep.forgetting import LeftBehindError, forget, forget_missing
from facesearch.gallery.vectors import erasing as vectors_erasing
from facesearch.gallery.vectors import file as vectors_file
from facesearch.gallery.vectors import lagging
from facesearch.models.cards import index_recipes
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status
from tests.made_up_gallery import DETECTOR, MODEL, face

_PEOPLE, _EACH = 24, 15  # people, and photos of each; every photo shows two of their faces
_READS_ALL = re.compile(r"SCAN (photos|faces|other)")
_TRACE = 8  # bytes by which something is recognised


@pytest.fixture
def never_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small a database is, it is looked through, and its free space is overwritten."""
    monkeypatch.setattr(removal, "_REWRITTEN_UP_TO", -1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def clustered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of vectors is of clusters, as that of very many faces is."""
    flat, ivf = index_recipes()
    recipes = structs.replace(flat, up_to_faces=-1), structs.replace(ivf, up_to_faces=None, lists_per_root=1)
    for module in (storage_module, lagging):
        monkeypatch.setattr(module, "index_recipes", lambda: recipes)


def _made(dim: int) -> Storage:
    """A gallery whose photos come in no order of their paths, and whose faces get their people later: rows grow, and
    pages are split in the middle."""
    storage, rng = Storage("default", lambda _: None), np.random.default_rng(0)
    settings = GallerySettings(MODEL, DETECTOR, dim, 20.0)
    with storage.writing() as db:
        with db.transaction():
            db.settings.write(settings)
            for each in rng.permutation(_PEOPLE * _EACH).tolist():
                rows = rng.standard_normal((2, dim)).astype(np.float32)
                rows /= np.linalg.norm(rows, axis=1, keepdims=True)
                faces = [face(float(left)) for left in rng.random(2)]
                file = PhotoFile(_path(*divmod(each, _EACH)), 1, 1)
                db.photos.save(PhotoRow(file, Status.OK, rng.bytes(32), size=(9, 9), faces=faces, embeddings=rows))
        with db.transaction():
            for who in rng.permutation(_PEOPLE).tolist():
                db.connection.execute(
                    "UPDATE faces SET person_id = ?, named_by = 'user' WHERE photo_id IN "
                    "(SELECT id FROM photos WHERE path LIKE ?)",
                    (db.people.id_of(_name(who)), f"%/{_name(who)}/%"),
                )
        storage.sync(db, settings)
    return storage


def _name(who: int) -> str:
    return f"Person {who:03d} Surname"


def _path(who: int, photo: int) -> str:
    return f"/photos/{who % 3}/d{'long' * (who % 8 * 20)}/{_name(who)}/{who:03d}-{photo:04d}.jpg"


def _traces(storage: Storage) -> dict[str, list[bytes]]:
    """By path what may be found of a photo in a file: a part of its path, its content's digest, and of its faces the
    places and parts of the embeddings."""
    with Database.open(storage.database) as db:
        rows = db.connection.execute(
            "SELECT path, digest, box_left, embedding FROM photos JOIN faces ON photo_id = photos.id"
        ).fetchall()
    found: dict[str, list[bytes]] = {}
    for path, digest, left, embedding in rows:
        parts = [embedding[at : at + _TRACE] for at in range(0, len(embedding), 56)]
        found.setdefault(path, [path[-12:-4].encode(), digest[:_TRACE]]).extend([struct.pack(">d", left), *parts])
    return found


def _found(folder: Path, traces: list[bytes]) -> int:
    """How many of these traces are in any of the files."""
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    wanted = np.unique(np.frombuffer(b"".join(traces), np.uint64))
    found = np.zeros(len(wanted), bool)
    for at in range(_TRACE):
        windows = np.frombuffer(everything, np.uint64, (len(everything) - at) // _TRACE, at)
        places = np.minimum(np.searchsorted(wanted, windows), len(wanted) - 1)
        found[places[wanted[places] == windows]] = True
    return int(found.sum())


def _of(traces: dict[str, list[bytes]], paths: set[str], remembered: set[str]) -> list[bytes]:
    """All traces of photos, or of those that are remembered as forgotten the ones of their faces."""
    return [trace for path in sorted(paths) for trace in traces[path][2 * (path in remembered) :]]


def _forgotten(storage: Storage) -> set[str]:
    with Database.open(storage.database) as db:
        return {path for (path,) in db.connection.execute("SELECT path FROM photos WHERE status = 'forgotten'")}


@pytest.mark.parametrize("dim", [128, 1200])  # a page holds five rows, or a row needs two pages
def test_no_byte_of_photos_people_and_folders_stays(home: Path, never_rewritten: None, dim: int) -> None:
    storage = _made(dim)
    traces = _traces(storage)
    gone: set[str] = set()
    for what in (_path(2, 3), _name(5), f"/photos/1/d{'long' * 20}"):
        forget(storage, what)
        gone |= {path for path in traces if what in (path, path.split("/")[-2]) or path.startswith(f"{what}/")}
        assert _found(storage.directory, _of(traces, gone, _forgotten(storage))) == 0
    with closing(sqlite3.connect(storage.database)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    kept = _of(traces, traces.keys() - gone, set())
    assert _found(storage.directory, kept) == len(set(kept)) > 1000


def test_sqlite_leaves_copies_of_rows_and_they_are_overwritten(tmp_path: Path) -> None:
    """Pages that were split and joined keep bytes of rows that are deleted, also with `secure_delete`."""
    rng, path = np.random.default_rng(0), tmp_path / "some.db"
    with closing(sqlite3.connect(path)) as conn:
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA secure_delete = ON",
            "CREATE TABLE unfinished (only INTEGER)",
            "CREATE TABLE rows (id INTEGER PRIMARY KEY, key BLOB UNIQUE, value BLOB)",
            "INSERT INTO unfinished VALUES (1)",
        ):
            conn.execute(statement)
        values = {each: rng.bytes(int(size)) for each, size in enumerate(rng.geometric(0.004, 3000) + _TRACE)}
        with conn:
            conn.executemany("INSERT INTO rows VALUES (?, ?, ?)", ((i, v[:300], v) for i, v in values.items()))
        with conn:  # some grow
            for each in rng.permutation(3000)[:1000].tolist():
                values[each] += rng.bytes(40)
                conn.execute("UPDATE rows SET value = ? WHERE id = ?", (values[each], each))
        gone = rng.permutation(3000)[:1500].tolist()
        with conn:
            conn.executemany("DELETE FROM rows WHERE id = ?", ((each,) for each in gone))
        traces = [values[each][at : at + _TRACE] for each in gone for at in range(0, len(values[each]) - 7, 64)]
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert _found(tmp_path, traces) > 10
        assert sweep(path) > 10
        assert _found(tmp_path, traces) == 0
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = {each: value for each, value in values.items() if each not in set(gone)}
        assert dict(conn.execute("SELECT id, value FROM rows")) == kept
        assert conn.execute("SELECT * FROM unfinished").fetchall() == []
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert sweep(path) == 0


def test_an_unusual_file_is_left_to_be_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA auto_vacuum = FULL")
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("CREATE TABLE unfinished (only INTEGER)")
    with pytest.raises(NotUnderstoodError):
        sweep(path)


def test_nothing_is_written_while_the_log_is_not_empty(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("CREATE TABLE unfinished (only INTEGER)")
        with pytest.raises(InUseError):
            sweep(path)


def test_what_is_forgotten_while_somebody_reads_goes_with_the_next_command(
    home: Path, never_rewritten: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = _made(16)
    traces = _traces(storage)
    gone = {path for path in traces if _name(7) in path}
    monkeypatch.setattr(forgetting, "BUSY_SECONDS", 0)
    with storage.reading() as (db, _), db.snapshot():
        with pytest.raises(LeftBehindError):
            forget(storage, _name(7))
        with Database.open(storage.database) as db:
            assert db.removal.is_unfinished()
    with storage.writing() as db:
        assert not db.removal.is_unfinished()
    assert _found(storage.directory, _of(traces, gone, gone)) == 0


def test_a_file_of_vectors_that_lags_is_not_written_anew_for_a_forget(
    home: Path, clustered: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = _made(16)
    row = np.eye(1, 16, dtype=np.float32)
    with storage.writing() as db, db.transaction():
        db.photos.save(PhotoRow(PhotoFile("/new.jpg", 1, 1), Status.OK, b"new", faces=[face()], embeddings=row))
        newest = db.faces.newest()
    monkeypatch.setattr(vectors_file, "_save", lambda *_: pytest.fail("the file is written anew"))
    forget(storage, _path(2, 3))
    forget(storage, _name(5))
    with storage.reading() as (db, settings), storage.searching(db, settings) as faces:
        stamp = db.stamp.read()
        assert stamp is not None
        assert (stamp.newest_id, stamp.removed) == (newest - 1, db.removed.newest())
        similarities, ids = faces.search(row, db.faces.count())
        assert ids[0, 0] == newest
        assert np.isfinite(similarities).all()
    assert check(storage).faults == ()


def test_a_file_of_vectors_in_which_codes_are_being_overwritten_is_not_damaged(
    home: Path, clustered: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, found = _made(16), list[Soundness]()
    write = vectors_erasing._write

    def and_look(*words: Any) -> None:
        write(*words)
        if not found:
            found.append(check(storage))

    monkeypatch.setattr(vectors_erasing, "_write", and_look)
    forget(storage, _path(2, 3))
    assert [(each.faults, each.unfinished) for each in found] == [((), True)]
    assert check(storage).faults == ()
    assert not check(storage).unfinished


def test_a_forget_that_is_killed_while_codes_are_overwritten_leaves_no_damage(home: Path, clustered: None) -> None:
    storage = _made(16)
    traces = _traces(storage)
    ended = _forget_and_die(storage, _name(3), 2, ((vectors_erasing, "_write"),))
    assert os.waitstatus_to_exitcode(ended) == -signal.SIGKILL
    assert (check(storage).faults, check(storage).unfinished) == ((), True)
    with storage.reading() as (db, settings), storage.searching(db, settings) as faces:
        assert len(faces) == db.faces.count()
    assert (check(storage).faults, check(storage).unfinished) == ((), False)
    gone = {path for path in traces if _name(3) in path}
    assert _found(storage.directory, _of(traces, gone, gone)) == 0


def test_a_rewriting_of_what_a_migration_left_that_is_cut_off_is_not_forgotten(
    home: Path, never_rewritten: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = _made(16)
    with storage.writing() as db:
        db.connection.execute("INSERT INTO migrated VALUES (1, x'00')")
        db.connection.commit()
        monkeypatch.setattr(removal.Removal, "_rewrite", _refuse)
        with pytest.raises(FaceSearchError, match="no room"):
            db.removal.scrub(True, 0)
        assert db.connection.execute("SELECT * FROM migrated").fetchall() == []
        assert not db.removal._is_overwritten()


def _refuse(*_: object) -> None:
    raise FaceSearchError("no room")


@pytest.mark.parametrize(("what", "value"), [("__name__", "facesearch.not_there"), ("sys.executable", "/not/there")])
def test_a_program_that_cannot_begin_leaves_the_file_to_be_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, value: str
) -> None:
    monkeypatch.setattr(f"facesearch.gallery.tables.free_space.{what}", value)
    assert not sweep_apart(tmp_path / "some.db")


_STEPS = (
    (free_space, "_write_zeros"),
    (removal.Removal, "_empty_log"),
    (Storage, "delete_pictures"),
    (Storage, "delete_vectors"),
    (Storage, "sync"),
)


def _counted(step: Callable[[], None], function: Callable[..., Any]) -> Callable[..., Any]:
    """The function between two steps."""

    def call(*words: Any) -> Any:
        step()
        result = function(*words)
        step()
        return result

    return call


def _forget_and_die(storage: Storage, what: str, at: int, between: tuple[tuple[Any, str], ...] = _STEPS) -> int:
    """Forgets in a process that is killed at that step; how it ended."""
    if process := os.fork():
        return os.waitpid(process, 0)[1]
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == at:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        signal.alarm(100)
        with pytest.MonkeyPatch.context() as patched:
            for where, name in between:
                patched.setattr(where, name, _counted(step, getattr(where, name)))
            patched.setattr(removal, "sweep_apart", lambda path: sweep(path) >= 0)  # it dies with the process
            forget(storage, what)
        os._exit(0)
    finally:
        os._exit(1)


def test_a_forget_that_is_killed_at_any_step_is_finished_by_the_next_command(
    home: Path, never_rewritten: None
) -> None:
    storage = _made(16)
    traces = _traces(storage)
    for who, at in enumerate((1, 2, 4, 5, 8, 9, 30)):
        assert os.waitstatus_to_exitcode(_forget_and_die(storage, _name(who), at)) == -signal.SIGKILL
        with storage.writing() as db:
            assert not db.removal.is_unfinished()
            assert db.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        gone = {path for path in traces if any(_name(each) in path for each in range(who + 1))}
        assert _found(storage.directory, _of(traces, gone, gone)) == 0


def test_no_statement_reads_all_photos_or_faces(
    home: Path, never_rewritten: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, asked = _made(16), set[str]()

    class Watched(Database):
        def __init__(self, conn: sqlite3.Connection, path: Path) -> None:
            super().__init__(conn, path)
            conn.set_trace_callback(asked.add)

    monkeypatch.setattr("facesearch.gallery.storage.Database", Watched)
    monkeypatch.setattr(Storage, "sync", lambda *_: None)  # of a few faces it reads all
    forget(storage, _path(2, 3))
    forget(storage, _name(5))
    forget(storage, "/photos/1")
    forget_missing(storage)
    begins = ("SELECT", "WITH", "DELETE", "UPDATE")
    with Database.open(storage.database) as db:
        read = [each for each in asked if each.startswith(begins) and not each.startswith("SELECT EXISTS")]
        assert len(read) > 40
        for statement in read:
            steps = [step for *_, step in db.connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
            assert not [step for step in steps if _READS_ALL.match(step)], statement
