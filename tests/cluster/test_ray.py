"""Photos that are looked at on a cluster, a real one, with nodes that fail: the gallery is as without it."""

import json
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytest

from facesearch.arrays import Pixels
from facesearch.errors import ExitCode
from tests.cluster.buckets import Bucket, Server, made
from tests.cluster.ray_nodes import Nodes

pytestmark = pytest.mark.cluster

_LONG = 240  # seconds: two cores, eight at work
_PRECISION = "--precision=float32"  # the same on any processor of one kind


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    """An S3 that this process and all that it starts reach."""
    server = Server()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.settings.items():
            patch.setenv(name, value)
        yield made(server, "photos")
    server.stop()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, models_home: Path, bucket: Bucket) -> Iterator[Nodes]:
    nodes = Nodes(tmp_path_factory.mktemp("cluster"))
    yield nodes
    nodes.end()


class Driver:
    """`facesearch index` in a process of its own."""

    def __init__(self, cwd: Path, *words: object, **env: str) -> None:
        command = [str(Path(sys.executable).with_name("facesearch")), "index", "--json", _PRECISION, *map(str, words)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, env=os.environ | env
        )

    def ended(self) -> "Driver":
        self.out, self.err = self.process.communicate(timeout=_LONG)
        self.code = self.process.returncode
        return self

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@pytest.fixture
def index(home: Path) -> Callable[..., Driver]:
    """Runs it to its end, by default into a gallery called ray."""

    def run(*words: object, gallery: str = "ray", cwd: Path = home, **env: str) -> Driver:
        return Driver(cwd, "--gallery", gallery, *words, **env).ended()

    return run


def _database(home: Path, gallery: str) -> Path:
    return home / "indexes" / gallery / "faces.db"


def _stored(home: Path, gallery: str = "ray") -> int:
    """How many photos a gallery has by now."""
    path = _database(home, gallery)
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db, suppress(sqlite3.OperationalError):
        return int(db.execute("SELECT count(*) FROM photos").fetchone()[0])
    return 0


def _until(is_so: Callable[[], bool], driver: Driver | None = None) -> None:
    deadline = time.monotonic() + _LONG
    while not is_so():
        assert time.monotonic() < deadline
        assert driver is None or driver.process.poll() is None, driver.ended().err
        time.sleep(0.02)


def _contents(home: Path, gallery: str) -> dict[str, tuple[Any, ...]]:
    """All that a gallery knows, by path, but ids and times of its runs."""
    with closing(sqlite3.connect(f"file:{_database(home, gallery)}?mode=ro", uri=True)) as db:
        pictures = home / "indexes" / gallery / "thumbnails.db"
        db.execute("ATTACH ? AS pictures", (str(pictures) if pictures.exists() else ":memory:",))
        if not pictures.exists():
            db.execute("CREATE TABLE pictures.thumbnails (face_id, picture)")
        photos = db.execute(
            "SELECT path, size, mtime_ns, ctime_ns, digest, status, reason, cause, needs, width, height, face_count, "
            "taken FROM photos"
        ).fetchall()
        faces = db.execute(
            "SELECT path, box_left, box_top, box_right, box_bottom, score, landmarks, embedding, checksum, quality, "
            "picture FROM faces JOIN photos ON photo_id = photos.id LEFT JOIN pictures.thumbnails "
            "ON face_id = faces.id ORDER BY faces.id"
        ).fetchall()
    assert len({path for path, *_ in photos}) == len(photos)
    return {photo[0]: (photo[1:], [face[1:] for face in faces if face[0] == photo[0]]) for photo in photos}


