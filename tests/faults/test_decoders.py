"""Decoders that are killed, stopped or mad, photos that would take all memory or time, and runs that end meanwhile:
always with the real decoders."""

import json
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facesearch import Gallery
from facesearch.errors import FaceSearchError, PhotoError
from facesearch.flow import stages
from facesearch.flow.stream import threads
from facesearch.gallery.records.run import Outcome
from facesearch.photos.decoder import LARGE
from facesearch.photos.file import PhotoFile, load
from facesearch.photos.header import decoding_cost, header_size
from facesearch.photos.pool import Decoders
from facesearch.photos.status import Cause, Status
from facesearch.training.chips import ChipStore
from tests.faults import failing

_MB = 1 << 20
_SOME = 40  # photos of a run that is disturbed
_needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc tells who started whom")


@pytest.fixture(scope="module", autouse=True)
def kept() -> None:
    """Nothing: decoders that fail here are started here."""


@pytest.fixture
def gallery(home: Path) -> Gallery:
    return Gallery.open(device="cpu")


@pytest.fixture
def faces(tmp_path: Path, astronaut_file: Path) -> Path:
    """Photos of one face, each with a content of its own."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for i in range(_SOME):
        (folder / f"{i:02d}.jpg").write_bytes(astronaut_file.read_bytes() + bytes([i]))
    return folder


# The end of a run


def test_a_run_ends_whatever_its_threads_are_waiting_for(astronaut_file: Path) -> None:
    """The stages of a run end in this order, while files are still being read whose decoding comes next."""
    data = astronaut_file.read_bytes()

    def work() -> None:
        with threads(3) as readers, threads(2) as workers, Decoders(3) as decoders:
            list(readers.map(lambda _: decoders.decode(data, 1280), range(9)))  # all decoders live, and idle
            workers.submit(time.sleep, 0.3)
            for _ in range(3):
                readers.submit(time.sleep, 0.1)
            for _ in range(6):
                readers.submit(decoders.decode, data, 1280)
            raise OSError(28, "No space left on device")

    said: list[str | None] = []

    def note() -> None:
        try:
            work()
        except OSError as error:
            said.append(error.strerror)

    for _ in range(5):
        ending = threading.Thread(target=note, daemon=True)
        ending.start()
        ending.join(60)
        assert not ending.is_alive()
    assert said == ["No space left on device"] * 5


@_needs_proc
def test_a_run_that_is_told_to_end_while_its_decoders_die_ends(home: Path, faces: Path) -> None:
    facesearch = str(Path(sys.executable).with_name("facesearch"))
    for round_ in range(3):
        run = subprocess.Popen(
            [facesearch, "index", str(faces), "--gallery", f"g{round_}", "--threads", "2"],
            stderr=subprocess.PIPE,
            text=True,
        )
        while not (decoders := _decoders_of(run.pid)) and run.poll() is None:
            time.sleep(0.02)
        for pid in decoders:
            os.kill(pid, signal.SIGKILL)
        run.send_signal(signal.SIGTERM)
        _, err = run.communicate(timeout=120)
        assert (run.returncode, err.count("Interrupted")) == (130, 1) or run.returncode == 0, err


@pytest.mark.skipif(not failing.is_possible(), reason="this Python hides its SQLite")
@pytest.mark.parametrize("share", [0.2, 0.4, 0.6])
def test_a_full_disk_ends_a_run_whose_decoders_work(share: float, victim: Any, few: Any, tmp_path: Path) -> None:
    homes = [tmp_path / "first", tmp_path / "second"]
    for own in homes:
        own.mkdir()
    steps = victim(homes[0], few.folder, decoders=True)["steps"]
    full = victim(homes[1], few.folder, at=int(share * steps), how="full", lasting=True, decoders=True)
    assert (full["ended"], full["code"]) == (0, 3), full
    again = victim(homes[1], few.folder, decoders=True)
    assert (again["ended"], again["code"]) == (0, 7), again


def _decoders_of(pid: int) -> list[int]:
    """The processes that a process has started and that decode photos."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in map(int, children.read_text().split()):
                if b"decoding_process" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(child)
        except OSError:
            continue
    return found


# Photos that are innocent


