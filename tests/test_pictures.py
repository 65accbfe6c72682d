"""Pictures of faces and photos: how they are made of strangers' files, and of which they are not."""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from facesearch import Gallery
from facesearch.arrays import Pixels
from facesearch.errors import PhotoError
from facesearch.gallery.tables.picture_sources import PhotoGoneError
from facesearch.geometry.face import Box
from facesearch.geometry.squares import square_inside
from facesearch.photos.encoding import face_pictures, is_picture, photo_picture, pictures_in, pictures_of_view
from facesearch.photos.pool import Decoders
from facesearch.photos.view import whole_view
from tests.picture_galleries import MIDDLE, jpeg, noise, show, shown, store

_RED, _BLUE = (200, 30, 40), (20, 40, 190)


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders(1) as made:
        yield made


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gallery:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    return Gallery.open("default", "cpu")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def _is_colour(pixels: Pixels, colour: tuple[int, int, int], within: int = 12) -> bool:
    return bool(np.abs(np.median(pixels.reshape(-1, 3), axis=0) - colour).max() <= within)


def _two_colours(width: int = 320, height: int = 240) -> Pixels:
    """Red on the left, blue on the right."""
    pixels = np.full((height, width, 3), _RED, np.uint8)
    pixels[:, width // 2 :] = _BLUE
    return pixels


# What is made


@pytest.mark.parametrize("side", [112, 224, 448])
def test_a_face_is_shown_where_it_is_in_its_colours(side: int) -> None:
    left, right = face_pictures(jpeg(_two_colours()), [Box(40, 80, 80, 130), Box(240, 80, 280, 130)], side, 10)
    assert shown(left).shape == (side, side, 3)
    assert _is_colour(shown(left), _RED)
    assert _is_colour(shown(right), _BLUE)


def test_a_face_at_the_edge_is_shown_with_more_of_the_other_side_and_nothing_empty() -> None:
    assert square_inside(Box(0, 0, 40, 50), 0.3, (320, 240)) == Box(0, 0, 80, 80)
    assert square_inside(Box(280, 190, 320, 240), 0.3, (320, 240)) == Box(240, 160, 320, 240)
    assert square_inside(Box(10, 20, 310, 230), 0.3, (320, 240)) == Box(10, -30, 310, 270)  # wider than it is high
    (picture,) = face_pictures(jpeg(_two_colours()), [Box(290, 200, 320, 240)], 112, 10)
    assert _is_colour(shown(picture)[:4], _BLUE)
    assert _is_colour(shown(picture)[-4:], _BLUE)


def test_a_turned_photo_is_shown_upright_and_its_face_too() -> None:
    """Stored on its side (orientation 6: to be turned to the right), its left becomes the top."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(_two_colours()).save(file, "JPEG", quality=95, exif=exif)
    assert shown(photo_picture(file.getvalue(), 2048, 10)).shape == (320, 240, 3)
    above, below = face_pictures(file.getvalue(), [Box(100, 40, 140, 90), Box(100, 230, 140, 280)], 112, 10)
    assert _is_colour(shown(above), _RED)
    assert _is_colour(shown(below), _BLUE)


def _png(pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1])


def _cmyk() -> bytes:
    file = io.BytesIO()
    Image.fromarray(_two_colours()).convert("CMYK").save(file, "JPEG", quality=95)
    return file.getvalue()


def _16_bit() -> bytes:
    return _png(_two_colours()[..., ::-1].astype(np.uint16) * 257)


def _with_alpha() -> bytes:
    return _png(np.dstack([_two_colours()[..., ::-1], np.full((240, 320), 255, np.uint8)]))


@pytest.mark.parametrize("make", [_cmyk, _16_bit, _with_alpha])
def test_colours_of_every_kind_are_shown_as_they_are(make: Callable[[], bytes]) -> None:
    (picture,) = face_pictures(make(), [Box(240, 80, 280, 130)], 112, 10)
    assert _is_colour(shown(picture), _BLUE, 25)
    assert _is_colour(shown(photo_picture(make(), 160, 10))[:, :60], _RED, 25)


def test_a_grey_photo_is_shown_in_grey() -> None:
    (picture,) = face_pictures(_png(np.full((240, 320), 90, np.uint8)), [MIDDLE], 112, 10)
    assert _is_colour(shown(picture), (90, 90, 90))


def test_the_colours_of_a_photos_own_profile_become_those_of_a_screen() -> None:
    file = io.BytesIO()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ"))  # no profile of RGB: as if there were none
    Image.fromarray(_two_colours()).save(file, "JPEG", quality=95, icc_profile=lab.tobytes())
    assert _is_colour(shown(photo_picture(file.getvalue(), 320, 10))[:, :100], _RED)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    wide = _renamed(srgb)  # known by its name no longer, and converted to the same
    file = io.BytesIO()
    Image.fromarray(_two_colours()).save(file, "JPEG", quality=95, icc_profile=wide)
    assert _is_colour(shown(photo_picture(file.getvalue(), 320, 10))[:, :100], _RED)


def _renamed(profile: bytes) -> bytes:
    """The profile, not called sRGB."""
    there, other = "sRGB", "wide"
    return profile.replace(there.encode(), other.encode()).replace(
        there.encode("utf-16-be"), other.encode("utf-16-be")
    )


def test_a_photo_with_a_profile_has_no_pictures_while_it_is_indexed() -> None:
    """They would lie in the cache with the colours of a camera."""
    pixels = np.full((1100, 1100, 3), 90, np.uint8)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    box = Box(300, 300, 700, 700)
    for profile, pictures in ((srgb, 1), (_renamed(srgb), 0)):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", icc_profile=profile)
        with Decoders(1) as decoders:
            assert len(pictures_of_view(decoders.decode(file.getvalue(), 0), [box])) == pictures


@pytest.mark.parametrize(
    ("size", "expected"), [((400, 300), (400, 300)), ((4000, 1000), (2048, 512)), ((100, 9000), (23, 2048))]
)
def test_a_photo_is_shown_in_the_size_of_a_screen_at_most(size: tuple[int, int], expected: tuple[int, int]) -> None:
    picture = photo_picture(jpeg(np.full((size[1], size[0], 3), 90, np.uint8)), 2048, 10)
    assert shown(picture).shape == (expected[1], expected[0], 3)


def test_nothing_of_a_file_is_passed_on_but_its_pixels() -> None:
    """What a photo's file holds beside its pixels: place, notes, names, a profile, and a page of HTML behind it."""
    exif = Image.Exif()
    exif[0x010E] = "SECRET-DESCRIPTION"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[29] = "SECRET-PLACE"
    file = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(_two_colours()).save(
        file, "JPEG", exif=exif, xmp=b"<x:xmpmeta>SECRET-XMP</x:xmpmeta>", icc_profile=profile, comment=b"SECRET-NOTE"
    )
    data = file.getvalue() + b"<html><script>SECRET-SCRIPT</script></html>"
    assert data.count(b"SECRET") == 5
    for picture in (photo_picture(data, 2048, 10), *face_pictures(data, [MIDDLE], 448, 10)):
        assert not [word for word in (b"SECRET", b"EXIF", b"XMP", b"ICCP", b"html") if word in picture]
        assert is_picture(picture)


@pytest.mark.parametrize(
    "reply",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"RIFF\x40\0\0\0WEBPVP8X" + bytes(60),  # one that may hold more than a picture
        b"RIFF\xff\xff\xff\x7fWEBPVP8 \xf3\xff\xff\x7f",  # larger than the reply
        b"RIFF\x14\0\0\0WEBPVP8 \x04\0\0\0abcdEXIF\0\0\0\0",  # with another part behind its own
    ],
)
def test_what_a_decoder_was_made_to_reply_is_sent_only_if_it_is_a_picture(reply: bytes) -> None:
    with pytest.raises(ValueError, match="picture"):
        pictures_in(reply)


