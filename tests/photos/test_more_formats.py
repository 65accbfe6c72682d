"""HEIC and JPEG XL: what phones and cameras write, upright, and bad ones."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facesearch.arrays import Pixels
from facesearch.errors import PhotoError
from facesearch.photos.formats import format_of
from facesearch.photos.header import header_size
from facesearch.photos.orientation import upright
from facesearch.photos.pool import Decoders
from facesearch.photos.status import Cause, Status
from facesearch.photos.view import decode_view


@pytest.fixture(scope="module")
def small(astronaut: Pixels) -> Pixels:
    """Of uneven sides, which no ratio of a header describes."""
    return np.ascontiguousarray(astronaut[:333, :371])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_is_upright_however_it_is_stored(small: Pixels, orientation: int) -> None:
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    exif = Image.Exif()
    exif[274] = orientation
    out = io.BytesIO()
    heif.from_pillow(Image.fromarray(small)).save(out, quality=90, exif=exif.tobytes())
    view = decode_view(out.getvalue())
    wanted = upright(small, orientation)
    assert view.pixels.shape == wanted.shape
    assert abs(view.pixels.astype(float) - wanted).mean() < 5


@pytest.mark.parametrize(
    ("name", "size"),
    [("IMG_2682.heic", (4032, 3024)), ("samsung-one-ui-6.heic", (3000, 4000)), ("8bit-sRGB.jxl", (1440, 1080))],
)
def test_photos_of_real_phones_are_upright(data: Path, name: str, size: tuple[int, int]) -> None:
    photo = (data / "photos" / name).read_bytes()
    assert sorted(header_size(photo)) == sorted(size)
    with Decoders(1) as decoders:
        view = decoders.decode(photo, 640)
    assert view.size == size
    assert view.pixels.std() > 20


def _jxl(pixels: Any, **options: Any) -> bytes:
    codecs = pytest.importorskip("imagecodecs", reason="imagecodecs is not installed")
    return bytes(codecs.jpegxl_encode(pixels, **options))


@pytest.mark.parametrize("container", [False, True])
@pytest.mark.parametrize("size", [(333, 471), (256, 256), (240, 320), (8, 16), (40, 3000)])
def test_the_header_of_a_jpeg_xl_says_its_size(container: bool, size: tuple[int, int]) -> None:
    data = _jxl(np.zeros((*size, 3), np.uint8), usecontainer=container)
    assert format_of(data) == "JPEG XL"
    assert header_size(data) == (size[1], size[0])


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "L", "LA", "16 bits", "floats"])
def test_a_jpeg_xl_is_read_whatever_its_depth_and_colours(small: Pixels, kind: str) -> None:
    given: Any = {
        "16 bits": small.astype(np.uint16) * 257,
        "floats": small.astype(np.float32) / 255,
    }.get(kind)
    if given is None:
        given = np.asarray(Image.fromarray(small).convert(kind))
    view = decode_view(_jxl(given, lossless=True))
    wanted = np.asarray(Image.fromarray(small).convert("L").convert("RGB")) if kind[0] == "L" else small
    assert abs(view.pixels.astype(float) - wanted).max() <= 1


@pytest.mark.parametrize("share", [0.002, 0.1, 0.6])
def test_a_jpeg_xl_that_is_cut_off_is_unreadable(small: Pixels, share: float) -> None:
    data = _jxl(small)
    with pytest.raises(PhotoError, match="its JPEG XL data are damaged"):
        decode_view(data[: max(2, int(len(data) * share))])


def test_a_jpeg_xl_of_too_many_pixels_is_not_decoded(small: Pixels) -> None:
    with pytest.raises(PhotoError, match="more than the 1"):
        decode_view(_jxl(np.zeros((1000, 1100, 3), np.uint8)), max_megapixels=1)


def test_a_jpeg_xl_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(PhotoError, match="pip install imagecodecs") as raised:
        decode_view(b"\xff\x0a" + bytes(40))
    assert (raised.value.status, raised.value.cause, raised.value.needs) == (
        Status.SKIPPED, Cause.PACKAGE, "imagecodecs",
    )  # fmt: skip
