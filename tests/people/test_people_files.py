"""Names from and for other programs, through the real commands, on photos of people who do not exist."""

import csv
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from facesearch.errors import UsageError
from facesearch.gallery.gallery import Gallery
from facesearch.people import xmp
from facesearch.people.files import Folders
from facesearch.people.parsing_process import Parsers
from facesearch.people.regions import Region
from facesearch.people.sidecar import Shown, merged
from facesearch.pictures.folders import folder_names
from tests.conftest import Cli
from tests.made_galleries import group, made

SIZE = (250, 250)
WHOLE = (0.0, 0.0, 0.4, 0.4)  # where the face of each photo is: `made` has them 100 pixels wide, in a corner


def with_sizes(gallery: Gallery) -> Gallery:
    """Notes how large the photos are, as indexing does."""
    with gallery.writing() as db, db.transaction():
        db.connection.execute("UPDATE photos SET width = ?, height = ?", SIZE)
    return gallery


@pytest.fixture
def indexed(home: Path, tmp_path: Path) -> Path:
    """A folder of three photos, in the default gallery with a face each, all nobody's."""
    folder = tmp_path / "album"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        Image.new("RGB", SIZE).save(folder / name)
    with_sizes(made(photos=[str(path) for path in photos_of(folder)]))
    return folder


def photos_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.jpg"))


def write_sidecar(photo: Path, *people: tuple[str, tuple[float, float, float, float]]) -> Path:
    regions = tuple(Region(name, box) for name, box in people)
    path = photo.with_name(photo.name + ".xmp")
    path.write_bytes(merged(None, Shown(regions, SIZE)))
    return path


def names(gallery: Gallery) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for face in gallery.named_faces():
        found.setdefault(Path(face.photo).name, []).append(face.name)
    return found


def test_imported_names_are_one_change_and_a_second_import_changes_nothing(cli: Cli, indexed: Path) -> None:
    first, second, *_ = photos_of(indexed)
    write_sidecar(first, ("Ann", WHOLE))
    write_sidecar(second, ("Bob", (0.9, 0.9, 0.95, 0.95)))
    planned = json.loads(cli("people", "import", "--dry-run", "--json").out)
    assert names(Gallery.open()) == {}
    done = json.loads(cli("people", "import", "--json").out)
    kinds = ("naming", "named", "marked", "new_people", "known")
    assert [planned[kind] for kind in kinds] == [done[kind] for kind in kinds] == [2, 1, 1, 2, 0]
    assert names(Gallery.open()) == {first.name: ["Ann"], second.name: ["Bob"]}
    again = json.loads(cli("people", "import", "--json").out)
    assert (again["named"], again["marked"], again["known"], again["change"]) == (0, 0, 2, None)
    Gallery.open().undo()
    assert names(Gallery.open()) == {}


def test_what_the_user_said_stands(cli: Cli, indexed: Path) -> None:
    first, second, _ = photos_of(indexed)
    gallery = Gallery.open()
    gallery.name_person(str(first), "Eve")
    write_sidecar(first, ("Ann", WHOLE))
    gallery.not_a_face([f"{second}#1"])
    write_sidecar(second, ("Bob", WHOLE))
    said = cli("people", "import")
    assert said.code == 0
    assert "2 names against what you said" in said.out
    assert names(gallery) == {first.name: ["Eve"]}


def test_a_face_that_was_parted_from_ann_is_not_made_ann_again(cli: Cli, indexed: Path) -> None:
    first, second, *_ = photos_of(indexed)
    for photo in (first, second):
        write_sidecar(photo, ("Ann", WHOLE))
    gallery = Gallery.open()
    gallery.import_names()
    gallery.part("Ann", photos=[str(second)])
    assert gallery.import_names().decided == 1
    assert names(gallery) == {first.name: ["Ann"]}


def test_a_name_without_a_region_names_the_only_face(cli: Cli, indexed: Path) -> None:
    first, second, *_ = photos_of(indexed)
    bag = "<e:PersonInImage><rdf:Bag>{}</rdf:Bag></e:PersonInImage>"
    whole = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">{}</rdf:Description></rdf:RDF>'
    )
    one, two = "<rdf:li>Ann</rdf:li>", "<rdf:li>Ann</rdf:li><rdf:li>Bob</rdf:li>"
    first.with_name(first.name + ".xmp").write_text(whole.format(bag.format(one)))
    second.with_suffix(".xmp").write_text(whole.format(bag.format(two)))
    done = Gallery.open().import_names()
    assert (done.named, done.unplaced) == (1, 2)
    assert names(Gallery.open()) == {first.name: ["Ann"]}


