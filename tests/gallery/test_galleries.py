"""Galleries as a whole: listed, renamed, deleted, moved with their library, and kept in one file."""

import hashlib
import json
import os
import shutil
import sqlite3
import threading
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import filelock
import pytest

from facesearch import Gallery
from facesearch.errors import GalleryError
from facesearch.gallery.records.facts import GalleryFacts
from facesearch.gallery.tables.sqlite import to_read
from facesearch.gallery.upkeep.backup import NotABackupError, back_up, restore
from tests.conftest import Cli


@pytest.fixture
def gallery(home: Path, album: Path) -> Gallery:
    """The album's, with names."""
    opened = Gallery.open("family", "cpu")
    opened.index([album], people_from="folder")
    return opened


def _rows(gallery: Gallery) -> list[tuple[object, ...]]:
    """Each face with its name, photo and embedding."""
    statement = (
        "SELECT faces.id, people.name, photos.path, embedding FROM faces JOIN photos ON photo_id = photos.id "
        "LEFT JOIN people ON person_id = people.id ORDER BY faces.id"
    )
    with closing(to_read(gallery.database)) as conn:
        return conn.execute(statement).fetchall()


def _holds(facts: GalleryFacts) -> tuple[object, ...]:
    return facts.photos, facts.faces, facts.people, facts.roots, facts.settings.model


def test_galleries_are_listed_renamed_and_deleted(cli: Cli, gallery: Gallery, album: Path) -> None:
    before = _rows(gallery)
    assert cli("galleries", "rename", "family", "clan").code == 0
    assert _rows(Gallery.open("clan")) == before
    (entry,) = json.loads(cli("galleries", "list", "--json").out)
    assert (entry["gallery"], entry["photos"], entry["people"], entry["folders"]) == ("clan", 9, 3, [str(album)])
    assert cli("galleries", "delete", "clan").code == 2  # nobody can be asked
    notes = gallery.directory.with_name("clan") / "notes.txt"
    notes.write_text("mine")
    said = cli("galleries", "delete", "clan", "--yes")
    assert (said.code, "notes.txt stays" in said.err) == (0, True)
    assert [path.name for path in notes.parent.iterdir()] == ["notes.txt"]
    assert len(list(album.rglob("*.jpg"))) == 9
    assert cli("galleries", "delete", "clan", "--yes").code == 5


def test_a_name_that_is_taken_is_refused_and_both_galleries_stay(cli: Cli, gallery: Gallery, album: Path) -> None:
    Gallery.open("other", "cpu").index([album])
    before = _rows(gallery)
    for new in ("other", "../elsewhere", "family"):
        assert cli("galleries", "rename", "family", new).code == 2
    assert (_rows(gallery), Gallery.open("other").facts().faces) == (before, len(before))