def _disturbed(gallery: Gallery, folder: Path, number: int, times: int) -> dict[str, int]:
    """What an index finds while now and then a decoder that works gets a signal."""
    working = threading.Event()
    sent: list[int] = []

    def disturb() -> None:
        working.wait(60)
        while len(sent) < times:
            for pid in _decoders_of(os.getpid())[:1]:
                os.kill(pid, number)
                sent.append(pid)
            time.sleep(0.2)

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    summary = gallery.index([folder], threads=2, batch=2, on_outcome=lambda _: working.set())
    disturbing.join(60)
    assert len(set(sent)) == times
    return summary.photos


@_needs_proc
def test_the_photo_of_a_decoder_that_is_killed_from_outside_is_tried_again(gallery: Gallery, faces: Path) -> None:
    assert _disturbed(gallery, faces, signal.SIGKILL, times=3) == {"ok": _SOME}


@_needs_proc
def test_a_stopped_decoder_does_not_stop_the_run(
    gallery: Gallery, faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "Decoders", lambda count, most, _: Decoders(count, most, 2))
    assert _disturbed(gallery, faces, signal.SIGSTOP, times=1) == {"ok": _SOME}


def test_a_photo_whose_decoder_is_always_killed_is_for_a_later_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, astronaut_file: Path
) -> None:
    _program(tmp_path, monkeypatch, "os.kill(os.getpid(), 9)")
    with Decoders(1, program="own_decoder") as decoders, pytest.raises(PhotoError) as refused:
        decoders.decode(astronaut_file.read_bytes(), 1280)
    assert (refused.value.status, refused.value.cause) == (Status.CRASHED, Cause.MACHINE)


def test_waiting_for_other_large_photos_is_not_time_of_ones_own(tmp_path: Path) -> None:
    data = _png(9000, 8000)
    assert decoding_cost(data, header_size(data), 1280) > LARGE
    with Decoders(1) as decoders:
        decoders.decode(data, 1280)
        started = time.monotonic()
        decoders.decode(data, 1280)
        alone = time.monotonic() - started
    with Decoders(4, seconds=max(3 * alone, 1.0)) as decoders, ThreadPoolExecutor(4) as pool:
        views = list(pool.map(lambda _: decoders.decode(data, 1280), range(8)))
    assert {view.size for view in views} == {(9000, 8000)}


def _png(width: int, height: int) -> bytes:
    """A grey picture that takes its decoder a while."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(1)
    row = b"\x04" + bytes(width)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("form", "is_held_whole"), [({}, False), ({"progressive": True}, True), ({"quality": 5}, False)]
)
def test_a_jpeg_that_is_held_whole_until_its_last_scan_counts_whole(form: Any, is_held_whole: bool) -> None:
    written = BytesIO()
    Image.new("RGB", (14_000, 14_000)).save(written, "JPEG", **form)
    data = written.getvalue()
    size = header_size(data)
    assert size == (14_000, 14_000)
    assert decoding_cost(data, size, 1280) == (14_000**2 if is_held_whole else 14_000**2 // 64)


# Decoders whose answers make no sense

_PROGRAM = """
import os, pickle, sys
sys.stdout.buffer.write(b"ready\\n")
sys.stdout.buffer.flush()
while True:
    _, words = pickle.load(sys.stdin.buffer)
    {what}
    sys.stdout.buffer.flush()
