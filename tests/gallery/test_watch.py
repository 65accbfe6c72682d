"""`index --watch`, as a process of its own: what comes, changes and goes is followed, and nothing is missed."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from facesearch import Gallery
from facesearch.gallery.indexing import watching
from facesearch.gallery.indexing.watching import as_named
from facesearch.photos.changes import SETTLED
from facesearch.photos.exclusions import IGNORE_FILE
from tests.conftest import Cli

_PROMISED = 5  # seconds from a photo's last byte until it is found: what docs/cli.md promises
_LONG = 120  # seconds: the same where a machine has much else to do, and for what takes as long as it takes


class Watching:
    """A running `facesearch index --watch`."""

    def __init__(self, home: Path, *words: object) -> None:
        self._said, self._notes = home / "said.txt", home / "notes.txt"
        self._database = home / "indexes" / "default" / "faces.db"
        command = [str(Path(sys.executable).with_name("facesearch")), "index", *map(str, words), "--watch"]
        with self._said.open("w") as out, self._notes.open("w") as err:
            self.process = subprocess.Popen(
                command,
                stdout=out,
                stderr=err,
                # A shell starts what runs in the background deaf to Ctrl-C, and children inherit that.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    @property
    def said(self) -> str:
        return self._said.read_text()

    @property
    def notes(self) -> str:
        return self._notes.read_text()

    def until(self, is_so: Callable[[], bool]) -> None:
        """Waits for a condition, and fails where it is not met in time or the command has ended."""
        end = time.monotonic() + _LONG
        while not is_so():
            assert self.process.poll() is None, f"it ended: {self.notes}"
            assert time.monotonic() < end, f"not within {_LONG} s: {self.said} {self.notes} {self.stored()}"
            time.sleep(0.02)

    def until_it_watches(self) -> None:
        self.until(lambda: "Watching for changes" in self.notes)

    def until_stored(self, *photos: Path) -> None:
        """Waits until exactly these photos are there."""
        self.until(lambda: self.stored() == {str(photo) for photo in photos})

    def stored(self) -> set[str]:
        """The paths of the photos that are found now."""
        try:
            with sqlite3.connect(f"{self._database.as_uri()}?mode=ro", uri=True) as conn:
                return {os.fsdecode(path) for (path,) in conn.execute("SELECT path FROM photos WHERE status = 'ok'")}
        except sqlite3.OperationalError:
            return set()

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(_LONG)


@pytest.fixture
def watch(home: Path) -> Iterator[Callable[..., Watching]]:
    """Starts the command; what still runs at the end of a test is ended."""
    started: list[Watching] = []

    def start(*words: object) -> Watching:
        started.append(Watching(home, *words))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait(_LONG)


@pytest.fixture
def photos(tmp_path: Path, photo_of: Callable[..., Path]) -> Path:
    """A folder with one photo."""
    (tmp_path / "photos").mkdir()
    shutil.copy(photo_of("Tiger_Woods", 1), tmp_path / "photos" / "a.jpg")
    return tmp_path / "photos"


def test_what_comes_changes_and_goes_is_followed_and_ctrl_c_ends_it_with_a_summary(
    watch: Callable[..., Watching], cli: Cli, photos: Path, photo_of: Callable[..., Path]
) -> None:
    running = watch(photos)
    running.until_it_watches()
    old, new = photos / "a.jpg", photos / "in" / "b.jpg"
    new.parent.mkdir()
    shutil.copy(photo_of("Tiger_Woods", 2), new)
    running.until_stored(old, new)
    assert Gallery.open().query(new, 1).matches[0].photo == str(new)
    moved = photos / "there" / "b.jpg"
    new.parent.rename(moved.parent)
    running.until_stored(old, moved)
    assert cli("index").code == 0  # the gallery is not locked in between
    old.unlink()
    running.until_stored(moved)
    (photos / IGNORE_FILE).write_text("there/\n")
    running.until_stored()
    (photos / IGNORE_FILE).unlink()
    running.until_stored(moved)
    shutil.copy(photo_of("Tiger_Woods", 3), old)
    running.until(lambda: running.said.count("1 with faces;") == 2)  # both passes have ended
    assert running.interrupt() == 0
    assert "Watched for" in running.said
    assert "1 moved" in running.said
    assert "Traceback" not in running.notes


def test_a_photo_that_comes_in_two_parts_is_whole_in_the_end_and_any_name_is_followed(
    watch: Callable[..., Watching], photos: Path, photo_of: Callable[..., Path]
) -> None:
    running = watch(photos)
    running.until_it_watches()
    data = photo_of("Tiger_Woods", 2).read_bytes()
    with (photos / "b.jpg").open("wb") as file:
        file.write(data[:300])
        file.flush()
        running.until(lambda: f"unreadable: {photos / 'b.jpg'}" in running.notes)
        file.write(data[300:])
    running.until_stored(photos / "a.jpg", photos / "b.jpg")
    strange = photos / os.fsdecode(b"latin1-\xe9.jpg")
    shutil.copy(photo_of("Tiger_Woods", 3), strange)
    running.until_stored(photos / "a.jpg", photos / "b.jpg", strange)


def test_killed_and_started_again_it_has_missed_nothing(
    watch: Callable[..., Watching], photos: Path, photo_of: Callable[..., Path]
) -> None:
    running = watch(photos)
    running.until_it_watches()
    running.process.kill()
    running.process.wait(_LONG)
    (photos / "a.jpg").unlink()
    shutil.copy(photo_of("Tiger_Woods", 2), photos / "b.jpg")
    again = watch()  # all folders of the gallery
    again.until_it_watches()
    again.until_stored(photos / "b.jpg")


def test_a_disk_that_is_not_there_is_waited_for(
    watch: Callable[..., Watching], cli: Cli, photos: Path, photo_of: Callable[..., Path]
) -> None:
    assert cli("index", photos).code == 0
    away = photos.rename(photos.parent / "unplugged")
    running = watch()
    running.until(lambda: "It is watched for all the same" in running.notes)
    shutil.copy(photo_of("Tiger_Woods", 2), away / "b.jpg")
    away.rename(photos)
    running.until_stored(photos / "a.jpg", photos / "b.jpg")
    photos.rename(away)
    running.until(lambda: running.notes.count("It is watched for all the same") == 2)
    running.until_stored(photos / "a.jpg", photos / "b.jpg")  # they are only away
    photos.mkdir()  # as the place is on which a disk is mounted
    away.rename(photos)
    shutil.copy(photo_of("Tiger_Woods", 3), photos / "c.jpg")
    running.until_stored(photos / "a.jpg", photos / "b.jpg", photos / "c.jpg")


def test_a_disk_that_announces_nothing_is_looked_at_every_two_seconds(
    watch: Callable[..., Watching], photos: Path, photo_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", "true")
    running = watch(photos)
    running.until_it_watches()
    (photos / "in").mkdir()
    shutil.copy(photo_of("Tiger_Woods", 2), photos / "in" / "b.jpg")
    running.until_stored(photos / "a.jpg", photos / "in" / "b.jpg")


def test_what_is_waited_for_leaves_a_photo_time_within_the_seconds_that_are_promised() -> None:
    """How long a photo itself takes is a figure; these are the waits before it."""
    assert watching._LOOK_EVERY + SETTLED <= _PROMISED - 2


def test_watching_waits_while_another_command_writes(
    watch: Callable[..., Watching], photos: Path, photo_of: Callable[..., Path]
) -> None:
    running = watch(photos)
    running.until_it_watches()
    with Gallery.open().locked():
        shutil.copy(photo_of("Tiger_Woods", 2), photos / "b.jpg")
        running.until(lambda: "Watching goes on as soon as it has ended" in running.notes)
    running.until_stored(photos / "a.jpg", photos / "b.jpg")


def test_a_folder_that_was_forgotten_meanwhile_stays_forgotten(
    watch: Callable[..., Watching], cli: Cli, photos: Path, photo_of: Callable[..., Path]
) -> None:
    running = watch(photos)
    running.until_it_watches()
    assert cli("forget", photos, "--yes").code == 0
    shutil.copy(photo_of("Tiger_Woods", 2), photos / "b.jpg")
    assert running.process.wait(_LONG) == 0  # there is nothing left to watch
    assert running.stored() == set()
    assert "does not look after" in running.notes


def test_a_path_that_is_announced_as_it_really_is_belongs_to_its_root_behind_a_link(photos: Path) -> None:
    link = photos.with_name("link")
    link.symlink_to(photos)
    inner = photos / "in"
    for path in (photos / "a.jpg", link / "a.jpg"):
        assert as_named(str(path), [str(link)]) == (str(link / "a.jpg"), str(link))
    assert as_named(str(inner / "b.jpg"), [str(photos), str(inner)]) == (str(inner / "b.jpg"), str(inner))
    assert as_named(str(photos.with_name("photos2") / "a.jpg"), [str(photos)])[1] == ""


def test_what_cannot_be_watched_is_a_sentence(
    cli: Cli, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("index", photos, "--watch", "--dry-run").code == 2
    absent = cli("index", tmp_path / "absent", "--watch")
    assert absent.code == 3
    assert "does not exist" in absent.err
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    without = cli("index", photos, "--watch")
    assert without.code == 3
    assert "pip install watchfiles" in without.err
    assert [each.name for each in photos.iterdir()] == ["a.jpg"]


def test_without_its_package_watching_is_refused_in_one_sentence(
    cli: Cli, home: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    said = cli("index", photos, "--watch")
    assert (said.code, said.out) == (3, "")
    assert "pip install watchfiles" in said.err
    assert not (home / "indexes" / "default").exists()
