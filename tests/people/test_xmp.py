"""Names that other programs wrote: read right in every orientation, and written so that they read them, too."""

import hashlib
import json
import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facesearch.errors import PhotoError
from facesearch.people import picasa, sidecar, xmp
from facesearch.people.packet import UnusableError, parse
from facesearch.people.parsing_process import Parsers
from facesearch.people.regions import Box, Frame, Region, match, place, turned, turned_back
from facesearch.people.sidecar import Shown, merged
from facesearch.photos.packets import noted_in
from facesearch.photos.view import read
from tests.conftest import DATA
from tests.photos.raw_files import cr3, dng, preview

SIZE = (160, 96)  # as it is stored
WHERE: Box = (0.1, 0.25, 0.3, 0.75)  # of a white box in the stored picture
WHOLE = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{}</rdf:RDF></x:xmpmeta>'


needs_exiftool = pytest.mark.skipif(
    not shutil.which("exiftool"), reason="exiftool, the referee, is not installed (libimage-exiftool-perl)"
)


def exiftool(*words: str | Path) -> str:
    """What exiftool prints; it must succeed."""
    command = ["exiftool", "-q", "-m", *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def photo_with_box(path: Path, orientation: int = 1) -> Path:
    """A black photo with a white box, which says that it is stored in that orientation."""
    pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    left, top, right, bottom = (round(share * side) for share, side in zip(WHERE, SIZE * 2, strict=True))
    pixels[top:bottom, left:right] = 255
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    return path


def white_box(path: Path) -> tuple[Box, tuple[int, int]]:
    """Where the box is in the photo as it is seen, in pixels, and that photo's width and height."""
    pixels = read(str(path))
    rows, columns = np.nonzero(pixels[..., 0] > 128)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    return tuple(map(float, box)), (pixels.shape[1], pixels.shape[0])  # type: ignore[return-value]


def regions_by(schema: str) -> str:
    """The option that lets exiftool write Ann's region by that schema."""
    left, top, right, bottom = WHERE
    if schema == "MP":
        rectangle = f"{left}|, {top}|, {right - left}|, {bottom - top}"
        return f"-RegionInfoMP={{Regions=[{{PersonDisplayName=Ann,Rectangle={rectangle}}}]}}"
    area = f"{{X={(left + right) / 2},Y={(top + bottom) / 2},W={right - left},H={bottom - top},Unit=normalized}}"
    size = f"AppliedToDimensions={{W={SIZE[0]},H={SIZE[1]},Unit=pixel}}"
    return f"-RegionInfo={{{size},RegionList=[{{Area={area},Name=Ann,Type=Face}}]}}"


@needs_exiftool
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("schema", ["mwg-rs", "MP"])
@pytest.mark.parametrize("beside", [False, True])
def test_region_that_exiftool_wrote_lies_on_the_face(
    tmp_path: Path, orientation: int, schema: str, beside: bool
) -> None:
    photo = photo_with_box(tmp_path / "a.jpg", orientation)
    target = tmp_path / "a.jpg.xmp" if beside else photo
    exiftool("-overwrite_original", regions_by(schema), target) if not beside else exiftool(
        regions_by(schema), "-o", target, photo
    )
    noted = noted_in(str(photo))
    described = xmp.read(target.read_bytes() if beside else noted.packets[0])
    where, size = white_box(photo)
    (placed,) = place(described.regions, Frame(size, noted.orientation), [where])
    assert placed.region.name == "Ann"
    assert placed.box == pytest.approx(where, abs=2)
    assert placed.face == 0


@needs_exiftool
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exiftool_finds_in_our_sidecar_what_it_would_have_written(tmp_path: Path, orientation: int) -> None:
    photo = photo_with_box(tmp_path / "a.jpg", orientation)
    where, size = white_box(photo)
    box = (where[0] / size[0], where[1] / size[1], where[2] / size[0], where[3] / size[1])
    ours = tmp_path / "ours.xmp"
    ours.write_bytes(merged(None, Shown((Region('Ann & "Bob" <x>|/ 安 🙂', box),), size, orientation, True)))
    (found,) = json.loads(exiftool("-j", "-struct", "-XMP:all", ours))
    (region,) = found["RegionInfo"]["RegionList"]
    assert (region["Name"], region["Type"]) == ('Ann & "Bob" <x>|/ 安 🙂', "Face")
    assert found["RegionInfo"]["AppliedToDimensions"] == {"W": SIZE[0], "H": SIZE[1], "Unit": "pixel"}
    middle = (WHERE[0] + WHERE[2]) / 2, (WHERE[1] + WHERE[3]) / 2
    assert [region["Area"][side] for side in "XY"] == pytest.approx(middle, abs=0.02)
    assert [region["Area"][side] for side in "WH"] == pytest.approx((0.2, 0.5), abs=0.02)
    (other,) = found["RegionInfoMP"]["Regions"]
    assert [float(part) for part in other["Rectangle"].split(",")] == pytest.approx((0.1, 0.25, 0.2, 0.5), abs=0.02)
    assert found["PersonInImage"] == [region["Name"]]
    assert found["Subject"] == [region["Name"]]


@needs_exiftool
def test_everything_else_in_a_sidecar_is_kept_and_a_second_merge_changes_nothing(tmp_path: Path) -> None:
    there = tmp_path / "a.xmp"
    other = "{Area={X=0.8,Y=0.5,W=0.1,H=0.1,Unit=normalized},Name=Bob,Type=Face}"
    pet = "{Area={X=0.2,Y=0.5,W=0.2,H=0.5,Unit=normalized},Name=Rex,Type=Pet}"
    size = f"AppliedToDimensions={{W={SIZE[0]},H={SIZE[1]},Unit=pixel}}"
    exiftool(f"-RegionInfo={{{size},RegionList=[{other},{pet}]}}", "-Title=A day", "-Rating=4", "-Subject=sea", there)
    exiftool("-overwrite_original", "-PersonInImage=Bob", "-TagsList=Places/Sea", there)
    before = there.read_bytes()
    shown = Shown((Region("Ann", WHERE),), SIZE, keywords=True)
    after = merged(before, shown)
    assert merged(after, shown) == after
    there.write_bytes(after)
    (found,) = json.loads(exiftool("-j", "-struct", "-XMP:all", there))
    assert (found["Title"], found["Rating"]) == ("A day", 4)
    names = [(region["Name"], region["Type"]) for region in found["RegionInfo"]["RegionList"]]
    assert names == [("Bob", "Face"), ("Rex", "Pet"), ("Ann", "Face")]
    assert found["PersonInImage"] == ["Bob", "Ann"]
    assert found["Subject"] == ["sea", "Ann"]
    assert found["TagsList"] == ["Places/Sea", "People/Ann"]
    renamed = xmp.read(merged(after, Shown((Region("Anna", WHERE),), SIZE, keywords=False)))
    assert sorted(region.name for region in renamed.regions) == ["Anna", "Bob"]
    assert "Ann" not in renamed.names


def test_a_region_is_added_in_the_picture_that_a_sidecars_regions_are_of() -> None:
    def sidecar_of(width: int, height: int) -> bytes:
        return WHOLE.format(
            f'<rdf:Description xmlns:r="{xmp.MWG}" xmlns:d="{xmp.DIMENSIONS}" xmlns:a="{xmp.AREA}"><r:Regions>'
            f'<rdf:Description><r:AppliedToDimensions d:w="{width}" d:h="{height}"/><r:RegionList><rdf:Seq><rdf:li>'
            '<rdf:Description r:Name="Bob" r:Type="Face"><r:Area a:x=".9" a:y=".9" a:w=".1" a:h=".1"/>'
            "</rdf:Description></rdf:li></rdf:Seq></r:RegionList></rdf:Description></r:Regions></rdf:Description>"
        ).encode()

    upright = turned(WHERE, 6)
    shown = Shown((Region("Ann", upright),), SIZE[::-1], 6)
    for size in (SIZE, SIZE[::-1]):
        regions = xmp.read(merged(sidecar_of(*size), shown)).regions
        assert sorted(region.name for region in regions) == ["Ann", "Bob"]
        found = {region.name: region for region in regions}
        (placed,) = place([found["Ann"]], Frame(SIZE[::-1], 6), [])
        assert placed.box == pytest.approx([share * side for share, side in zip(upright, (96, 160) * 2, strict=True)])
    with pytest.raises(UnusableError, match="another shape, 100 x 100"):
        merged(sidecar_of(100, 100), shown)


def test_a_real_file_of_digikam_names_both_curies() -> None:
    photo = DATA / "photos" / "portrait.jpg"
    if not photo.exists():
        pytest.skip("the photo of both Curies, a file of digiKam's, is not here")
    noted = noted_in(str(photo))
    described = xmp.read(noted.packets[0])
    assert [region.name for region in described.regions] == ["Marie Curie", "Pierre Curie"]
    assert described.names == ()
    again = merged(noted.packets[0], Shown(described.regions, (840, 700)))
    assert b"<rdf:li>Marie Curie</rdf:li>" in again
    assert xmp.properties(parse(again)).keys() >= xmp.properties(parse(noted.packets[0])).keys()


def test_names_without_a_place_come_from_every_kind_of_keyword() -> None:
    description = (
        '<rdf:Description xmlns:digiKam="http://www.digikam.org/ns/1.0/" '
        'xmlns:lr="http://ns.adobe.com/lightroom/1.0/" xmlns:m="http://ns.iview-multimedia.com/mediapro/1.0/" '
        'xmlns:acdsee="http://ns.acdsee.com/iptc/1.0/" xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        'acdsee:categories="&lt;Categories&gt;&lt;Category&gt;People&lt;Category&gt;Eve&lt;/Category&gt;'
        "&lt;/Category&gt;&lt;Category&gt;Places&lt;Category&gt;Sea&lt;/Category&gt;&lt;/Category&gt;"
        '&lt;/Categories&gt;"><digiKam:TagsList><rdf:Seq><rdf:li>People/Family</rdf:li>'
        "<rdf:li>People/Family/Ann</rdf:li><rdf:li>Places/Sea</rdf:li></rdf:Seq></digiKam:TagsList>"
        "<lr:hierarchicalSubject><rdf:Bag><rdf:li>People|Bob</rdf:li><rdf:li>People|A|B</rdf:li></rdf:Bag>"
        "</lr:hierarchicalSubject><m:People><rdf:Bag><rdf:li>Cy</rdf:li></rdf:Bag></m:People>"
        "<e:PersonInImage><rdf:Bag><rdf:li>A|B</rdf:li><rdf:li/></rdf:Bag></e:PersonInImage></rdf:Description>"
    )
    assert set(xmp.read(WHOLE.format(description).encode()).names) == {"Ann", "Bob", "A|B", "Cy", "Eve"}


def test_picasas_faces_have_the_names_of_its_contacts() -> None:
    ini = (
        b"[Contacts2]\r\nab12=Ann;;\r\n[a.JPG]\r\nfaces=rect64(3fff7fff7fffbfff),ab12;rect64(1),ffffffffffffffff;"
        b"rect64(7fff7fffffffffff),cd\r\n"
    )
    regions, nameless = picasa.read(ini)
    ((photo, (region,)),) = regions.items()
    assert (photo, region.name, nameless) == ("a.jpg", "Ann", 1)
    assert region.box == pytest.approx((0.25, 0.5, 0.5, 0.75), abs=1e-4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_a_box_back_undoes_turning_it(orientation: int) -> None:
    assert turned_back(turned(WHERE, orientation), orientation) == pytest.approx(WHERE)


def test_regions_of_the_upright_picture_are_told_by_its_dimensions_or_by_the_faces_there() -> None:
    face: Box = (10.0, 20.0, 30.0, 60.0)  # of 96 x 160, which is stored turned
    box: Box = (10 / 96, 20 / 160, 30 / 96, 60 / 160)
    frame = Frame((96, 160), 6)
    for region in (
        Region("Ann", box, (96, 160)),
        Region("Ann", box),
        Region("Ann", turned_back(box, 6), (1600, 960)),
    ):
        (placed,) = place([region], frame, [face])
        assert placed.face == 0
    (cut,) = place([Region("Ann", box, (100, 100))], frame, [face])
    assert (cut.box, cut.face) == (None, None)


def test_a_face_is_meant_once_and_a_region_around_two_means_none() -> None:
    faces: list[Box] = [(0, 0, 10, 10), (20, 0, 30, 10)]
    assert match([(0, 0, 10, 10), (1, 1, 11, 11)], faces) == {0: 0}
    assert match([(0, 0, 100, 100)], faces) == {}
    assert match([(0, 0, 15, 100)], faces) == {0: 0}


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"<x:xmpmeta",
        WHOLE.encode()[:80],
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        b"<a>" * 100_000,
        b"<a>" + b"<b/>" * 300_000 + b"</a>",
        b"<a>" + b"x" * 11_000_000 + b"</a>",
        b"<a>\0</a>",
        b"<?xml version='1.0' encoding='nothing'?><a/>",
    ],
    ids=range(9),
)
def test_xmp_that_is_cut_deep_large_or_has_entities_is_refused(bad: bytes) -> None:
    with pytest.raises(UnusableError):
        xmp.read(bad)
    with pytest.raises(UnusableError):
        merged(bad or b"<a/>", Shown((Region("Ann", WHERE),), SIZE))