"""


def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """A decoder that does this for every call."""
    (tmp_path / "hook").mkdir(exist_ok=True)
    (tmp_path / "hook" / "own_decoder.py").write_text(_PROGRAM.format(what=what))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hook"), prepend=os.pathsep)


_GOOD = {"type": "given", "shape": [1, 1, 3], "size": [1, 1], "shrink": [1.0, 1.0], "more": False}
_NONSENSE = {
    "deep": b"[" * 4000 + b"\n",
    "no JSON": b"\xff\xfe\n",
    "a number": b"7\n",
    "without an end": b"x" * 10_000,
    "ended": b"",
    "no size": json.dumps(_GOOD | {"size": None}).encode() + b"\n\0\0\0",
    "a size of words": json.dumps(_GOOD | {"size": "ab"}).encode() + b"\n\0\0\0",
    "a size of nothing": json.dumps(_GOOD | {"size": [0, 1]}).encode() + b"\n\0\0\0",
    "a size beyond all": json.dumps(_GOOD | {"size": [1 << 70, 1]}).encode() + b"\n\0\0\0",
    "flat": json.dumps(_GOOD | {"shape": [7]}).encode() + b"\n" + bytes(7),
    "four sides": json.dumps(_GOOD | {"shape": [1, 1, 1, 3]}).encode() + b"\n" + bytes(3),
    "four channels": json.dumps(_GOOD | {"shape": [1, 1, 4]}).encode() + b"\n" + bytes(4),
    "a huge shape": json.dumps(_GOOD | {"shape": [1 << 20, 1 << 20, 3]}).encode() + b"\n",
    "a negative side": json.dumps(_GOOD | {"shape": [-1, 1, 3]}).encode() + b"\n",
    "enlarged": json.dumps(_GOOD | {"shrink": [0.5, 1]}).encode() + b"\n\0\0\0",
    "not a number": json.dumps(_GOOD | {"shrink": [float("nan"), 1]}).encode() + b"\n\0\0\0",
    "infinite": json.dumps(_GOOD | {"shrink": [float("inf"), 1]}).encode() + b"\n\0\0\0",
    "half an array": json.dumps(_GOOD | {"shape": [9, 9, 3]}).encode() + b"\n\0\0\0",
    "no failure": b'{"type": "refused", "status": "ok", "reason": "x"}\n',
    "no reason": b'{"type": "refused", "status": "unreadable", "reason": null}\n',
    "no cause": b'{"type": "refused", "status": "unreadable", "reason": "x", "cause": "fate"}\n',
    "no type": json.dumps({"shape": [1, 1, 3]}).encode() + b"\n\0\0\0",
}


def test_an_answer_that_makes_no_sense_costs_its_photo_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder is asked for the answer with a number."""
    answers = list(_NONSENSE.values())
    _program(tmp_path, monkeypatch, f"sys.stdout.buffer.write({answers!r}[int(words[0])]) or sys.exit()")

    def look(number: int) -> str:
        with pytest.raises(PhotoError) as refused:
            decoders.decode(str(number).encode(), 1280, (1, 1))
        return refused.value.status

    with Decoders(4, seconds=2, program="own_decoder") as decoders, ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(look, range(len(answers))))
    expected = {"half an array": Status.TIMEOUT}  # the rest might still come
    assert dict(zip(_NONSENSE, statuses, strict=True)) == dict.fromkeys(_NONSENSE, Status.CRASHED) | expected


def test_the_reason_of_a_decoder_is_printable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, astronaut_file: Path
) -> None:
    said = json.dumps({"type": "refused", "status": "unreadable", "reason": "\x1b[31m"}).encode() + b"\n"
    _program(tmp_path, monkeypatch, f"sys.stdout.buffer.write({said!r})")
    with Decoders(1, program="own_decoder") as decoders, pytest.raises(PhotoError) as refused:
        decoders.decode(astronaut_file.read_bytes(), 1280)
    assert refused.value.reason == "\\x1b[31m"


# Memory of the process that reads files


def _sparse(path: Path, start: bytes, size: int) -> Path:
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)
    return path


_STARTS = {
    "a.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "b.jpg": b"\xff\xd8\xff",
    "a.ppm": b"P6 ",
    "b.ppm": b"P6\n100 100\n255\n",
    "a.gif": b"GIF89a" + struct.pack("<HHBBB", 100, 100, 0, 0, 0),
    "a.png": b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0),
    "a.tif": b"II*\0\x08\0\0\0" + struct.pack("<H", 60_000),
    "b.tif": b"II*\0" + struct.pack("<I", (1 << 32) - 100),
    "a.bmp": b"BM" + struct.pack("<IIIIiiHH", 54, 0, 54, 40, 9, 9, 1, 24),
    "a.webp": b"RIFF\xff\xff\xff\x7fWEBPVP8 ",
    "a.avif": b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf",
    "a.jp2": b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 \0\0\0\1jp2h\x7f\xff\xff\xff\xff\xff\xff\xff",
}


@_needs_proc
@pytest.mark.parametrize("size", [0, 4 << 30, 200 << 30], ids=["as short as it is", "4 GB", "200 GB"])
@pytest.mark.parametrize("name", _STARTS)
def test_a_file_of_any_size_is_refused_before_its_memory_is_taken(name: str, size: int, tmp_path: Path) -> None:
    path = _sparse(tmp_path / name, _STARTS[name], max(size, len(_STARTS[name])))
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    if size:
        with pytest.raises(PhotoError) as refused:
            load(PhotoFile(str(path), 0, 0))
        assert refused.value.status == Status.TOO_LARGE
    else:
        loaded = load(PhotoFile(str(path), 0, 0))
        assert loaded is not None
        assert loaded.data == _STARTS[name]
    assert time.monotonic() - started < 60  # to read 200 GB takes longer
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


