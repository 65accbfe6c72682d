"""Photos that are damaged, hostile or no longer there: each gets a status, and costs nothing else."""

import os
import random
import shutil
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from facesearch import Gallery
from facesearch.arrays import Pixels
from facesearch.errors import PhotoError
from facesearch.faces.analyser import Analyser, load_detector
from facesearch.flow import stages
from facesearch.gallery import gallery as gallery_module
from facesearch.gallery.indexing import updating
from facesearch.gallery.indexing.options import IndexOptions
from facesearch.gallery.records.answers import Answer, Unanswered
from facesearch.models.cards import detector_card
from facesearch.photos.file import PhotoFile, load
from facesearch.photos.pool import Decoders
from facesearch.photos.status import Status
from facesearch.photos.walk import walk
from facesearch.training.crops import CropOptions, align_people, by_landmarks

_KINDS = ("jpg", "png", "webp", "tiff", "bmp", "gif", "pgm")
_MB = 1 << 20


_needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc tells the memory")


@pytest.fixture(scope="module", autouse=True)
def kept() -> None:
    """Nothing: decoders that fail here are started here."""


@pytest.fixture
def gallery(home: Path) -> Gallery:
    return Gallery.open(device="cpu")


# Any bytes


def _mutant(data: bytes, chosen: random.Random) -> bytes:
    """The data with some bytes replaced, a part cut out, doubled or ended early."""
    mutant = bytearray(data)
    for _ in range(chosen.choice((1, 1, 2, 8, 64))):
        at = chosen.randrange(min(len(mutant), chosen.choice((32, 1024, 1 << 30))))
        match chosen.randrange(6):
            case 0:
                mutant[at] = chosen.randrange(256)
            case 1:
                mutant[at] ^= 1 << chosen.randrange(8)
            case 2:
                mutant[at : at + 4] = chosen.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4)))
            case 3:
                del mutant[at : at + chosen.randrange(1, 64)]
            case 4:
                mutant[at:at] = mutant[at : at + chosen.randrange(1, 64)]
            case 5:
                del mutant[max(at, 16) :]
        if not mutant:
            return b"\0"
    return bytes(mutant)