def test_2000_mutants_crash_nothing_and_merge_or_are_refused() -> None:
    chosen = random.Random(19)
    whole = merged(None, Shown((Region("Ann", WHERE), Region("Bob", (0.5, 0.5, 0.7, 0.9))), SIZE, 6, True))
    read_well = 0
    for _ in range(2000):
        mutant = bytearray(whole)
        for _ in range(chosen.randint(1, 3)):
            at = chosen.randrange(len(mutant))
            kind = chosen.randrange(3)
            if kind == 0:
                mutant[at] = chosen.randrange(256)
            elif kind == 1:
                del mutant[at : at + chosen.randint(1, 40)]
            else:
                mutant[at:at] = mutant[at : at + chosen.randint(1, 40)]
        try:
            xmp.read(bytes(mutant))
            again = merged(bytes(mutant), Shown((Region("Eve", WHERE),), SIZE, 6))
        except UnusableError:
            continue
        read_well += 1
        found = xmp.read(again)
        assert "Eve" in {region.name for region in found.regions} | set(found.names)
    assert read_well > 100


def test_packets_are_parsed_in_a_process_of_their_own() -> None:
    shown = Shown((Region("Ann", WHERE),), SIZE)
    with Parsers() as parsers:
        new = parsers.merged(None, shown)
        assert new == sidecar.merged(None, shown)
        assert parsers.described([b"<cut", new]).regions[0].name == "Ann"
        with pytest.raises(PhotoError, match="DOCTYPE"):
            parsers.described([b"<!DOCTYPE a><a/>"])