_INDEX_AND_SAY = """
import json, resource, sys
from facesearch import Gallery
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
photos = Gallery.open(device="cpu").index([sys.argv[1]]).photos
print(json.dumps([photos, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))
"""


def test_photos_of_unknown_size_weigh_what_they_are(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "heavy"
    folder.mkdir()
    for i in range(10):
        _sparse(folder / f"{i}.jpg", b"\xff\xd8\xff" + bytes([i]), 60 * _MB)
    done = subprocess.run(
        [sys.executable, "-c", _INDEX_AND_SAY, str(folder)], capture_output=True, text=True, check=True, timeout=300
    )
    photos, grown = json.loads(done.stdout)
    assert photos == {"unreadable": 10}
    print(f"10 files of 63 MB: {grown / 1024:.0f} MB more")
    assert grown < 400 * 1024


_WITH_LITTLE_MEMORY = """
import resource, sys
from facesearch.errors import FaceSearchError, PhotoError
from facesearch.photos.file import load
from facesearch.photos.file import PhotoFile
(line,) = [line for line in open("/proc/self/status") if line.startswith("VmSize")]
most = int(line.split()[1]) * 1024 + (100 << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
try:
    load(PhotoFile(sys.argv[1], 0, 0))
except PhotoError as error:
    print(error.status, error.cause)
"""


@_needs_proc
def test_want_of_memory_is_a_status(tmp_path: Path) -> None:
    path = _sparse(tmp_path / "heavy.jpg", b"\xff\xd8\xff", 250_000_000)
    command = [sys.executable, "-c", _WITH_LITTLE_MEMORY, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "crashed machine\n"


# No command decodes a stranger's photo in its own process

_CRASHES = """
import os, signal
try:
    import simplejpeg
except ImportError:
    pass
else:
    decode = simplejpeg.decode_jpeg
    def decode_jpeg(data, *how, **options):
        if bytes(data[-5:]) == b"CRASH":
            os.kill(os.getpid(), signal.SIGSEGV)
        return decode(data, *how, **options)
    simplejpeg.decode_jpeg = decode_jpeg
"""


@pytest.fixture
def crashing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, astronaut_file: Path) -> Path:
    """A photo that crashes whoever decodes it."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_CRASHES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)
    photo = tmp_path / "crash.jpg"
    photo.write_bytes(astronaut_file.read_bytes() + b"CRASH")
    probe = f"import simplejpeg; simplejpeg.decode_jpeg(open({str(photo)!r}, 'rb').read())"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == -signal.SIGSEGV  # it does
    return photo


def test_a_photo_that_crashes_whoever_decodes_it_ends_no_command(
    crashing: Path, album: Path, process: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    photo = album / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(f"a,b,same\n{crashing},{photo},0\n{photo},{photo},1\n")
    assert process("index", album).returncode == 0
    for words in (("verify", crashing, photo), ("query", crashing), ("bench", "pairs", pairs)):
        done = process(*words)
        assert (done.returncode, done.stdout) == (3, ""), (words, done)
        assert "signal 11 (SIGSEGV)" in done.stderr
    # What was indexed once crashes now: a sheet shows an empty tile for it.
    photo.write_bytes(crashing.read_bytes())
    sheet = process("query", album / "Tiger_Woods" / "Tiger_Woods_0002.jpg", "--sheet", tmp_path / "sheet.jpg")
    assert sheet.returncode == 0, sheet
    assert (tmp_path / "sheet.jpg").exists()


def test_a_crop_that_crashes_whoever_decodes_it_ends_a_training_with_a_sentence(crashing: Path) -> None:
    with pytest.raises(FaceSearchError, match=r"crash\.jpg cannot be trained on: its decoder was ended by signal 11"):
        list(ChipStore([str(crashing)], 48).all(8))


def test_what_a_photo_takes_too_long_for_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gallery: Gallery, faces: Path
) -> None:
    """Time is measured by who waits: a decoder that sleeps without end cannot stop that clock."""
    _program(tmp_path, monkeypatch, "__import__('time').sleep(1000)")
    outcomes: list[Outcome] = []
    for photo in sorted(faces.iterdir())[2:]:
        photo.unlink()
    monkeypatch.setattr(stages, "Decoders", lambda count, most, _: Decoders(count, most, 1, "own_decoder"))
    gallery.index([faces], on_outcome=outcomes.append)
    assert [outcome.status for outcome in outcomes] == [Status.TIMEOUT] * 2
    assert outcomes[0].reason == "it was not decoded within 1 seconds"
