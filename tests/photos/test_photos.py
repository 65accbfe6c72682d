"""Every format and every bad file, and folders as people have them."""

import io
import os
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from facesearch.arrays import Pixels
from facesearch.errors import FaceSearchError, PhotoError
from facesearch.faces.analyser import Analyser
from facesearch.files import printable
from facesearch.geometry.scaling import ABOUT
from facesearch.photos import truncation
from facesearch.photos.file import PhotoFile, load
from facesearch.photos.pixels import decode
from facesearch.photos.status import Status
from facesearch.photos.view import decode_view, read
from facesearch.photos.walk import walk

_ORIENTATION = 0x0112


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.fixture(scope="module")
def image(astronaut: Pixels) -> Image.Image:
    return Image.fromarray(astronaut)


@pytest.mark.parametrize(
    ("kind", "mode", "apart"),
    [
        ("JPEG", "RGB", 4),
        ("JPEG", "CMYK", 4),
        ("PNG", "RGB", 0),
        ("PNG", "RGBA", 0),
        ("PNG", "P", 25),
        ("WEBP", "RGB", 4),
        ("BMP", "RGB", 0),
        ("TIFF", "RGB", 0),
        ("TIFF", "CMYK", 1),
        ("GIF", "RGB", 4),
        ("AVIF", "RGB", 4),
        ("PPM", "RGB", 0),
    ],
)
def test_every_format_gives_the_same_colours(image: Image.Image, kind: str, mode: str, apart: float) -> None:
    pixels = decode(_encoded(image.convert(mode), kind))
    assert pixels.dtype == np.uint8
    difference = pixels.astype(float) - np.asarray(image, float)
    assert abs(difference).mean() <= apart
    assert (abs(difference.mean(axis=(0, 1))) <= apart).all()  # in each of red, green and blue


@pytest.mark.parametrize(("kind", "mode"), [("PPM", "L"), ("JPEG", "L"), ("PNG", "L"), ("PNG", "LA"), ("TIFF", "L")])
def test_greyscale_becomes_three_equal_channels(image: Image.Image, kind: str, mode: str) -> None:
    pixels = decode(_encoded(image.convert(mode), kind))
    assert abs(pixels.astype(float) - np.asarray(image.convert("L"), float)[..., None]).mean() < 3
    assert (pixels[..., 0] == pixels[..., 2]).all()