def test_picasas_list_names_faces_too(cli: Cli, indexed: Path) -> None:
    first = photos_of(indexed)[0]
    (first.parent / ".picasa.ini").write_text(f"[Contacts2]\nab=Ann;;\n[{first.name}]\nfaces=rect64(66666666),ab\n")
    assert Gallery.open().import_names([first]).named == 1


def test_what_cannot_be_read_is_listed_and_ends_with_7(cli: Cli, indexed: Path) -> None:
    first = photos_of(indexed)[0]
    first.with_name(first.name + ".xmp").write_bytes(b"<x:xmpmeta><People")
    said = cli("people", "import")
    assert said.code == 7
    assert first.name in said.err
    assert cli("people", "import", indexed / "nothing").code == 2


def test_exported_sidecars_are_read_back_with_the_same_names_and_no_photo_changes(cli: Cli, album: Path) -> None:
    for photo in album.rglob("*000[23].jpg"):
        photo.unlink()
    assert cli("index", album).code == 0
    first, second, _ = photos_of(album)
    gallery = Gallery.open()
    gallery.name_person(str(first), "Ann & <Bob>")
    gallery.name_person(str(second), "安|x/y 🙂")
    before = {photo: hashlib.sha256(photo.read_bytes()).digest() for photo in photos_of(album)}
    told = names(gallery)
    assert cli("people", "export", "--xmp", "beside", "--keywords").code == 0
    assert "had all names already" in cli("people", "export", "--xmp", "beside").err
    assert cli("index", album, "--gallery", "other").code == 0
    other = Gallery.open("other")
    assert other.import_names().named == 2
    assert names(other) == told
    assert {photo: hashlib.sha256(photo.read_bytes()).digest() for photo in photos_of(album)} == before


def test_a_sidecar_that_is_there_is_kept_with_its_rights(cli: Cli, indexed: Path) -> None:
    first, second, *_ = photos_of(indexed)
    there = first.with_suffix(".xmp")
    there.write_bytes(merged(None, Shown((Region("Zed", (0.8, 0.8, 0.9, 0.9)),), SIZE)))
    there.chmod(0o600)
    broken = second.with_name(second.name + ".xmp")
    broken.write_bytes(b"<cut")
    gallery = Gallery.open()
    gallery.name_person(str(first), "Ann")
    gallery.name_person(str(second), "Bob")
    said = cli("people", "export", "--xmp", "beside")
    assert said.code == 7
    assert second.name in said.err
    assert broken.read_bytes() == b"<cut"
    assert {region.name for region in xmp.read(there.read_bytes()).regions} == {"Zed", "Ann"}
    assert there.stat().st_mode & 0o777 == 0o600
    assert not first.with_name(first.name + ".xmp").exists()


def test_tables_folders_and_json_hold_the_names(cli: Cli, indexed: Path, tmp_path: Path) -> None:
    first, second, *_ = photos_of(indexed)
    assert cli("people", "export", "--csv", tmp_path / "none.csv").code == 1
    gallery = Gallery.open()
    gallery.name_person(str(first), "../Ann")
    gallery.name_person(str(second), "con")
    table = tmp_path / "faces.csv"
    assert cli("people", "export", "--csv", table).code == 0
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(Path(row["photo"]).name, row["name"]) for row in rows] == [(first.name, "../Ann"), (second.name, "con")]
    assert cli("people", "export", "--csv", table).code == 2
    told = json.loads(cli("people", "export", "--json").out)
    assert [face["name"] for face in told["faces"]] == ["../Ann", "con"]
    folder = tmp_path / "people"
    for _ in range(2):
        assert cli("people", "export", "--folders", folder, "--link").code == 0
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")) == sorted(
        (f"_.._Ann/{first.name}", f"_con/{second.name}")
    )
    sidecars = tmp_path / "sidecars"
    assert cli("people", "export", "--xmp", sidecars).code == 0
    assert len(list(sidecars.rglob("*.jpg.xmp"))) == 2


@pytest.mark.parametrize(
    "words",
    [(), ("--keywords", "--json"), ("--folders", "x"), ("--copy", "--json"), ("--folders", "x", "--copy", "--link")],
)
def test_options_that_do_not_fit_together_are_refused(cli: Cli, words: tuple[str, ...]) -> None:
    assert cli("people", "export", *words).code == 2


