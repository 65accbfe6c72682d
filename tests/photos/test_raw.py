"""Raw photos: seen by the largest JPEG in them, developed where there is no large one."""

import io
import os
import random
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facesearch.arrays import Pixels
from facesearch.errors import PhotoError
from facesearch.photos import file as photo_file
from facesearch.photos.file import PhotoFile, load
from facesearch.photos.orientation import upright
from facesearch.photos.pool import Decoders
from facesearch.photos.shot import taken
from facesearch.photos.status import Cause, Status
from facesearch.photos.view import decode_view, read_view
from tests.photos import raw_files

Make = Callable[[Image.Image, int], bytes]


def _picture(width: int, height: int) -> Image.Image:
    """Four areas of which none is as the other, so that each way to turn it is another picture."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 3] = (200, 30, 30)
    pixels[: height // 2, width // 3 :] = (30, 190, 40)
    pixels[height // 2 :, : width // 3] = (40, 50, 210)
    pixels[height // 2 :, width // 3 :] = (180, 180, 60)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def large() -> Image.Image:
    return _picture(1200, 800)


def _apart(a: Pixels, b: Pixels) -> float:
    """The mean difference of two pictures, of 255."""
    assert a.shape == b.shape
    return float(abs(a.astype(float) - b).mean())


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return exif.tobytes()


def _dng(large: Image.Image, orientation: int) -> bytes:
    middle = large.resize((600, 400))
    previews = [raw_files.preview(middle), raw_files.preview(large), raw_files.preview(middle)]
    return raw_files.dng(large, previews, orientation)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize(
    "make",
    [
        _dng,
        raw_files.cr2,
        raw_files.nef,
        raw_files.arw,
        raw_files.orf,
        raw_files.rw2,
        raw_files.cr3,
        lambda large, orientation: raw_files.raf(large, _exif(orientation)),
    ],
    ids=["DNG", "CR2", "NEF", "ARW", "ORF", "RW2", "CR3", "RAF"],
)
def test_a_raw_photo_is_seen_upright_by_its_largest_jpeg(
    tmp_path: Path, large: Image.Image, make: Make, orientation: int
) -> None:
    path = tmp_path / "photo.raw"
    path.write_bytes(make(large, orientation))
    wanted = upright(np.asarray(large), orientation)
    assert _apart(read_view(str(path)).pixels, wanted) < 4
    assert _apart(decode_view(path.read_bytes()).pixels, wanted) < 4
    loaded = load(PhotoFile(str(path), 0, 0))
    assert loaded is not None
    assert loaded.size == large.size
    assert len(loaded.data) < path.stat().st_size


def test_the_jpegs_own_orientation_counts_before_that_of_the_file_around_it(large: Image.Image) -> None:
    turned = raw_files.Folder({259: (3, [7])}, raw_files.jpeg(large, exif=_exif(1)))
    view = decode_view(raw_files.dng(large.resize((240, 160)), [turned], orientation=6))
    assert view.size == large.size


def test_what_a_sensor_saw_is_no_preview_though_it_is_stored_as_a_jpeg(large: Image.Image) -> None:
    lossy = raw_files.Folder({259: (3, [34892]), 262: (3, [34892])}, raw_files.jpeg(_picture(3000, 2000)))
    data = raw_files.tiff(raw_files.Folder(beneath=[lossy, raw_files.preview(large)]))
    assert decode_view(data).size == large.size


def test_the_same_raw_photo_is_known_by_its_content_not_by_its_preview(tmp_path: Path, large: Image.Image) -> None:
    digests = set()
    for name, tail in (("a.nef", b"a"), ("b.nef", b"a"), ("c.nef", b"c")):
        (tmp_path / name).write_bytes(raw_files.nef(large, 1) + tail)
        loaded = load(PhotoFile(str(tmp_path / name), 0, 0))
        assert loaded is not None
        digests.add(loaded.digest)
    assert len(digests) == 2


# Without a large preview


@pytest.mark.parametrize("orientation", [1, 6])
def test_without_a_large_preview_it_is_developed_and_never_seen_as_its_thumbnail(
    tmp_path: Path, orientation: int
) -> None:
    pytest.importorskip("rawpy")
    picture = _picture(1800, 1200)
    path = tmp_path / "photo.dng"
    path.write_bytes(raw_files.dng(picture, [raw_files.preview(picture.resize((900, 600)))], orientation))
    with Decoders(1) as decoders:
        view = decoders.decode(path.read_bytes(), 500)
    width, height = (900, 600) if orientation == 1 else (600, 900)
    assert view.size == (width, height)
    assert max(view.pixels.shape) == 500
    whole = decode_view(path.read_bytes()).pixels
    wanted = upright(np.asarray(picture.resize((900, 600))), orientation)
    corners = [(height // 8, width // 8), (height // 8, 7 * width // 8), (7 * height // 8, width // 8)]
    for y, x in corners:  # the same colour is the brightest; LibRaw sets the light by itself
        assert whole[y, x].argmax() == wanted[y, x].argmax()


def test_a_sensor_that_sees_no_colours_is_developed_too(large: Image.Image) -> None:
    pytest.importorskip("rawpy")
    pixels = decode_view(raw_files.monochrome_dng(large)).pixels
    assert pixels.shape == (800, 1200, 3)
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = _picture(300, 200)
    path = tmp_path / "photo.dng"
    path.write_bytes(raw_files.dng(picture))
    monkeypatch.setitem(sys.modules, "rawpy", None)
    monkeypatch.setattr(photo_file, "is_installed", lambda module: False)
    for read in (lambda: load(PhotoFile(str(path), 0, 0)), lambda: decode_view(path.read_bytes())):
        with pytest.raises(PhotoError, match="pip install rawpy") as raised:
            read()
        assert (raised.value.status, raised.value.cause, raised.value.needs) == (Status.RAW, Cause.PACKAGE, "rawpy")


# Bad ones


def test_a_raw_photo_of_no_bytes_is_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "photo.cr3").touch()
    with pytest.raises(PhotoError, match="empty"):
        load(PhotoFile(str(tmp_path / "photo.cr3"), 0, 0))


@pytest.mark.parametrize("share", [0.01, 0.2, 0.4, 0.95])
@pytest.mark.parametrize("make", [_dng, raw_files.cr2, raw_files.cr3, raw_files.nef])
def test_a_raw_photo_that_is_cut_off_is_refused_or_seen_in_part(
    tmp_path: Path, large: Image.Image, make: Make, share: float
) -> None:
    pytest.importorskip("rawpy")
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (800, 1200, 3), np.uint8))
    data = make(noise, 1)
    path = tmp_path / "photo.nef"
    path.write_bytes(data[: int(len(data) * share)])
    with Decoders(1) as decoders:
        if share < 0.5:
            with pytest.raises(PhotoError) as raised:
                read_view(str(path), decode=decoders.decode)
            assert raised.value.status in (Status.UNREADABLE, Status.UNSUPPORTED)
        else:
            assert max(read_view(str(path), decode=decoders.decode).size) >= 600


def test_a_raw_photo_of_too_many_pixels_is_too_large(tmp_path: Path, large: Image.Image) -> None:
    pytest.importorskip("rawpy")
    (tmp_path / "a.nef").write_bytes(raw_files.nef(large, 1))
    with pytest.raises(PhotoError, match=r"1 megapixels, more than the 0\.5"):
        load(PhotoFile(str(tmp_path / "a.nef"), 0, 0), max_megapixels=0.5)
    developed = raw_files.dng(large)
    with Decoders(1, max_megapixels=0.5) as decoders, pytest.raises(PhotoError, match=r"more than the 0\.5"):
        decoders.decode(developed, 0)


def test_a_file_of_jpegs_beginnings_and_a_raw_photo_of_a_terabyte_cost_little(tmp_path: Path) -> None:
    crafted = tmp_path / "crafted.cr2"
    crafted.write_bytes(b"II*\0\x10\0\0\0CR\2\0" + b"\xff\xd8\xff" * 3_000_000)
    with pytest.raises(PhotoError):
        read_view(str(crafted))
    huge = tmp_path / "huge.cr2"
    huge.write_bytes(b"II*\0\x10\0\0\0CR\2\0")
    os.truncate(huge, 1 << 40)
    with pytest.raises(PhotoError, match="more than the 1,000"):
        load(PhotoFile(str(huge), 0, 0))


def test_a_scan_that_has_several_pages_is_no_raw_photo() -> None:
    out = io.BytesIO()
    page = Image.new("RGB", (40, 30), (200, 10, 10))
    page.save(out, "TIFF", save_all=True, append_images=[page.resize((20, 15))])
    assert decode_view(out.getvalue()).size == (40, 30)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("make", [_dng, raw_files.cr2, raw_files.cr3, raw_files.nef, raw_files.orf, raw_files.rw2])
def test_what_is_damaged_in_a_raw_photo_is_a_photos_error_and_no_other(
    tmp_path: Path, large: Image.Image, make: Make
) -> None:
    chosen = random.Random(0)
    whole = make(large, 6)
    path = tmp_path / "photo.nef"
    read = 0
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chosen.choice((1, 4, 32))):
            data[chosen.randrange(12, 3000)] = chosen.choice((0, 255, chosen.randrange(256)))
        path.write_bytes(data)
        taken(str(path))
        with suppress(PhotoError):
            read += load(PhotoFile(str(path), 0, 0)) is not None
    assert read