def test_while_another_process_writes_a_gallery_is_neither_renamed_nor_deleted_nor_moved(
    cli: Cli, gallery: Gallery, album: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    shutil.copytree(album, new)
    with filelock.FileLock(gallery.directory / "faces.lock"):
        assert cli("galleries", "rename", "family", "clan").code == 8
        assert cli("galleries", "delete", "family", "--yes").code == 8
        assert cli("galleries", "move", album, new, "--gallery", "family").code == 8
        assert cli("galleries", "backup", tmp_path / "b", "--gallery", "family").code == 0  # which only reads
    assert cli("check", "--gallery", "family").code == 0


def test_what_cannot_be_a_backup_or_a_place_for_one_is_refused_at_once(
    cli: Cli, gallery: Gallery, album: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for file, code in ((tmp_path / "pipe", 3), (album, 3), (tmp_path / "nothing", 3)):
        assert cli("galleries", "restore", file).code == code
    assert cli("galleries", "restore", tmp_path / "pipe", "--as", "family").code == 2
    for file, code in ((album, 2), (Path("-"), 2), (tmp_path / "pipe" / "backup", 3)):
        assert cli("galleries", "backup", file, "--gallery", "family").code == code


def test_a_gallery_that_cannot_be_read_is_listed_and_can_be_deleted(cli: Cli, gallery: Gallery) -> None:
    gallery.database.write_bytes(b"no database at all, " * 300)
    said = cli("galleries", "list", "--json")
    assert (said.code, bool(json.loads(said.out)[0]["fault"])) == (5, True)
    assert cli("galleries", "delete", "family", "--yes").code == 0
    assert json.loads(cli("galleries", "list", "--json").out) == []


def test_a_library_that_moved_is_followed_and_nothing_is_embedded_again(
    cli: Cli, gallery: Gallery, album: Path, tmp_path: Path
) -> None:
    before = _rows(gallery)
    inner = album / "album"  # the new place lies in the old one: paths of both kinds overlap
    moved = tmp_path / "moved"
    album.rename(moved)
    album.mkdir()
    shutil.copytree(moved, inner)
    assert cli("galleries", "move", album, inner, "-g", "family").code == 0
    expected = [(face, who, str(path).replace(f"{album}", f"{inner}", 1), row) for face, who, path, row in before]
    assert _rows(gallery) == expected
    assert gallery.facts().roots == (str(inner),)
    assert gallery.index([inner]).photos == {"unchanged": 9}


def test_a_part_of_a_library_that_moved_becomes_a_folder_of_the_gallery(
    gallery: Gallery, album: Path, tmp_path: Path, cli: Cli
) -> None:
    away = tmp_path / "disk"
    (album / "Tiger_Woods").rename(away)
    assert cli("galleries", "move", album / "Tiger_Woods", away, "-g", "family").code == 0
    assert gallery.facts().roots == (str(album), str(away))
    assert gallery.index([album, away]).photos == {"unchanged": 9}


@pytest.fixture
def wall(tmp_path: Path) -> Path:
    """A folder that holds none of the photos."""
    folder = tmp_path / "wall"
    folder.mkdir()
    return folder


def test_a_move_to_other_photos_is_refused_and_changes_nothing(
    cli: Cli, gallery: Gallery, album: Path, tmp_path: Path, wall: Path
) -> None:
    before, new = _rows(gallery), tmp_path / "new"
    shutil.copytree(album, new)
    doctored = new / "Tiger_Woods" / next((new / "Tiger_Woods").iterdir()).name
    doctored.write_bytes(bytes(doctored.stat().st_size))  # as long as it was
    said = cli("galleries", "move", album, new, "-g", "family")
    assert (said.code, "Of 9 photos 1 is not the same" in said.err) == (3, True)
    assert cli("galleries", "move", album, wall, "-g", "family").code == 3
    assert cli("galleries", "move", album, wall, "-g", "family", "--partly").code == 3
    assert cli("galleries", "move", tmp_path / "unknown", new, "-g", "family").code == 3
    assert _rows(gallery) == before
    assert cli("galleries", "move", album, new, "-g", "family", "--partly").code == 0


def test_a_move_onto_photos_that_the_gallery_knows_is_refused(
    cli: Cli, gallery: Gallery, album: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    shutil.copytree(album, new)
    gallery.index([new])
    before = _rows(gallery)
    assert cli("galleries", "move", album, new, "-g", "family").code == 3
    assert _rows(gallery) == before


def test_a_backup_is_restored_as_it_was_and_answers(
    cli: Cli, gallery: Gallery, album: Path, tmp_path: Path, photo_of: Callable[..., Path]
) -> None:
    file = tmp_path / "kept" / "family.backup"
    assert cli("galleries", "backup", file, "-g", "family").code == 0
    assert file.stat().st_mode & 0o077 == 0
    assert cli("galleries", "backup", file, "-g", "family").code == 2
    assert cli("galleries", "restore", file).code == 2  # it is there
    assert cli("galleries", "restore", file, "--as", "copy").code == 0
    copy = Gallery.open("copy")
    assert (_rows(copy), _holds(copy.facts())) == (_rows(gallery), _holds(gallery.facts()))
    assert copy.check().faults == ()
    assert copy.query(photo_of("Tiger_Woods", 1)).matches[0].person == "Tiger_Woods"
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_backup_is_of_one_moment_while_the_gallery_is_written(gallery: Gallery, tmp_path: Path) -> None:
    """The writer adds names in pairs, each pair in one transaction; no copy may hold one without the other."""
    written, is_over = threading.Event(), threading.Event()

    def write() -> None:
        with gallery.writing() as db:
            for name in range(100_000):
                with db.transaction():
                    db.people.id_of(f"a{name}")
                    db.people.id_of(f"b{name}")
                written.set()
                if is_over.is_set():
                    return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert written.wait(60)
        for number in range(3):
            back_up(gallery, tmp_path / f"{number}.backup")
    finally:
        is_over.set()
        writer.join()
    for number in range(3):
        restore(tmp_path / f"{number}.backup", f"copy{number}", lambda _: None)
        with closing(to_read(Gallery.open(f"copy{number}").database)) as conn:
            names = {name for (name,) in conn.execute("SELECT name FROM people")}
        pairs = {name[1:] for name in names if name[1:].isdigit()}
        assert pairs
        assert all({f"a{pair}", f"b{pair}"} <= names for pair in pairs)


def _made(path: Path, manifest: bytes, database: bytes, packing: int = zipfile.ZIP_STORED, extra: str = "") -> Path:
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("backup.json", manifest)
        archive.writestr("faces.db", database)
        if extra:
            archive.writestr(extra, b"x")
    return path


@pytest.mark.parametrize("harm", ["bit", "cut", "packed", "more", "size", "trigger", "long list", "text", "newer"])
def test_what_is_no_whole_backup_is_refused_and_leaves_nothing(
    gallery: Gallery, tmp_path: Path, home: Path, harm: str
) -> None:
    file, other = tmp_path / "family.backup", tmp_path / "other.backup"
    back_up(gallery, file)
    with zipfile.ZipFile(file) as archive:
        manifest, database = archive.read("backup.json"), archive.read("faces.db")
    if harm == "bit":
        other.write_bytes(file.read_bytes().replace(b"Tiger", b"Liger"))
    elif harm == "cut":
        other.write_bytes(file.read_bytes()[:-5000])
    elif harm == "packed":
        _made(other, manifest, database, zipfile.ZIP_DEFLATED)
    elif harm == "more":
        _made(other, manifest, database, extra="../../evil")
    elif harm == "size":
        _made(other, manifest, database + bytes(4096))
    elif harm == "trigger":
        other = _with_trigger(tmp_path, other, manifest, database)
    elif harm == "long list":
        with zipfile.ZipFile(other, "w") as archive:
            for number in range(30_000):
                archive.writestr(f"{number:050}", b"")
    elif harm == "text":
        other.write_text("This is no archive.")
    elif harm == "newer":
        _made(other, manifest.replace(b'"format": 1', b'"format": 9'), database)
    with pytest.raises(GalleryError if harm == "newer" else NotABackupError):
        restore(other, "copy", lambda _: None)
    assert [path.name for path in (home / "indexes").iterdir()] == ["family"]


def _with_trigger(folder: Path, file: Path, manifest: bytes, database: bytes) -> Path:
    """A backup by somebody who knows how: the database is sound, of the size and digest that are announced, and
    computes."""
    made = folder / "made.db"
    made.write_bytes(database)
    with closing(sqlite3.connect(made)) as conn:
        conn.execute("CREATE TRIGGER evil AFTER INSERT ON photos BEGIN DELETE FROM people; END")
        conn.commit()
    facts = json.loads(manifest)
    facts |= {"size": made.stat().st_size, "sha256": hashlib.sha256(made.read_bytes()).hexdigest()}
    return _made(file, json.dumps(facts).encode(), made.read_bytes())