@pytest.mark.parametrize("kind", [".png", ".tif", ".pgm"])
def test_sixteen_bits_become_eight(astronaut: Pixels, kind: str) -> None:
    deep = astronaut[..., ::-1].astype(np.uint16) * 257
    grey = kind == ".pgm"
    _, data = cv2.imencode(kind, deep[..., 1] if grey else deep)
    expected = astronaut[..., [1, 1, 1]] if grey else astronaut
    assert abs(decode(data.tobytes()).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_photos_come_out_upright(image: Image.Image, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    lying = image.crop((0, 0, 300, 384))
    turn = {  # what the camera did; the reader must do the opposite
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)
    stored = lying.transpose(turn) if turn is not None else lying
    pixels = decode(_encoded(stored, kind, exif=exif))
    assert pixels.shape == (384, 300, 3)
    assert abs(pixels.astype(float) - np.asarray(lying, float)).mean() < 6


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("number", ["B3x", "H2x", "I", "h2x", "i"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_orientation_counts_in_either_order_and_as_any_number(
    image: Image.Image, kind: str, order: str, number: str
) -> None:
    code = {"B3x": 1, "H2x": 3, "I": 4, "h2x": 8, "i": 9}[number]
    tag = struct.pack(f"{order}HHHI{number}I", 1, _ORIENTATION, code, 1, 6, 0)
    exif = b"Exif\0\0" + (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8) + tag
    upright = image.crop((0, 0, 300, 384))
    pixels = decode(_encoded(upright.transpose(Image.Transpose.ROTATE_90), kind, exif=exif))
    assert pixels.shape == (384, 300, 3)
    assert abs(pixels.astype(float) - np.asarray(upright, float)).mean() < 6


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_xmp_says_the_orientation_where_exif_is_silent(image: Image.Image, kind: str) -> None:
    xmp = b'<rdf:Description tiff:Orientation="6"/>'
    upright = image.crop((0, 0, 300, 384))
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    assert decode(_encoded(stored, kind, xmp=xmp)).shape == (384, 300, 3)
    exif = Image.Exif()
    exif[_ORIENTATION] = 1
    assert decode(_encoded(stored, kind, xmp=xmp, exif=exif)).shape == (300, 384, 3)


@pytest.mark.parametrize("most", [1, 15, 100, 1023, 4095, 65535])
@pytest.mark.parametrize("comment", [b"", b"# by a camera\n"])
def test_a_pnm_is_as_bright_as_its_largest_number_says(astronaut: Pixels, most: int, comment: bytes) -> None:
    numbers = np.round(astronaut / 255 * most).astype(">u2" if most > 255 else np.uint8)
    pixels = decode(b"P6\n" + comment + b"384 384\n%d\n" % most + numbers.tobytes())
    assert abs(pixels - astronaut.astype(float)).max() <= 128 / most + 1


# Smaller versions


@pytest.mark.parametrize("orientation", [1, 6, 8])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("max_side", [0, 1000, 400, 383, 200, 100, 33])
def test_a_view_is_the_photo_in_about_that_size(
    image: Image.Image, kind: str, orientation: int, max_side: int
) -> None:
    """Whatever the file's own scales and its orientation, a place in the view is that place in the photo."""
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    upright = image.crop((0, 0, 301, 384))
    turn = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}.get(orientation)
    data = _encoded(upright.transpose(turn) if turn is not None else upright, kind, exif=exif)
    view = decode_view(data, max_side)
    height, width = view.pixels.shape[:2]
    assert view.size == (301, 384)
    wanted = min(max_side or 384, 384)
    assert wanted / ABOUT - 1 <= height <= min(wanted * ABOUT, 384)
    assert (width * view.shrink[0], height * view.shrink[1]) == pytest.approx((301, 384), abs=8)
    expected = cv2.resize(np.asarray(upright), (width, height), interpolation=cv2.INTER_AREA)
    assert abs(view.pixels.astype(float) - expected).mean() < 7
    for shrink in (0.5, 1.0, 2.0, 5.0):
        sharper = view.sharper(shrink)
        assert max(sharper.shrink) <= max(shrink, 1) * 1.01  # a PNG of odd sides is halved to fewer pixels
        assert sharper.size == view.size
        assert sharper.pixels.shape[0] == pytest.approx(384 / sharper.shrink[1], abs=1)
    assert (view.sharper(1.0).pixels == decode(data)).all()


def test_a_panorama_keeps_twice_its_height(image: Image.Image) -> None:
    view = decode_view(_encoded(image.resize((2000, 100)), "PNG"), 100)
    assert view.pixels.shape == (50, 1000, 3)
    assert view.shrink == (2, 2)


def test_a_damaged_photo_looked_at_in_small_says_so(image: Image.Image) -> None:
    data = _encoded(image, "JPEG")
    with pytest.raises(PhotoError, match="damaged"):
        decode_view(data[:100], 100)  # within its tables


def test_the_sharper_view_of_a_file_that_cannot_give_it_is_the_view_itself(image: Image.Image) -> None:
    view = replace(decode_view(_encoded(image, "JPEG"), 100), data=b"\xff\xd8\xff no more than a beginning")
    assert view.sharper(1.0) is view


def test_heic_is_read(image: Image.Image) -> None:
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    out = io.BytesIO()
    heif.from_pillow(image).save(out, quality=90)
    assert abs(decode(out.getvalue()).astype(float) - np.asarray(image, float)).mean() < 5


def test_heic_without_its_package_says_what_to_install(image: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(PhotoError, match="pip install pi-heif") as raised:
        decode(b"\0\0\0\x18ftypheic" + bytes(40))
    assert raised.value.status == Status.UNSUPPORTED


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "PPM", "JPEG2000"])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.95])
def test_a_truncated_photo_is_unreadable(image: Image.Image, kind: str, share: float) -> None:
    """But for a JPEG and a PNG of which half is there."""
    data = _encoded(image, kind)
    if kind == "PNG" and share > 0.5:
        assert decode(data[: int(len(data) * share)]).shape == np.asarray(image).shape
        return
    with pytest.raises(PhotoError, match="cut off" if kind == "PNG" else "damaged") as raised:
        decode(data[: int(len(data) * share)])
    assert raised.value.status == Status.UNREADABLE


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "I;16"])
@pytest.mark.parametrize("tail", [b"", bytes(3000)], ids=["", "zeros"])
def test_a_png_without_its_end_is_read_as_far_as_it_goes(image: Image.Image, mode: str, tail: bytes) -> None:
    wide = np.asarray(image.convert("L")).astype(np.uint16) * 257
    data = _encoded(Image.fromarray(wide) if mode == "I;16" else image.convert(mode), "PNG")
    view = decode_view(data[: len(data) * 3 // 4] + tail)
    said = re.fullmatch(r"cut off after (\d+) %", view.note)
    assert said
    rows = view.pixels.shape[0] * int(said[1]) // 100
    np.testing.assert_array_equal(view.pixels[:rows], decode(data)[:rows])
    with pytest.raises(PhotoError, match=r"cut off after \d+ %"):
        decode_view(data[: len(data) // 4] + tail)


def test_a_webp_that_ends_in_zeros_is_unreadable(image: Image.Image) -> None:
    data = _encoded(image, "WEBP")
    assert decode_view(data).note == ""
    with pytest.raises(PhotoError, match="damaged"):
        decode_view(data[:-2000] + bytes(2000))


@pytest.mark.parametrize("share", [0.7, 0.99])
def test_a_progressive_jpeg_that_lost_detail_says_so(image: Image.Image, share: float) -> None:
    data = _encoded(image, "JPEG", progressive=True)
    assert decode_view(data).note == ""
    assert decode_view(data[: int(len(data) * share)]).note == "cut off, with less detail"


_END = b"\xff\xd9"


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}, {"optimize": True}], ids=str)
@pytest.mark.parametrize("max_side", [0, 100])
@pytest.mark.parametrize("tail", [b"", _END, bytes(4000), bytes(4000) + _END], ids=["", "end", "zeros", "zeros, end"])
def test_a_jpeg_without_its_end_is_read_as_far_as_it_goes(
    image: Image.Image, mode: str, options: dict[str, Any], max_side: int, tail: bytes
) -> None:
    data = _encoded(image.convert(mode), "JPEG", quality=90, **options)
    view = decode_view(data[: len(data) * 3 // 4] + tail, max_side)
    said = re.fullmatch(r"cut off after (\d+) %", view.note)
    assert said is not None
    assert 65 < int(said[1]) < 85
    assert view.size == image.size
    whole = decode_view(data, max_side)
    assert whole.note == ""
    upper = slice(0, view.pixels.shape[0] // 2)
    assert abs(view.pixels[upper].astype(int) - whole.pixels[upper]).max() <= 1
    with pytest.raises(PhotoError, match=r"cut off after \d %|cut off after 1\d %") as raised:
        decode_view(data[: len(data) // 10] + tail[-2:], max_side)
    assert raised.value.status == Status.UNREADABLE


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str)
@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("tail", [b"", bytes(64)], ids=["", "zeros"])
def test_a_jpeg_that_lacks_its_last_mark_alone_is_whole(
    image: Image.Image, options: dict[str, Any], lost: int, tail: bytes
) -> None:
    data = _encoded(image, "JPEG", **options)
    view = decode_view(data[:-lost] + tail)
    assert view.note == ""
    np.testing.assert_array_equal(view.pixels, decode(data))


@pytest.mark.parametrize("tail", [b"", _END], ids=["", "end"])
def test_a_progressive_jpeg_that_lost_most_of_its_detail_is_unreadable(image: Image.Image, tail: bytes) -> None:
    data = _encoded(image, "JPEG", progressive=True)
    with pytest.raises(PhotoError, match="cut off") as raised:
        decode(data[: len(data) // 10] + tail)
    assert raised.value.status == Status.UNREADABLE


@pytest.mark.parametrize("colour", [0, 64, 128, 255])
@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"progressive": True}], ids=str)
def test_a_flat_jpeg_is_whole(colour: int, options: dict[str, Any]) -> None:
    assert decode_view(_encoded(Image.new("RGB", (600, 400), (colour,) * 3), "JPEG", **options)).note == ""


def test_the_face_in_the_part_that_is_left_is_the_same(
    image: Image.Image, astronaut: Pixels, analyser: Analyser
) -> None:
    data = _encoded(image, "JPEG", quality=95)
    views = [decode_view(data), decode_view(data[: len(data) * 2 // 3])]
    assert views[1].note.startswith("cut off after")
    first, second = analyser.analyse(views)
    assert first.embeddings[0] @ second.embeddings[0] > 0.99


def test_a_photo_beyond_the_limit_is_too_large(tmp_path: Path) -> None:
    data = b"P6\n20000 20000\n255\n" + bytes(100)  # 400 megapixels
    (tmp_path / "large.ppm").write_bytes(data)
    for open_it in (lambda: read(str(tmp_path / "large.ppm")), lambda: decode_view(data, 100)):
        with pytest.raises(PhotoError, match="400 megapixels, more than the 200") as raised:
            open_it()
        assert raised.value.status == Status.TOO_LARGE


def test_content_decides_and_not_the_name(tmp_path: Path, astronaut: Pixels, write: Callable[..., Path]) -> None:
    jpeg = write(tmp_path / "photo.jpg", astronaut).rename(tmp_path / "photo.txt")
    assert read(str(jpeg)).shape == astronaut.shape


@pytest.mark.parametrize(
    ("name", "content", "status", "reason"),
    [
        ("empty.jpg", b"", Status.UNREADABLE, "empty"),
        ("text.jpg", b"Dear diary, today I took no photo.", Status.UNSUPPORTED, "not an image"),
    ],
)
def test_what_is_named_like_a_photo_and_is_none(
    tmp_path: Path, name: str, content: bytes, status: Status, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(PhotoError, match=reason) as raised:
        load(PhotoFile(str(path), len(content), 0))
    assert raised.value.status == status


def test_what_never_claimed_to_be_a_photo_is_passed_over(tmp_path: Path) -> None:
    for name in ("notes.txt", "film.mp4", "README"):
        (tmp_path / name).write_bytes(b"some text")
        assert load(PhotoFile(str(tmp_path / name), 9, 0)) is None


def test_a_file_that_vanished_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="No such file"):
        load(PhotoFile(str(tmp_path / "gone.jpg"), 1, 1))


def test_equal_bytes_have_equal_digests(tmp_path: Path, astronaut: Pixels, write: Callable[..., Path]) -> None:
    one = write(tmp_path / "a.jpg", astronaut)
    (tmp_path / "b.jpg").write_bytes(one.read_bytes())
    (tmp_path / "c.jpg").write_bytes(one.read_bytes() + b"\0")
    a, b, c = (load(PhotoFile(str(tmp_path / name), 0, 0)) for name in ("a.jpg", "b.jpg", "c.jpg"))
    assert a is not None
    assert b is not None
    assert c is not None
    assert a.digest == b.digest != c.digest


def _walked(root: Path) -> list[str]:
    return [os.path.relpath(file.path, root) for file in walk(str(root))]


def test_walk_goes_down_in_order_and_leaves_hidden_files_out(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "b/1.jpg", "a.jpg", "c/d/3.jpg", ".hidden/4.jpg", "b/.5.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert _walked(tmp_path) == ["a.jpg", "b/1.jpg", "b/2.jpg", "c/d/3.jpg"]


def test_walk_cuts_loops_and_walks_a_linked_folder_once(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "1.jpg").write_bytes(b"x")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "again").symlink_to(tmp_path / "a" / "b")
    (tmp_path / "nowhere.jpg").symlink_to(tmp_path / "missing.jpg")
    assert len(_walked(tmp_path)) == 1


def test_walk_leaves_pipes_and_sockets_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert _walked(tmp_path) == []


def test_walk_says_which_folder_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "1.jpg").write_bytes(b"x")
    (tmp_path / "shut").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("shut"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("facesearch.photos.walk.os.scandir", refuse)
    refused: list[str] = []
    files = list(walk(str(tmp_path), lambda folder, error: refused.append(folder)))
    assert [Path(file.path).name for file in files] == ["1.jpg"]
    assert refused == [str(tmp_path / "shut")]


def test_walk_of_an_absent_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FaceSearchError, match="nothing was marked missing"):
        list(walk(str(tmp_path / "absent")))


def test_names_of_any_bytes_are_walked_and_shown_harmlessly(
    tmp_path: Path, names_of_any_kind: Callable[[Path], list[str]]
) -> None:
    names = names_of_any_kind(tmp_path)
    assert sorted(_walked(tmp_path)) == sorted(names)
    for name in names:
        shown = printable(name)
        assert shown.isprintable()
        shown.encode()
    assert printable("\x1b[31mred\n") == "\\x1b[31mred\\n"
    assert printable("Zoë 李雷 😀.jpg") == "Zoë 李雷 😀.jpg"


def test_a_progressive_jpeg_whose_last_pass_brings_new_detail_is_whole(image: Image.Image) -> None:
    """As encoders write that send each band once, to its last bit."""
    scan = "FFDA0008010100"
    bands = [bytes.fromhex(f"{scan}{first:02X}{last:02X}00") for first, last in ((0, 0), (1, 8), (9, 63))]
    data = b"\xff\xd8\xff\xc2\0\x0b\x08\0\x08\0\x08\x01\x01\x11\0" + b"".join(band + b"\x15" * 9 for band in bands)
    assert truncation.share_of_rows(data + b"\xff\xd9", ends_flat=False) == 1
    assert truncation.share_of_rows(data, ends_flat=False) < 0.5