@needs_exiftool
@pytest.mark.parametrize("ending", ["png", "webp", "tif", "jpg"])
def test_packets_are_found_in_each_format_and_the_photo_stays_as_it_was(tmp_path: Path, ending: str) -> None:
    photo = tmp_path / f"a.{ending}"
    Image.new("RGB", SIZE).save(photo)
    many = [f"-PersonInImage=Person {number} {'x' * 50}" for number in range(900 if ending == "jpg" else 2)]
    exiftool("-overwrite_original", *many, photo)
    before = hashlib.sha256(photo.read_bytes()).digest()
    names = [name for packet in noted_in(str(photo)).packets for name in xmp.read(packet).names]
    assert len(names) == len(many)
    assert hashlib.sha256(photo.read_bytes()).digest() == before


def test_mutants_of_a_photo_crash_nothing(tmp_path: Path) -> None:
    chosen = random.Random(20)
    photo = photo_with_box(tmp_path / "a.jpg", 6)
    packet = b"http://ns.adobe.com/xap/1.0/\0" + merged(None, Shown((Region("Ann", WHERE),), SIZE, 6))
    whole = photo.read_bytes()
    whole = whole[:2] + b"\xff\xe1" + (len(packet) + 2).to_bytes(2, "big") + packet + whole[2:]
    named = 0
    with Parsers() as parsers:
        for _ in range(500):
            mutant = bytearray(whole)
            for _ in range(chosen.randint(1, 4)):
                mutant[chosen.randrange(len(packet) + 200)] = chosen.randrange(256)
            photo.write_bytes(mutant)
            noted = noted_in(str(photo))
            try:
                named += parsers.described(noted.packets).names_people
            except PhotoError:
                continue
            assert 1 <= noted.orientation <= 8
            assert photo.read_bytes() == mutant
    assert named > 20


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_raw_photo_is_stored_as_its_preview_says(tmp_path: Path, orientation: int) -> None:
    large = Image.new("RGB", (1600, 1066))
    for name, data in (("a.cr3", cr3(large, orientation)), ("a.dng", dng(large, [preview(large)], orientation))):
        (tmp_path / name).write_bytes(data)
        assert noted_in(str(tmp_path / name)).orientation == orientation