def _some(photo_of: Callable[..., Path], folder: Path, count: int, prefix: str = "") -> Path:
    """A folder of different photos of four people, under names that tell their order."""
    folder.mkdir(parents=True, exist_ok=True)
    people = ("Abdullah_Gul", "Angelina_Jolie", "Tiger_Woods", "Colin_Powell")
    for i in range(count):
        person = people[i % 4]
        # The bytes at the end make each file's content its own.
        data = photo_of(person, 1 + i // 4 % 4).read_bytes() + prefix.encode() + bytes([i])
        (folder / f"{prefix}{i:03}.jpg").write_bytes(data)
    return folder


def _spoil(folder: Path, good: Path) -> None:
    """Five bad photos: cut off, empty, a text, a bomb, and a copy."""
    data = good.read_bytes()
    (folder / "cut.jpg").write_bytes(data[: len(data) // 3])
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("This is no photo.\n" * 9)
    (folder / "bomb.png").write_bytes(_bomb())
    shutil.copy(good, folder / "copy.jpg")


def _bomb() -> bytes:
    """A PNG file that says it has 60,000 by 60,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9999))) + chunk(b"IEND", b"")
    )


@dataclass(frozen=True, slots=True)
class Sixty:
    """A folder of 60 photos, five of them bad, two large, and what this machine alone makes of them."""

    folder: Path
    alone: Driver
    contents: dict[str, tuple[Any, ...]]


@pytest.fixture(scope="module")
def sixty(
    tmp_path_factory: pytest.TempPathFactory,
    models_home: Path,
    photo_of: Callable[..., Path],
    astronaut: Pixels,
    write: Callable[..., Path],
) -> Sixty:
    folder = _some(photo_of, tmp_path_factory.mktemp("sixty"), 33)
    for side in (1100, 1300):  # of which small pictures are kept
        write(folder / f"0large{side}.jpg", cv2.resize(astronaut, (side, side)))
    _some(photo_of, folder, 20, "gated")
    _spoil(folder, folder / "007.jpg")
    alone = Driver(folder, "--gallery", "alone", folder).ended()
    contents = _contents(models_home, "alone")
    assert len(contents) == 60
    assert sum(face[-1] is not None for _, faces in contents.values() for face in faces) == 2
    return Sixty(folder, alone, contents)


def _summed(photos: dict[str, int]) -> dict[str, int]:
    """A copy may be met before its photo is known, and is then looked at."""
    return {key: n for key, n in photos.items() if key not in ("ok", "copied")} | {
        "looked at or copied": photos.get("ok", 0) + photos.get("copied", 0)
    }


def _reasons(driver: Driver) -> list[tuple[str, str]]:
    return sorted((failure["photo"], failure["reason"]) for failure in driver.summary["failures"])


def test_a_gallery_made_on_a_cluster_is_equal_in_every_bit(
    cluster: Nodes, index: Callable[..., Driver], home: Path, sixty: Sixty
) -> None:
    cluster.have("a", "b", "c")
    done = index(sixty.folder, "--ray", cluster.address)
    assert done.code == sixty.alone.code == ExitCode.SOME_UNREAD, done.err
    assert done.summary["cluster"] == {"workers": 3, "nodes": 3, "refused": []}
    assert _summed(done.summary["photos"]) == _summed(sixty.alone.summary["photos"])
    assert _reasons(done) == _reasons(sixty.alone)
    for what in ("faces", "engine", "precision", "failing", "unsupported", "people"):
        assert done.summary[what] == sixty.alone.summary[what]
    assert _contents(home, "ray") == sixty.contents


def test_a_node_that_is_killed_and_a_photo_that_kills_its_worker_cost_no_other_photo(
    cluster: Nodes, index: Callable[..., Driver], home: Path, tmp_path: Path, sixty: Sixty
) -> None:
    guilty = tmp_path / "more" / "deadly.jpg"
    guilty.parent.mkdir()
    shutil.copy(sixty.folder / "0large1100.jpg", guilty)
    cluster.have("a", "b", "c")
    with cluster.shut():
        driver = Driver(home, "--gallery", "ray", guilty.parent, sixty.folder, "--ray", cluster.address)
        _until(lambda: _stored(home) >= 15 and cluster.somebody_waits(), driver)
        cluster.kill("a")
    assert driver.ended().code == ExitCode.SOME_UNREAD, driver.err
    assert (str(guilty), "it ended its worker three times") in _reasons(driver)
    assert "raylet" not in driver.out + driver.err
    contents = _contents(home, "ray")
    assert contents.pop(str(guilty))[0][4] == "crashed"
    assert contents == sixty.contents


def test_a_run_that_was_interrupted_or_killed_goes_on_where_it_was(
    cluster: Nodes, index: Callable[..., Driver], home: Path, sixty: Sixty
) -> None:
    cluster.have("b", "c")
    stored = 0
    for end, code in ((signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGKILL, -signal.SIGKILL)):
        with cluster.shut():
            driver = Driver(home, "--gallery", "ray", sixty.folder, "--ray", cluster.address)
            _until(lambda: _stored(home) >= 15 and cluster.somebody_waits(), driver)
            driver.process.send_signal(end)
            assert driver.ended().code == code, driver.err
        before, stored = stored, _stored(home)
        assert max(before, 15) <= stored < 60
    again = index(sixty.folder, "--ray", cluster.address)
    assert again.code == ExitCode.SOME_UNREAD, again.err
    assert _contents(home, "ray") == sixty.contents


def test_photos_that_were_moved_or_copied_need_no_worker(
    cluster: Nodes, index: Callable[..., Driver], home: Path, tmp_path: Path, photo_of: Callable[..., Path]
) -> None:
    photos = _some(photo_of, tmp_path / "photos", 8)
    cluster.have("b", "c")
    index(photos, "--ray", cluster.address)
    before = _contents(home, "ray")
    (photos / "000.jpg").rename(photos / "moved.jpg")
    shutil.copy2(photos / "001.jpg", photos / "copy.jpg")
    again = index(photos, "--ray", cluster.address)
    assert again.summary["photos"] == {"unchanged": 7, "moved": 1, "copied": 1}
    assert again.summary["cluster"] is None
    after = _contents(home, "ray")
    assert after[str(photos / "moved.jpg")][1] == before[str(photos / "000.jpg")][1]
    assert after[str(photos / "copy.jpg")][1] == before[str(photos / "001.jpg")][1]
    left = list((cluster.home / "cluster").iterdir())
    assert not left  # what workers unpack goes with them


def test_a_node_without_the_mount_and_one_of_another_version_refuse_by_name_and_the_others_do_the_work(
    cluster: Nodes, index: Callable[..., Driver], home: Path, tmp_path: Path, photo_of: Callable[..., Path]
) -> None:
    disk, empty = tmp_path / "disk", tmp_path / "empty"
    _some(photo_of, disk / "photos", 12)
    (empty / "photos").mkdir(parents=True)
    mount = tmp_path / "mount"
    mount.symlink_to("/proc/self/cwd/photos")  # for each process what its own folder holds
    shutil.copytree(Path(__file__).parents[2] / "facesearch", tmp_path / "old" / "facesearch")
    (tmp_path / "old" / "facesearch" / "__init__.py").write_text('__version__ = "0.0.1"\n')
    cluster.have("b")
    cluster.kill("b")
    cluster.add("sees", disk)
    cluster.add("blind", empty)
    cluster.add("old", disk, tmp_path / "old")
    done = index(mount, "--ray", cluster.address, cwd=disk)
    assert done.code == ExitCode.DONE, done.err
    assert done.summary["photos"] == {"ok": 12}
    blind, old = sorted(done.summary["cluster"]["refused"])
    assert "node blind" in blind
    assert "does not see" in blind
    assert "node old" in old
    assert "0.0.1" in old

    cluster.have("blind", "old")
    (disk / "photos" / "new.jpg").write_bytes(photo_of("Tiger_Woods", 2).read_bytes())
    refused = index(mount, "--ray", cluster.address, cwd=disk)
    assert refused.code == ExitCode.ERROR
    assert refused.err.splitlines()[-1].startswith("The node ")  # one of the two, by name
    assert {photo[4] for photo, _ in _contents(home, "ray").values()} == {"ok"}
    assert _stored(home) == 12  # nothing was called unreadable or missing


def test_photos_in_a_bucket_are_read_by_the_nodes_themselves_and_once(
    cluster: Nodes,
    index: Callable[..., Driver],
    home: Path,
    bucket: Bucket,
    photo_of: Callable[..., Path],
    tmp_path: Path,
) -> None:
    address = bucket.fill(_some(photo_of, tmp_path / "some", 8), "2024")
    cluster.have("b", "c")
    bucket.gate.read()
    done = index(address, "--ray", cluster.address)
    assert done.code == ExitCode.DONE, done.err
    assert done.summary["cluster"]["nodes"] == 2
    assert sorted(bucket.gate.read()) == [f"/photos/2024/{i:03}.jpg" for i in range(8)]
    assert index(address, gallery="alone").code == ExitCode.DONE
    assert _contents(home, "ray") == _contents(home, "alone")


def test_a_node_made_of_this_machine_runs_no_strangers_code_and_goes_with_all_its_files_when_its_program_is_killed(
    cluster: Nodes, tmp_path: Path
) -> None:
    photos, files, link = tmp_path / "photos", Path(tempfile.mkdtemp(prefix="fs")), tmp_path / "link"
    photos.mkdir()
    (photos / "json.py").write_text("open('ran', 'w').close()")
    link.symlink_to(files)
    keeper = subprocess.Popen(
        [sys.executable, "-P", "-m", "facesearch.cluster.ray_joining", cluster.address, str(link)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=photos,
        env=os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},
    )
    assert keeper.stdin
    _until(lambda: any(files.glob("session_*/sockets/raylet*")) or keeper.poll() is not None)
    keeper.stdin.close()  # as the system does for a program that is killed
    keeper.wait(_LONG)
    assert [path.name for path in photos.iterdir()] == ["json.py"]
    assert not files.exists()
    assert not link.is_symlink()


_FILLER = """
import sys, numpy, ray
ray.init(sys.argv[1], log_to_driver=False, logging_level="CRITICAL")
kept = [ray.put(numpy.zeros(10 << 20, numpy.uint8)) for _ in range(14)]
used = [ray.get(each) for each in kept]
print("full", flush=True)
sys.stdin.read()
"""


@contextmanager
def _filled(nodes: Nodes) -> Iterator[None]:
    """For the time of a block, another program has all memory for objects of the cluster's head."""
    env = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-c", _FILLER, nodes.address]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=env | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},
    ) as filler:
        assert filler.stdin
        assert filler.stdout
        assert filler.stdout.readline() == b"full\n"
        yield
        filler.stdin.close()


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory, models_home: Path) -> Iterator[Nodes]:
    """A cluster of one node, whose disks count as full: objects that find no room in memory are refused."""
    nodes = Nodes(tmp_path_factory.mktemp("weak"), RAY_local_fs_capacity_threshold="0.0")
    nodes.add("one")
    yield nodes
    nodes.end()


def test_a_cluster_without_room_for_the_networks_is_said(
    weak: Nodes, index: Callable[..., Driver], home: Path, sixty: Sixty
) -> None:
    with _filled(weak):
        done = index(sixty.folder, "--ray", weak.address)
    assert done.code == ExitCode.ERROR
    assert "--object-store-memory" in done.err
    assert not _stored(home)


def test_a_cluster_that_ends_for_good_is_said_and_the_same_command_goes_on_alone(
    weak: Nodes, index: Callable[..., Driver], home: Path, sixty: Sixty
) -> None:
    with weak.shut():
        driver = Driver(home, "--gallery", "ray", sixty.folder, "--ray", weak.address)
        _until(lambda: _stored(home) >= 15 and weak.somebody_waits(), driver)
        weak.kill("head")
        weak.kill("one")
        driver.ended()
    assert driver.code == ExitCode.ERROR, driver.err
    assert weak.address in driver.err.splitlines()[-1]
    stored = _stored(home)
    assert 15 <= stored < 60
    assert index(sixty.folder).summary["photos"]["unchanged"] >= stored - 5  # bad ones are tried again
    assert _contents(home, "ray") == sixty.contents
