"""Pictures of faces and photos: what is shown of strangers' files, what is kept, and that it goes when it is to."""

import io
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from facesearch import Gallery
from facesearch.arrays import Pixels
from facesearch.errors import PhotoError
from facesearch.gallery import contents, galleries
from facesearch.gallery.forgetting import forget, forget_missing
from facesearch.gallery.picture_sources import PhotoGoneError
from facesearch.gallery.upkeep import check, repair
from facesearch.geometry.face import Box
from facesearch.geometry.squares import square_inside
from facesearch.photos.encoding import face_pictures, is_picture, photo_picture, pictures_in, pictures_of_view
from facesearch.photos.pool import Decoders
from facesearch.photos.view import whole_view
from tests.picture_galleries import MIDDLE, jpeg, noise, store

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


def _shown(picture: bytes) -> Pixels:
    assert is_picture(picture)
    with Image.open(io.BytesIO(picture)) as image:
        assert set(image.info) <= {"loop", "background", "timestamp", "duration"}
        return np.asarray(image.convert("RGB"))


def _is_colour(pixels: Pixels, colour: tuple[int, int, int], within: int = 12) -> bool:
    return bool(np.abs(np.median(pixels.reshape(-1, 3), axis=0) - colour).max() <= within)


def _two_colours(width: int = 320, height: int = 240) -> Pixels:
    """Red on the left, blue on the right."""
    pixels = np.full((height, width, 3), _RED, np.uint8)
    pixels[:, width // 2 :] = _BLUE
    return pixels


def _show(gallery: Gallery, face: int, decoders: Decoders, side: int = 112) -> bytes:
    found = gallery.face_to_show(face, side)
    return found.picture or gallery.make_face_pictures([found.source], side, decoders)[0]


# What is made


@pytest.mark.parametrize("side", [112, 224, 448])
def test_a_face_is_shown_where_it_is_in_its_colours(side: int) -> None:
    left, right = face_pictures(jpeg(_two_colours()), [Box(40, 80, 80, 130), Box(240, 80, 280, 130)], side, 10)
    assert _shown(left).shape == (side, side, 3)
    assert _is_colour(_shown(left), _RED)
    assert _is_colour(_shown(right), _BLUE)


def test_a_face_at_the_edge_is_shown_with_more_of_the_other_side_and_nothing_empty() -> None:
    assert square_inside(Box(0, 0, 40, 50), 0.3, (320, 240)) == Box(0, 0, 80, 80)
    assert square_inside(Box(280, 190, 320, 240), 0.3, (320, 240)) == Box(240, 160, 320, 240)
    assert square_inside(Box(10, 20, 310, 230), 0.3, (320, 240)) == Box(10, -30, 310, 270)  # wider than it is high
    (picture,) = face_pictures(jpeg(_two_colours()), [Box(290, 200, 320, 240)], 112, 10)
    assert _is_colour(_shown(picture)[:4], _BLUE)
    assert _is_colour(_shown(picture)[-4:], _BLUE)


def test_a_turned_photo_is_shown_upright_and_its_face_too() -> None:
    """Stored on its side (orientation 6: to be turned to the right), its left becomes the top."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(_two_colours()).save(file, "JPEG", quality=95, exif=exif)
    assert _shown(photo_picture(file.getvalue(), 2048, 10)).shape == (320, 240, 3)
    above, below = face_pictures(file.getvalue(), [Box(100, 40, 140, 90), Box(100, 230, 140, 280)], 112, 10)
    assert _is_colour(_shown(above), _RED)
    assert _is_colour(_shown(below), _BLUE)


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
    assert _is_colour(_shown(picture), _BLUE, 25)
    assert _is_colour(_shown(photo_picture(make(), 160, 10))[:, :60], _RED, 25)


def test_a_grey_photo_is_shown_in_grey() -> None:
    (picture,) = face_pictures(_png(np.full((240, 320), 90, np.uint8)), [MIDDLE], 112, 10)
    assert _is_colour(_shown(picture), (90, 90, 90))


def test_the_colours_of_a_photos_own_profile_become_those_of_a_screen() -> None:
    file = io.BytesIO()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ"))  # no profile of RGB: as if there were none
    Image.fromarray(_two_colours()).save(file, "JPEG", quality=95, icc_profile=lab.tobytes())
    assert _is_colour(_shown(photo_picture(file.getvalue(), 320, 10))[:, :100], _RED)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    wide = srgb.replace(b"sRGB", b"wide")  # known by its name no longer, and converted to the same
    file = io.BytesIO()
    Image.fromarray(_two_colours()).save(file, "JPEG", quality=95, icc_profile=wide)
    assert _is_colour(_shown(photo_picture(file.getvalue(), 320, 10))[:, :100], _RED)


@pytest.mark.parametrize(
    ("size", "expected"), [((400, 300), (400, 300)), ((4000, 1000), (2048, 512)), ((100, 9000), (23, 2048))]
)
def test_a_photo_is_shown_in_the_size_of_a_screen_at_most(size: tuple[int, int], expected: tuple[int, int]) -> None:
    shown = _shown(photo_picture(jpeg(np.full((size[1], size[0], 3), 90, np.uint8)), 2048, 10))
    assert shown.shape == (expected[1], expected[0], 3)


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
    with Decoders(1, program="tests.lying_decoder") as lying:
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


def test_a_file_that_is_no_photo_is_never_shown(gallery: Gallery, root: Path, decoders: Decoders) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    for data in (b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html><script>alert(1)</script></html>", b""):
        (root / "a.jpg").write_bytes(data)
        with pytest.raises(PhotoGoneError, match=r"a\.jpg cannot be shown"):
            _show(gallery, face, decoders)


def test_only_the_content_that_was_indexed_is_shown(gallery: Gallery, root: Path, decoders: Decoders) -> None:
    """A link may lead to wherever it did when it was indexed; what takes the place of a photo is never shown."""
    outside = root.parent / "outside.jpg"
    outside.write_bytes(jpeg(noise(1)))
    (root / "link.jpg").symlink_to(outside)
    (face,) = store(gallery, root, {"link.jpg": [MIDDLE]})
    assert is_picture(_show(gallery, face, decoders, 224))
    private = root.parent / "private.jpg"
    private.write_bytes(jpeg(noise(2)))
    (root / "link.jpg").unlink()
    (root / "link.jpg").symlink_to(private)
    with pytest.raises(PhotoGoneError, match=r"link\.jpg has changed since it was indexed; index again\."):
        _show(gallery, face, decoders, 224)
    with pytest.raises(PhotoGoneError, match="has changed"):
        gallery.make_photo_picture(gallery.photo_to_show(1), 2048, decoders)
    (root / "link.jpg").unlink()
    os.mkfifo(root / "link.jpg")  # waits for nobody
    with pytest.raises(PhotoGoneError, match="it is not a file any more"):
        _show(gallery, face, decoders, 224)


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
        _show(gallery, face, decoders)


@pytest.mark.parametrize("box", [Box(400, 300, 500, 400), Box(-90, -90, -10, -10), Box(float("inf"), 0, 9, 9)])
def test_a_box_outside_of_its_photo_is_not_shown(gallery: Gallery, root: Path, box: Box) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [box]})
    with pytest.raises(PhotoGoneError, match="lies outside of its photo"):
        gallery.face_to_show(face)


# What is kept


def test_a_picture_is_made_once_and_shown_when_the_photo_is_away(
    gallery: Gallery, root: Path, decoders: Decoders
) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    first, other = store(gallery, root, {"a.jpg": [MIDDLE, Box(200, 40, 300, 140)]})
    made = _show(gallery, first, decoders)
    (root / "a.jpg").unlink()
    assert _show(gallery, first, decoders) == made
    assert is_picture(_show(gallery, other, decoders))  # of the same photo, and not smaller: made in passing
    with pytest.raises(PhotoGoneError):
        _show(gallery, first, decoders, 224)
    assert gallery.thumbnails.path.stat().st_mode & 0o777 == 0o600


def _stored_again(gallery: Gallery, root: Path, face: int, box: Box) -> None:
    """The photo with another face, to which the id is given once more, as after a repair."""
    (new,) = store(gallery, root, {"a.jpg": [box]})
    with gallery.writing() as db, db.transaction():
        if new != face:
            db.connection.execute("DELETE FROM faces WHERE id = ?", (face,))
            db.connection.execute("UPDATE faces SET id = ? WHERE id = ?", (face, new))


def test_a_picture_of_what_was_there_before_is_not_shown(gallery: Gallery, root: Path, decoders: Decoders) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    before = _show(gallery, face, decoders)
    (root / "a.jpg").write_bytes(jpeg(noise(2)))
    _stored_again(gallery, root, face, MIDDLE)
    after = _show(gallery, face, decoders)
    assert after != before
    assert _show(gallery, face, decoders) == after
    _stored_again(gallery, root, face, Box(70, 40, 150, 140))  # the same photo, another place
    assert _show(gallery, face, decoders) != after


def _foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE thumbnails (face_id INTEGER PRIMARY KEY, mine TEXT)")


def _damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:] = os.urandom(len(data) - 100)
    path.write_bytes(data)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"not a database, and longer than its header is" * 50),
        lambda path: path.write_bytes(b""),
        _damaged,
        _foreign,
        lambda path: path.unlink(),
    ],
    ids=["no database", "empty", "damaged", "another one", "gone"],
)
def test_a_file_that_is_not_as_it_was_is_made_anew_and_nobody_hears_of_it(
    gallery: Gallery, root: Path, decoders: Decoders, spoil: Callable[[Path], object]
) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    made = _show(gallery, face, decoders)
    spoil(gallery.thumbnails.path)
    assert _show(gallery, face, decoders) == made
    assert _show(gallery, face, decoders) == made
    (root / "a.jpg").unlink()
    assert _show(gallery, face, decoders) == made
    assert check(gallery).faults == ()


def test_what_a_link_in_its_place_leads_to_is_not_written(gallery: Gallery, root: Path, decoders: Decoders) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    theirs = root.parent / "theirs.db"
    theirs.write_bytes(b"")
    gallery.thumbnails.path.symlink_to(theirs)
    assert _show(gallery, face, decoders) == _show(gallery, face, decoders)
    assert theirs.read_bytes() == b""
    assert not gallery.thumbnails.path.is_symlink()


def test_a_picture_that_the_file_holds_no_more_whole_is_made_again(
    gallery: Gallery, root: Path, decoders: Decoders
) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    made = _show(gallery, face, decoders)
    with closing(sqlite3.connect(gallery.thumbnails.path)) as conn, conn:
        conn.execute("UPDATE thumbnails SET picture = ?", (b"<html><script>alert(1)</script></html>",))
    assert _show(gallery, face, decoders) == made


_WRITER = """
import resource, sys
from facesearch import Gallery
from facesearch.photos.encoding import encode
from tests.picture_galleries import noise
gallery = Gallery.open("default", "cpu")
if sys.argv[1] == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
with gallery.reading() as (db, _):
    faces = list(db.pictures.all_faces())
print("ready", flush=True)
sys.stdin.readline()
for i in range(int(sys.argv[2])):
    face = faces[(i * 7 + int(sys.argv[3])) % len(faces)]
    gallery.thumbnails.write([(face, encode(noise(face.face_id, (112, 112))))], lambda _: {face.face_id: face})
print("done")
"""


def _writer(*words: object) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _many(gallery: Gallery, root: Path, photos: int = 60) -> list[int]:
    for i in range(photos):
        (root / f"{i}.jpg").write_bytes(jpeg(noise(i)))
    return store(gallery, root, {f"{i}.jpg": [MIDDLE] for i in range(photos)})


def _pictures(gallery: Gallery, faces: Sequence[int]) -> dict[int, bytes]:
    with gallery.reading() as (db, _):
        return gallery.thumbnails.read(list(db.pictures.faces(faces).values()))


def test_a_disk_without_room_costs_nothing_but_the_pictures(gallery: Gallery, root: Path) -> None:
    faces = _many(gallery, root)
    writer = _writer("full", 60, 0)
    assert writer.communicate("\n", timeout=60)[0] == "done\n"
    assert writer.returncode == 0
    assert len(_pictures(gallery, faces)) < 60


def test_two_processes_write_at_the_same_time(gallery: Gallery, root: Path) -> None:
    faces = _many(gallery, root)
    writers = [_writer("", 60, first) for first in (0, 3)]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    assert [writer.communicate(timeout=60)[0] for writer in writers] == ["done\n"] * 2
    assert sorted(_pictures(gallery, faces)) == faces


def test_a_process_that_is_killed_while_it_writes_leaves_a_file_that_serves(gallery: Gallery, root: Path) -> None:
    faces = _many(gallery, root)
    writer = _writer("", 100_000, 0)
    assert writer.stdin is not None
    writer.stdin.write("\n")
    writer.stdin.flush()
    while not (gallery.thumbnails.path.exists() and gallery.thumbnails.path.stat().st_size > 60_000):
        assert writer.poll() is None
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    with gallery.reading() as (db, _):
        source = db.pictures.faces(faces[:1])[faces[0]]
        gallery.thumbnails.write([(source, photo_picture(jpeg(noise(0)), 112, 10))], db.pictures.faces)
    assert faces[0] in _pictures(gallery, faces)
    with closing(sqlite3.connect(gallery.thumbnails.path)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_where_nothing_may_be_written_pictures_are_made_each_time(
    gallery: Gallery, root: Path, decoders: Decoders
) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    gallery.thumbnails.path.mkdir()  # as root may write everywhere: nothing can be written here
    assert is_picture(_show(gallery, face, decoders))
    assert gallery.thumbnails.path.is_dir()


def test_pictures_of_a_large_photo_are_made_while_it_is_indexed(
    home: Path, root: Path, astronaut: Pixels, decoders: Decoders
) -> None:
    """And go when the photo has changed; those of a small one are made when somebody looks."""
    large = np.asarray(cv2.resize(astronaut, (1536, 1536)), np.uint8)
    (root / "large.jpg").write_bytes(jpeg(large))
    (root / "small.jpg").write_bytes(jpeg(astronaut))
    gallery = Gallery.open("default", "cpu")
    gallery.index([root])
    with gallery.reading() as (db, _):
        photo = db.photos.id_of(str(root / "large.jpg"))
        (face,) = db.pictures.of_photo(photo or 0).values()
        assert list(gallery.thumbnails.read(list(db.pictures.all_faces()))) == [face.face_id]
    kept = gallery.thumbnails.read([face])[face.face_id]
    (again,) = gallery.make_face_pictures([face], 112, decoders)
    assert np.abs(_shown(kept).astype(int) - _shown(again)).mean() < 8
    (root / "large.jpg").write_bytes(jpeg(large[:, ::-1]))
    gallery.index()
    assert kept[60:100] not in _everything(gallery)
    assert len(_pictures(gallery, range(1, 9))) == 1
    assert Gallery.open("without", "cpu").index([root], thumbnails=False).photos["ok"] == 2
    assert not Gallery.open("without", "cpu").thumbnails.path.exists()


# What goes


def _everything(gallery: Gallery) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(gallery.directory.rglob("*")) if path.is_file())


def _assert_only(gallery: Gallery, kept: dict[int, bytes], gone: dict[int, bytes]) -> None:
    everything = _everything(gallery)
    assert [face for face, picture in gone.items() if picture[60:100] in everything] == []
    assert [face for face, picture in kept.items() if picture not in everything] == []
    assert not list(gallery.directory.glob("*-journal"))


def _remember_all(gallery: Gallery, faces: Sequence[int], decoders: Decoders) -> dict[int, bytes]:
    """The pictures of these faces, made in no order, as a page is scrolled: pages of the file are split."""
    mixed = np.random.default_rng(0).permutation(faces).tolist()
    made = {face: _show(gallery, face, decoders) for face in mixed}
    assert _pictures(gallery, faces) == made
    return made


def test_the_picture_of_who_is_forgotten_leaves_no_byte(gallery: Gallery, root: Path, decoders: Decoders) -> None:
    others = _many(gallery, root, 40)
    for i in range(4):
        (root / f"ann-{i}.jpg").write_bytes(jpeg(noise(100 + i)))
    anns = store(gallery, root, {f"ann-{i}.jpg": [MIDDLE] for i in range(4)}, person="Ann")
    made = _remember_all(gallery, [*others, *anns], decoders)
    with closing(sqlite3.connect(gallery.thumbnails.path)) as held:  # as by a page that has it open
        held.execute("SELECT count(*) FROM thumbnails").fetchone()
        forget(gallery, "Ann")
        assert held.execute("SELECT count(*) FROM thumbnails").fetchone() == (40,)
    _assert_only(gallery, {face: made[face] for face in others}, {face: made[face] for face in anns})
    forget(gallery, str(root / "7.jpg"))
    (root / "8.jpg").unlink()
    with gallery.writing() as db, db.transaction():
        db.connection.execute("UPDATE photos SET status = 'missing' WHERE path LIKE '%/8.jpg'")
    forget_missing(gallery)
    gone = [others[7], others[8], *anns]
    _assert_only(gallery, {face: made[face] for face in others[9:]}, {face: made[face] for face in gone})
    (root / "more").mkdir()
    forget(gallery, str(root))
    _assert_only(gallery, {}, made)


def test_a_picture_that_is_made_while_its_face_is_forgotten_is_not_kept(
    gallery: Gallery, root: Path, decoders: Decoders
) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    found = gallery.face_to_show(face)
    with gallery.reading() as (db, _):
        roots = db.pictures.roots()
    assert roots
    forget(gallery, str(root / "a.jpg"))
    picture = face_pictures((root / "a.jpg").read_bytes(), [MIDDLE], 112, 10)[0]
    gallery.thumbnails.write([(found.source, picture)], gallery.still_stored)
    assert picture[60:100] not in _everything(gallery)


def test_a_file_that_cannot_be_cleared_goes_as_a_whole(gallery: Gallery, root: Path, decoders: Decoders) -> None:
    faces = _many(gallery, root, 5)
    made = _remember_all(gallery, faces, decoders)
    _damaged(gallery.thumbnails.path)
    forget(gallery, str(root / "0.jpg"))
    assert not gallery.thumbnails.path.exists()
    _assert_only(gallery, {}, made)


def test_a_gallery_is_renamed_and_deleted_with_its_pictures(gallery: Gallery, root: Path, decoders: Decoders) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    made = _show(gallery, face, decoders)
    assert gallery.facts().bytes_on_disk > gallery.thumbnails.path.stat().st_size > 0
    assert contents.unknown(gallery.directory) == ()
    galleries.rename("default", "other", lambda _: None)
    (root / "a.jpg").unlink()
    other = Gallery.open("other", "cpu")
    assert _show(other, face, decoders) == made
    other.sheet.write_bytes(b"a sheet of faces")
    galleries.delete("other", lambda _: None)
    assert not other.directory.exists()


def test_a_page_writes_nothing_into_a_gallery_that_was_deleted(
    gallery: Gallery, root: Path, decoders: Decoders
) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    found = gallery.face_to_show(face)
    galleries.delete("default", lambda _: None)
    gallery.directory.mkdir()  # as while it is being deleted
    gallery.thumbnails.write([(found.source, b"picture")], gallery.still_stored)
    assert list(gallery.directory.iterdir()) == []


def test_a_repair_keeps_the_pictures_of_the_faces_that_it_keeps(
    gallery: Gallery, root: Path, decoders: Decoders
) -> None:
    first, second = _many(gallery, root, 2)
    made = _remember_all(gallery, [first, second], decoders)
    with closing(sqlite3.connect(gallery.database)) as conn, conn:
        conn.execute("UPDATE faces SET embedding = x'00' WHERE id = ?", (second,))
    repair(gallery, lambda folder, people_from: gallery.index([folder], people_from=people_from))
    assert _pictures(gallery, [first, second]) == {first: made[first]}
    assert made[second][60:100] not in gallery.thumbnails.path.read_bytes()


def test_a_journal_that_was_left_goes_with_what_is_forgotten(gallery: Gallery, root: Path) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    store(gallery, root, {"a.jpg": [MIDDLE]})
    left = gallery.thumbnails.path.with_name("thumbnails.db-journal")
    left.write_bytes(b"a face")
    assert contents.unknown(gallery.directory) == ()
    forget(gallery, str(root / "a.jpg"))
    assert not left.exists()