def test_folders_differ_whatever_the_file_system() -> None:
    people = [(1, "Ann"), (2, "ANN"), (3, "a/b"), (4, "a:b"), (5, "."), (6, "x" * 300), (7, "Ann-2")]
    found = folder_names(people)
    assert len({name.casefold() for name in found.values()}) == len(people)
    assert [found[person] for person in (1, 2, 3, 5)] == ["Ann", "ANN-2", "a_b", "_"]
    assert all(0 < len(name.encode()) < 256 and "/" not in name for name in found.values())


def test_an_unnamed_group_takes_the_imported_name(cli: Cli, indexed: Path) -> None:
    first, second, *_ = photos_of(indexed)
    gallery = Gallery.open()
    (person,) = group(gallery, [1, 2])
    write_sidecar(first, ("Ann", WHOLE))
    gallery.import_names()
    assert gallery.person(f"@{person}").name == "Ann"
    assert names(gallery) == {first.name: ["Ann"], second.name: ["Ann"]}
    assert [face.named_by for face in gallery.faces_of("Ann")] == ["xmp", "auto"]
    with pytest.raises(UsageError):
        gallery.import_names(["/nothing/here"])


def test_the_groups_of_named_faces_follow_them_and_undo_brings_them_back(cli: Cli, indexed: Path) -> None:
    first, second, third = photos_of(indexed)
    gallery = Gallery.open()
    gallery.name_person(str(first), "Ann")
    (person,) = group(gallery, [2, 3])
    write_sidecar(second, ("Ann", WHOLE))
    before = names(gallery)
    gallery.import_names()
    assert sorted(names(gallery)) == sorted(path.name for path in (first, second, third))
    assert gallery.person(f"@{person}").name == "Ann"
    gallery.undo()
    assert names(gallery) == before
    assert gallery.person(f"@{person}").faces == 2


def test_names_of_a_gallery_made_before_are_exported_and_an_import_says_what_it_would_do(home: Path) -> None:
    gallery = Gallery.open("old", "cpu")
    gallery.directory.mkdir(parents=True, mode=0o700)
    for file in (Path(__file__).parents[1] / "data" / "gallery-0.1.0").iterdir():
        shutil.copy(file, gallery.directory)
    assert {(face.name, face.named_by) for face in gallery.named_faces()} == {("collins", "folder")}
    planned = gallery.import_names(dry_run=True)
    assert (planned.photos, planned.named, len(planned.failed)) == (4, 0, 4)


def test_names_are_taken_as_they_are_but_for_those_that_nobody_could_type(indexed: Path) -> None:
    first, second, third = photos_of(indexed)
    write_sidecar(first, ("People/X|Y <b>🙂", WHOLE))
    write_sidecar(second, ("a\u202eb", WHOLE), ("x" * 10_000, (0.9, 0.9, 1.0, 1.0)))
    write_sidecar(third, ("@17", WHOLE))
    done = Gallery.open().import_names()
    assert (done.named, done.marked, done.unusable) == (1, 0, 2)
    assert names(Gallery.open()) == {first.name: ["People/X|Y <b>🙂"]}


def test_while_another_process_writes_an_import_only_says_what_it_would_do(cli: Cli, indexed: Path) -> None:
    write_sidecar(photos_of(indexed)[0], ("Ann", WHOLE))
    with Gallery.open().locked():
        assert cli("people", "import").code == 8
        assert json.loads(cli("people", "import", "--dry-run", "--json").out)["named"] == 1
    assert names(Gallery.open()) == {}


def test_of_a_photo_and_its_sidecar_the_one_written_last_counts_first(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    place: tuple[float, float, float, float] = (0.6, 0.6, 0.9, 0.9)
    packet = merged(None, Shown((Region("Anna", WHOLE), Region("Bob", place)), SIZE))
    Image.new("RGB", SIZE).save(photo, xmp=packet)
    path = write_sidecar(photo, ("Ann", WHOLE))
    with Parsers() as parsers:
        os.utime(path, (2e9, 2e9))
        found = Folders(parsers).read(str(photo)).described
        assert ([region.name for region in found.regions], found.names) == (["Ann", "Bob"], ())
        os.utime(photo, (3e9, 3e9))
        found = Folders(parsers).read(str(photo)).described
        assert ([region.name for region in found.regions], found.names) == (["Anna", "Bob"], ())
