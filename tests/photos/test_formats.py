"""Which format a file has, told by its bytes."""

import io
import os
import struct
import threading
from pathlib import Path

import pytest
from PIL import Image

from facesearch.errors import PhotoError
from facesearch.photos.file import PhotoFile, load
from facesearch.photos.formats import format_of, is_raw, orientation_of
from facesearch.photos.status import Status
from facesearch.photos.view import decode_view, read, read_view

_LONG, _BYTES = 4, 1


def _tiff(order: str, *folders: dict[int, tuple[int, int]]) -> bytes:
    """A TIFF of folders that follow each other; a tag has a type and one number."""
    data = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    for i, tags in enumerate(folders):
        last = i == len(folders) - 1
        sizes = {1: "B3x", 3: "H2x", 4: "I", 6: "b3x", 8: "h2x", 9: "i"}
        body = struct.pack(order + "H", len(tags))
        for tag, (kind, value) in sorted(tags.items()):
            body += struct.pack(order + "HHI" + sizes[kind], tag, kind, 1, value)
        data += body + struct.pack(order + "I", 0 if last else len(data) + len(body) + 4)
    return data


def _ftyp(major: bytes, *compatible: bytes) -> bytes:
    body = major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", len(body) + 8) + b"ftyp" + body + bytes(40)


@pytest.mark.parametrize(
    ("brands", "kind"),
    [
        ((b"mif1", b"mif1", b"miaf", b"avif"), "AVIF"),
        ((b"mif1", b"miaf", b"MA1B", b"avif"), "AVIF"),
        ((b"miaf", b"avif"), "AVIF"),
        ((b"mif1", *(b"abcd",) * 20, b"avif"), "AVIF"),  # after many others
        ((b"mif1", b"heic"), "HEIC"),
        ((b"MiHE", b"mif1"), "HEIC"),
        ((b"MiHB",), "HEIC"),
        ((b"heix", b"mif1"), "HEIC"),
        ((b"msf1", b"hevc"), "HEIC"),
        ((b"crx ", b"isom"), "RAW"),
        ((b"isom", b"mp42", b"mif1"), None),
        ((b"qt  ",), None),
    ],
)
def test_the_brands_of_a_file_tell_its_codec(brands: tuple[bytes, ...], kind: str | None) -> None:
    assert format_of(_ftyp(*brands)) == kind


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 3, 4, 6, 8, 9])
def test_an_orientation_is_read_whatever_whole_number_it_is(order: str, kind: int) -> None:
    assert orientation_of(b"Exif\0\0" + _tiff(order, {274: (kind, 6)})) == 6


@pytest.mark.parametrize("exif", [b"", b"II", b"\xff" * 100, _tiff("<", {274: (3, 9)}), _tiff(">", {271: (4, 1)})])
def test_an_orientation_that_makes_no_sense_is_none(exif: bytes) -> None:
    assert orientation_of(exif) == 0


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("folders", "raw"),
    [
        (({50706: (1, 1)},), True),
        (({262: (3, 2)}, {262: (3, 32803)}), True),
        (({254: (4, 1), 330: (4, 8)},), True),  # a thumbnail first, the photo beneath it
        (({262: (3, 2)}, {254: (4, 1)}), False),  # a second page in a smaller size
        (({262: (3, 2)},), False),
    ],
)
def test_a_tiff_that_holds_what_a_sensor_saw_is_raw(
    order: str, folders: tuple[dict[int, tuple[int, int]], ...], raw: bool
) -> None:
    assert is_raw(io.BytesIO(_tiff(order, *folders))) is raw


def test_folders_that_go_round_in_circles_end() -> None:
    data = bytearray(_tiff("<", {262: (3, 2)}))
    data[-4:] = struct.pack("<I", 8)
    assert not is_raw(io.BytesIO(bytes(data)))


@pytest.mark.parametrize("start", [b"IIRO", b"IIU\0", b"FUJIFILMCCD-RAW", b"II*\0\x10\0\0\0CR", _ftyp(b"crx ")])
def test_a_raw_photo_is_said_to_be_one_whatever_its_name(tmp_path: Path, start: bytes) -> None:
    pytest.importorskip("rawpy")
    path = tmp_path / "photo.jpg"
    path.write_bytes(start + bytes(100))
    loaded = load(PhotoFile(str(path), 0, 0))
    assert loaded is not None
    with pytest.raises(PhotoError, match="its RAW data are damaged") as raised:
        decode_view(loaded.data)
    assert raised.value.status == Status.UNREADABLE


def test_a_raw_photo_is_not_seen_as_its_thumbnail() -> None:
    with pytest.raises(PhotoError, match="RAW"):
        decode_view(_tiff("<", {50706: (_BYTES, 1), 256: (_LONG, 160)}))


def test_a_tiff_of_several_pages_is_read_as_before() -> None:
    page = Image.new("RGB", (40, 30), (200, 10, 10))
    out = io.BytesIO()
    page.save(out, "TIFF", save_all=True, append_images=[page.resize((20, 15))])
    assert decode_view(out.getvalue()).size == (40, 30)


def test_a_photo_may_come_through_a_pipe(tmp_path: Path, astronaut_file: Path) -> None:
    data = astronaut_file.read_bytes()
    reading, writing = os.pipe()
    os.mkfifo(tmp_path / "pipe")
    for path, end in ((f"/dev/fd/{reading}", writing), (str(tmp_path / "pipe"), tmp_path / "pipe")):

        def fill(end: int | Path = end) -> None:
            with open(end, "wb") as pipe:  # noqa: PTH123 (a number too)
                pipe.write(data)

        writer = threading.Thread(target=fill)
        writer.start()
        assert read_view(path).size == decode_view(data).size
        writer.join()
    os.close(reading)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_a_device_is_not_a_photo(path: str) -> None:
    with pytest.raises(PhotoError):
        read_view(path)


def test_what_is_drawn_later_does_not_wait_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(PhotoError):
        read(str(tmp_path / "pipe.jpg"))