@pytest.mark.parametrize("count", [140, pytest.param(2000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_mutants_of_every_format_get_a_status(
    count: int, gallery: Gallery, tmp_path: Path, astronaut: Pixels, trusted: Any
) -> None:
    face = np.ascontiguousarray(cv2.resize(astronaut[:260, 90:350], (96, 96))[..., ::-1])
    chosen = random.Random(count)
    folder = tmp_path / "mutants"
    folder.mkdir()
    originals = {}
    for kind in _KINDS:
        pixels = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY) if kind == "pgm" else face
        if kind == "gif":
            Image.fromarray(np.ascontiguousarray(face[..., ::-1])).save(tmp_path / "face.gif")
            originals[kind] = (tmp_path / "face.gif").read_bytes()
        else:
            originals[kind] = cv2.imencode(f".{kind}", pixels)[1].tobytes()
        (folder / f"whole.{kind}").write_bytes(originals[kind])
    for i in range(count):
        kind = _KINDS[i % len(_KINDS)]
        (folder / f"{i:05d}.{kind}").write_bytes(_mutant(originals[kind], chosen) + i.to_bytes(3))
    album = trusted.album(folder)
    statuses: dict[str, str] = {}
    gallery.index([folder], on_outcome=lambda outcome: statuses.update({outcome.path: outcome.status}))
    assert statuses.keys() == album.files.keys()
    assert all(statuses[str(folder / f"whole.{kind}")] == "ok" for kind in _KINDS)
    trusted.sound(gallery.directory.parents[1])
    rows = {row[0]: row[1] for row in trusted.dump(gallery.directory.parents[1])}
    assert rows == statuses
    assert album.is_untouched()
    again = gallery.index([folder])
    assert again.photos == {"unchanged": len(statuses)}
    counts = {status: list(statuses.values()).count(status) for status in sorted(set(statuses.values()))}
    print(f"{count} mutants: {counts}")


# A decoder that crashes or hangs

_HOOK = """
import os, signal, time
from facesearch.photos import decoding_process
def decode(data, max_side, max_megapixels):
    if data.endswith(b"CRASH"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if data.endswith(b"EXIT"):
        os._exit(3)
    while data.endswith(b"HANG"):
        pass
    while data.endswith(b"SLEEP"):
        time.sleep(1)
    if data.endswith(b"MEMORY"):
        bytearray(1 << 40)
    if data.endswith(b"NOISE"):
        os.write(1, b"x" * 10000)  # as a library that prints
    return decoding_process.answer_decode(data, max_side, max_megapixels)
decoding_process.serve([decode])
"""


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Decoders]:
    """Decoders that do what a photo's last bytes say."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "hostile_decoder.py").write_text(_HOOK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hook"), prepend=os.pathsep)
    return partial(Decoders, program="hostile_decoder")


def test_a_photo_that_crashes_or_hangs_its_decoder_costs_itself_alone(
    gallery: Gallery, album: Path, hostile: object, astronaut_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "Decoders", hostile)
    monkeypatch.setattr(gallery_module, "IndexOptions", partial(IndexOptions, seconds=1))
    bad = {"CRASH": "crashed", "EXIT": "crashed", "HANG": "timeout", "SLEEP": "timeout", "MEMORY": "too_large"}
    for word in bad:
        (album / f"{word}.jpg").write_bytes(astronaut_file.read_bytes() + word.encode())
    statuses: dict[str, str] = {}
    reasons: dict[str, str | None] = {}

    def note(outcome: Any) -> None:
        statuses[Path(outcome.path).stem] = outcome.status
        reasons[Path(outcome.path).stem] = outcome.reason

    summary = gallery.index([album], on_outcome=note)
    assert {word: statuses[word] for word in bad} == bad
    assert summary.photos["ok"] == 9
    assert "signal 11 (SIGSEGV)" in (reasons["CRASH"] or "")
    assert "exit code 3" in (reasons["EXIT"] or "")
    assert "not decoded within 1 seconds" in (reasons["HANG"] or "")
    # It is not tried again, under no other name either, unless that is asked for.
    shutil.copy(album / "CRASH.jpg", album / "copy of it.jpg")
    again = gallery.index([album])
    assert again.photos == {"unchanged": 9 + len(bad), "copied": 1}
    monkeypatch.undo()
    monkeypatch.setenv("FACESEARCH_HOME", str(gallery.directory.parents[1]))
    assert gallery.index([album], retry_failed=True).photos == {"unchanged": 9, "ok": len(bad) + 1}


def test_many_questions_and_crops_survive_a_crash_too(
    gallery: Gallery,
    album: Path,
    hostile: object,
    tmp_path: Path,
    astronaut_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gallery.index([album])
    monkeypatch.setattr(stages, "Decoders", hostile)
    bad = album / "Tiger_Woods" / "crash.jpg"
    bad.write_bytes(astronaut_file.read_bytes() + b"CRASH")
    photos = sorted(album.rglob("*.jpg"))
    answers = dict(zip(photos, gallery.query_many(photos, 1), strict=True))
    assert isinstance(answers.pop(bad), Unanswered)
    assert all(isinstance(answer, Answer) and answer.matches[0].similarity > 0.999 for answer in answers.values())
    card = detector_card("mtcnn")
    options = CropOptions(by_landmarks(160, "mtcnn"))
    made = list(align_people(str(album), tmp_path / "crops", lambda: load_detector(card, "cpu"), options))
    assert {Path(each.photo).name for each in made if each.reason} == {"crash.jpg"}
    assert len(list((tmp_path / "crops").rglob("*.*"))) == 9


# Bombs


def _png(width: int, height: int, data: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _tiff(width: int, height: int) -> bytes:
    def entry(tag: int, value: int) -> bytes:
        return struct.pack("<HHII", tag, 4, 1, value)

    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 100}
    return (
        b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + b"".join(entry(*pair) for pair in tags.items()) + bytes(4)
    )


def _zeros_of(width: int, height: int) -> bytes:
    """What such a picture packs into: a thousandth of its bytes, as far as anybody reads."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 + 3 * width)) for _ in range(min(height, 500)))


_GIF_FRAME = b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x08\x02\x44\x01\0;"


@_needs_proc
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("bomb.png", _png(50_000, 50_000, _zeros_of(50_000, 50_000))),
        ("wide.tiff", _tiff((1 << 31) - 1, 1)),
        ("square.tiff", _tiff(1 << 20, 1 << 20)),
        ("bomb.pgm", b"P5\n60000 60000\n255\n" + bytes(1000)),
        ("bomb.gif", b"GIF89a" + struct.pack("<HHBBB6x", 65535, 65535, 128, 0, 0) + _GIF_FRAME),
        (
            "bomb.bmp",
            b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 100_000, 100_000, 1, 24, 0, 0, 0, 0, 0, 0),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bomb_is_too_large_before_memory_is_taken(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with Decoders(1) as decoders:
        decoders.decode(_png(1, 1, zlib.compress(bytes(4))), 100)  # it runs
        (pid,) = (decoder._process.pid for decoder in decoders._all)
        before = _most_memory(pid), _most_memory(os.getpid())
        with pytest.raises(PhotoError) as refused:
            load(PhotoFile(str(tmp_path / name), 0, 0))
        assert refused.value.status == Status.TOO_LARGE
        assert "megapixels, more than the 200 that are read" in refused.value.reason
        with pytest.raises(PhotoError) as refused:  # should the first look have missed it
            decoders.decode(data, 1280)
        assert refused.value.status == Status.TOO_LARGE
        grown = [now - then for now, then in zip((_most_memory(pid), _most_memory(os.getpid())), before, strict=True)]
    print(f"{name}: {[round(each / _MB) for each in grown]} MB more")
    assert max(grown) < 200 * _MB


@_needs_proc
def test_a_panorama_is_looked_at_in_a_reduced_size(
    gallery: Gallery, tmp_path: Path, astronaut: Pixels, write: Callable[..., Path]
) -> None:
    wide = np.zeros((5000, 30_000, 3), np.uint8)  # 150 megapixels
    wide[500:4500, 20_000:24_000] = cv2.resize(astronaut, (4000, 4000))
    path = write(tmp_path / "panorama" / "wide.jpg", wide)
    del wide
    with Decoders(1) as decoders:
        decoders.decode(_png(1, 1, zlib.compress(bytes(4))), 100)
        (pid,) = (decoder._process.pid for decoder in decoders._all)
        before = _most_memory(pid)
        decoders.decode(path.read_bytes(), 1280)
        assert _most_memory(pid) - before < 200 * _MB
    assert gallery.index([path.parent]).photos == {"ok": 1}
    (tmp_path / "panorama" / "again.jpg").write_bytes(path.read_bytes() + b"more")
    assert gallery.index([path.parent], max_megapixels=100).photos == {"unchanged": 1, "too_large": 1}


def _most_memory(pid: int) -> int:
    """The most that a process has held so far, in bytes."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


# What a file says beside its picture


def _jpeg_with(astronaut_file: Path, *segments: bytes) -> bytes:
    data = astronaut_file.read_bytes()
    return data[:2] + b"".join(segments) + data[2:]


def _app1(body: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def _orientation(value: int) -> bytes:
    return _app1(b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHHI", 0x0112, 3, 1, value, 0, 0))


def _turned(pixels: Pixels, orientation: int) -> Pixels:
    """The picture as a camera stores it that says this orientation."""
    turn = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}[orientation]
    mirrored = orientation in (2, 4, 5, 7)
    turned = np.rot90(pixels[:, ::-1] if mirrored else pixels, turn)
    return np.ascontiguousarray(turned)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_show_the_same_face(
    orientation: int, analyser: Analyser, astronaut: Pixels, tmp_path: Path, write: Callable[..., Path]
) -> None:
    path = write(tmp_path / "photo.jpg", _turned(astronaut, orientation))
    plain = path.read_bytes()
    path.write_bytes(plain[:2] + _orientation(orientation) + plain[2:])
    upright = write(tmp_path / "upright.jpg", astronaut)
    with Decoders(1) as decoders:
        views = [decoders.decode(each.read_bytes(), 1280) for each in (path, upright)]
    assert views[0].pixels.shape == views[1].pixels.shape
    first, second = analyser.analyse(views)
    assert first.embeddings[0] @ second.embeddings[0] > 0.99
    np.testing.assert_allclose(first.faces[0].box, second.faces[0].box, atol=4)


_ENDLESS = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHII", 0x8769, 4, 1, 8) + struct.pack(">I", 8)


@pytest.mark.parametrize(
    "segments",
    [
        (_app1(b"Exif\0\0" + b"\xff" * 100),),
        (_app1(b"Exif\0\0MM\0*\xff\xff\xff\xff"),),
        (_app1(_ENDLESS),),  # a folder that lies in itself, and comes after itself
        (_app1(b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + struct.pack(">HHII", 0x0112, 9, 0xFFFFFFFF, 0)),),
        tuple(b"\xff\xfe\xff\xff" + b"a" * 65533 for _ in range(160)),  # 10 MB of comment
        (_app1(b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHII", 0x010E, 2, 4, 0x1B5B334A)),),
        (_orientation(0),),
        (_orientation(99),),
    ],
    ids=["broken", "nowhere", "endless", "huge", "10 MB of text", "control characters", "0", "99"],
)
def test_what_a_photo_says_of_itself_does_no_harm(
    segments: tuple[bytes, ...], analyser: Analyser, astronaut: Pixels, astronaut_file: Path
) -> None:
    with Decoders(1, seconds=20) as decoders:
        view = decoders.decode(_jpeg_with(astronaut_file, *segments), 1280)
    np.testing.assert_array_equal(view.pixels, astronaut)


# Names


def test_names_are_inert(cli: Callable[..., Any], tmp_path: Path, astronaut_file: Path, home: Path) -> None:
    names = ["\x1b]0;owned\x07\x1b[31m.jpg", "=cmd|' !A0.jpg", "<script>alert(1)<.jpg", "'; DROP TABLE faces; --.jpg"]
    names += ["a\r\nb.jpg", "\u202egpj.jpg", "%s%n{0}[red]x[.jpg", '","injected":"1.jpg']
    for i, name in enumerate(names):
        person = tmp_path / "names" / f"{i}{name[:-4]}"
        person.mkdir(parents=True)
        (person / name).write_bytes(astronaut_file.read_bytes() + bytes([i]))
    (tmp_path / "names" / "broken\x1b[2J.jpg").write_bytes(b"\xff\xd8\xff")
    said = cli("index", tmp_path / "names", "--people-from", "folder")
    assert said.code == 7
    for words in (
        ("query", astronaut_file, "--k", "20"),
        ("query", astronaut_file, "--k", "20", "--faces"),
        ("query", tmp_path / "names" / f"0{names[0][:-4]}" / names[0]),
        ("query", tmp_path / "names"),
        ("query", tmp_path / "no\x1b[2Jphoto.jpg"),
        ("verify", tmp_path / "names" / f"0{names[0][:-4]}" / names[0], astronaut_file),
        ("index", tmp_path / "no\x1b[2Jfolder"),
        ("forget", "no\x1b[2Jbody"),
        ("info",),
        ("check", "--photos"),
    ):
        answer = cli(*words)
        for text in (said.out, said.err, answer.out, answer.err):
            raw = {c for c in text if not c.isprintable() and c != "\n"}
            assert not raw, (words, raw)
    import json

    found = json.loads(cli("query", astronaut_file, "--k", "20", "--json").out)
    assert {match["person"] for match in found["matches"]} == {f"{i}{name[:-4]}" for i, name in enumerate(names)}


# Files that are no longer what they were


def test_files_that_change_while_the_run_reads_them(
    gallery: Gallery, album: Path, astronaut_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the listing of a folder and the reading of its files all of this may happen to one."""
    folder = album / "Tiger_Woods"
    gone, pipe, loop, other = (folder / f"{name}.jpg" for name in ("a gone", "a pipe", "a loop", "a text"))
    for path in (gone, pipe, loop, other):
        shutil.copy(astronaut_file, path)

    def then(file: PhotoFile, max_megapixels: float) -> Any:
        path = Path(file.path)
        if path in (gone, pipe, loop):
            path.unlink()
        if path == pipe:
            os.mkfifo(path)
        if path == loop:
            path.symlink_to(path)
        if path == other:
            path.write_text("no photo any more")
        return load(file, max_megapixels)

    monkeypatch.setattr(updating, "load", then)
    statuses: dict[str, tuple[str, str | None]] = {}
    gallery.index([album], on_outcome=lambda o: statuses.update({Path(o.path).name: (o.status, o.reason)}))
    assert statuses["a gone.jpg"] == ("unreadable", "cannot be opened: No such file or directory")
    assert statuses["a pipe.jpg"] == ("unreadable", "it is not a file")
    assert statuses["a loop.jpg"] == ("unreadable", "cannot be opened: Too many levels of symbolic links")
    assert statuses["a text.jpg"] == ("unsupported", "its content is not an image of a known format")
    assert len(statuses) == 13
    monkeypatch.undo()
    monkeypatch.setenv("FACESEARCH_HOME", str(gallery.directory.parents[1]))
    for path in (pipe, loop, other):
        path.unlink()
    again = gallery.index([album])
    assert again.photos == {"unchanged": 9, "missing": 4}


def test_links_that_go_round_in_circles_end(gallery: Gallery, album: Path) -> None:
    (album / "Tiger_Woods" / "up").symlink_to(album)
    (album / "itself").symlink_to(album / "itself")
    (album / "one").symlink_to(album / "other")
    (album / "other").symlink_to(album / "one")
    assert gallery.index([album]).photos == {"ok": 9}


@pytest.mark.parametrize("count", [5000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_many_files_in_one_folder(count: int, gallery: Gallery, tmp_path: Path, astronaut_file: Path) -> None:
    """The folder's names are held, in order, and nothing else of it."""
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(count):
        (folder / f"{i:06d}.jpg").touch()
    shutil.copy(astronaut_file, folder / "photo.jpg")
    tracemalloc.start()
    seen = sum(1 for _ in walk(str(folder)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seen == count + 1
    assert most < 1000 * count
    command = [sys.executable, "-c", _INDEX_AND_SAY, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=3000)
    photos, grown = done.stdout.split()
    assert int(photos) == count + 1
    print(
        f"{count} files in a folder: to walk it takes {most / _MB:.1f} MB, "
        f"a second index grows by {int(grown) / 1024:.0f} MB"
    )
    assert int(grown) < 100 * 1024 + count


_INDEX_AND_SAY = """
import resource, sys
from facesearch import Gallery
gallery = Gallery.open(device="cpu")
gallery.index([sys.argv[1]])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
summary = gallery.index([sys.argv[1]])
print(summary.photos["unchanged"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