def test_a_decoder_that_a_photo_has_taken_over_gets_nothing_to_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    with Decoders(1, program="tests.photos.lying_decoder") as lying:
        with pytest.raises(PhotoError, match="an answer that makes no sense"):
            lying.face_pictures(jpeg(noise(1)), [MIDDLE], 112)
        with pytest.raises(PhotoError, match="an answer that makes no sense"):
            lying.photo_picture(jpeg(noise(1)), 2048)


def test_pictures_of_a_large_photo_come_from_the_decoded_one_where_they_are_sharp() -> None:
    view = whole_view(noise(1, (1000, 1200)))
    assert [is_picture(each) for each in pictures_of_view(view, [MIDDLE, Box(900, 700, 1100, 950)])] == [True, True]
    assert pictures_of_view(whole_view(noise(1)), [MIDDLE]) == ()  # small: made again as fast
    half = type(view)(view.pixels, (2400, 2000), (2.0, 2.0), b"file")
    assert [len(each) > 0 for each in pictures_of_view(half, [MIDDLE, Box(900, 700, 1100, 950)])] == [False, True]


# What may be shown


def test_a_file_that_is_no_photo_is_nevershown(gallery: Gallery, root: Path, decoders: Decoders) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    for data in (b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html><script>alert(1)</script></html>", b""):
        (root / "a.jpg").write_bytes(data)
        with pytest.raises(PhotoGoneError, match=r"a\.jpg cannot be shown"):
            show(gallery, face, decoders)


def test_only_the_content_that_was_indexed_isshown(gallery: Gallery, root: Path, decoders: Decoders) -> None:
    """A link may lead to wherever it did when it was indexed; what takes the place of a photo is never shown."""
    outside = root.parent / "outside.jpg"
    outside.write_bytes(jpeg(noise(1)))
    (root / "link.jpg").symlink_to(outside)
    (face,) = store(gallery, root, {"link.jpg": [MIDDLE]})
    assert is_picture(show(gallery, face, decoders, 224))
    private = root.parent / "private.jpg"
    private.write_bytes(jpeg(noise(2)))
    (root / "link.jpg").unlink()
    (root / "link.jpg").symlink_to(private)
    with pytest.raises(PhotoGoneError, match=r"link\.jpg has changed since it was indexed; index again\."):
        show(gallery, face, decoders, 224)
    with pytest.raises(PhotoGoneError, match="has changed"):
        gallery.make_photo_picture(gallery.photo_to_show(1), 2048, decoders)
    (root / "link.jpg").unlink()
    os.mkfifo(root / "link.jpg")  # waits for nobody
    with pytest.raises(PhotoGoneError, match="it is not a file"):
        show(gallery, face, decoders, 224)


@pytest.mark.parametrize("moved", ["{root}/../outside.jpg", "{root}x/a.jpg", "{root}/../photos/a.jpg", "a.jpg"])
def test_a_path_that_leads_out_of_the_folders_is_never_followed(
    gallery: Gallery, root: Path, decoders: Decoders, moved: str
) -> None:
    """As it could stand in the database of a stranger's backup."""
    for path in (root / "a.jpg", root.parent / "outside.jpg"):
        path.write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    with gallery.writing() as db, db.transaction():
        db.connection.execute("UPDATE photos SET path = ?", (moved.format(root=root),))
    with pytest.raises(PhotoGoneError, match="is in none of the gallery's folders"):
        show(gallery, face, decoders)


@pytest.mark.parametrize("box", [Box(400, 300, 500, 400), Box(-90, -90, -10, -10), Box(float("inf"), 0, 9, 9)])
def test_a_box_outside_of_its_photo_is_notshown(gallery: Gallery, root: Path, box: Box) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [box]})
    with pytest.raises(PhotoGoneError, match="lies outside of its photo"):
        gallery.face_to_show(face)
