"""What a gallery can be asked beside who is nearest: every photo, several faces as one question, dates and folders,
and answers that go into pipes, tables and folders."""

import csv
import io
import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facesearch import FacesToCompare, Gallery, QueryOptions, Scope, Verifier, verify
from facesearch.errors import FaceSearchError, UsageError
from facesearch.gallery.records.answers import Answer
from facesearch.photos.dates import date_in_file, date_of
from facesearch.pictures.placing import place

Cli = Callable[..., Any]


def _dated(photo: Path, to: Path, when: str, scale: float = 1.0) -> Path:
    """A copy of a photo with a date in its EXIF, in another size."""
    with Image.open(photo) as image:
        exif = image.getexif()
        exif.get_ifd(34665)[36867] = when
        to.parent.mkdir(parents=True, exist_ok=True)
        size = round(image.width * scale), round(image.height * scale)
        image.resize(size).save(to, exif=exif.tobytes(), quality=95)
    return to


@pytest.fixture
def library(cli: Cli, album: Path, photo_of: Callable[..., Path]) -> Path:
    """The album's nine photos of three people, and in a folder of their own four of Tiger Woods with dates: one is
    the first in another size, two are of one second."""
    dated = album / "trip"
    _dated(photo_of("Tiger_Woods", 1), dated / "small.jpg", "2023:12:31 23:59:59", 0.8)
    _dated(photo_of("Tiger_Woods", 2), dated / "first.jpg", "2024:07:31 18:05:59")
    _dated(photo_of("Tiger_Woods", 3), dated / "second.jpg", "2024:07:31 18:06:00")
    assert cli("index", album, "--people-from", "folder").code == 0
    return album


def _paths(said: Any) -> set[str]:
    return set(said.out.splitlines())


def test_all_gives_every_photo_of_a_person_and_nobody_else(cli: Cli, library: Path) -> None:
    photo = library / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    said = cli("query", photo, "--all", "--paths")
    assert said.code == 0
    expected = {str(path) for path in (*library.glob("Tiger_Woods/*.jpg"), *library.glob("trip/*.jpg"))}
    assert _paths(said) == expected
    assert cli("query", photo, "--all", "--k", 3).code == 2
    none = cli("query", photo, "--all", "--threshold", 1, "--in", library / "Angelina_Jolie")
    assert none.code == 1
    assert "Nobody in the gallery reaches 1." in none.err


def test_copies_and_bursts_are_one_row_until_copies_are_asked_for(cli: Cli, library: Path) -> None:
    photo = library / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    rows = json.loads(cli("query", photo, "--all", "--json").out)["matches"]
    alike = {Path(row["photo"]).name: {Path(path).name for path in row["alike"]} for row in rows}
    assert alike["Tiger_Woods_0001.jpg"] == {"small.jpg"}
    every = json.loads(cli("query", photo, "--all", "--copies", "--json").out)["matches"]
    assert len(every) == 6
    assert all(row["alike"] == [] for row in every)
    assert sum(1 + len(row["alike"]) for row in rows) == 6


def test_paths_csv_and_json_are_forms_of_one_answer(cli: Cli, library: Path) -> None:
    photo = library / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    lines = cli("query", photo, "--csv").out.splitlines()
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    told = json.loads(cli("query", photo, "--json").out)["matches"]
    assert [row["photo"] for row in rows] == [match["photo"] for match in told]
    assert rows[0]["asked"] == str(photo)
    assert float(rows[0]["judged"]) == told[0]["judged"]
    nul = cli("query", photo, "-0").out
    assert nul.split("\0")[:-1] == cli("query", photo, "--paths").out.splitlines()
    assert cli("query", photo, "--paths", "--json").code == 2
    assert cli("query", photo, "--csv", "-0").code == 2


def test_a_table_is_never_broken_and_names_photos_from_their_folder_on(cli: Cli, library: Path) -> None:
    said = cli("query", library / "Tiger_Woods" / "Tiger_Woods_0001.jpg", "--all")
    rows = [line for line in said.out.splitlines() if "Tiger_Woods_0001.jpg" in line and line.startswith(" ")]
    assert rows[0].rstrip().endswith("Tiger_Woods/Tiger_Woods_0001.jpg and 1 alike")


def test_dates_and_folders_narrow_a_question(cli: Cli, library: Path) -> None:
    photo = library / "Tiger_Woods" / "Tiger_Woods_0001.jpg"

    def names(*words: object) -> set[str]:
        said = cli("query", photo, "--all", "--paths", *words)
        return {Path(path).name for path in _paths(said)}

    assert names("--since", "2024") == {"first.jpg", "second.jpg"}
    assert names("--until", "2023") == {"small.jpg"}
    assert names("--since", "2024-07-31", "--until", "2024-07-31") == {"first.jpg", "second.jpg"}
    assert names("--in", library / "trip", "--until", "2023-12") == {"small.jpg"}
    assert names("--in", library / "Tiger_Woods") == {f"Tiger_Woods_000{i}.jpg" for i in (1, 2, 3)}
    assert "9 photos without a known date took no part." in cli("query", photo, "--since", "2024").err
    assert cli("query", photo, "--in", library / "nowhere").code == 2
    assert cli("query", photo, "--since", "2030").code == 1
    for date in ("yesterday", "2024-13", "2024-02-30", "24"):
        assert cli("query", photo, "--since", date).code == 2
    assert cli("query", photo, "--since", "2025", "--until", "2024").code == 2


def test_dates_of_a_gallery_of_before_are_read_when_they_are_asked_for(home: Path, cli: Cli, library: Path) -> None:
    with closing(sqlite3.connect(home / "indexes" / "default" / "faces.db")) as conn, conn:
        conn.execute("DROP INDEX photos_without_date")
        conn.execute("ALTER TABLE photos DROP COLUMN taken")
        conn.execute("DELETE FROM _sqlite_migrations WHERE name = 'dates_of_photos'")
    photo = library / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    assert len(json.loads(cli("query", photo, "--json").out)["matches"]) > 0
    said = cli("query", photo, "--all", "--paths", "--since", "2024")
    assert {Path(path).name for path in _paths(said)} == {"first.jpg", "second.jpg"}


def test_a_date_is_read_from_exif_alone(tmp_path: Path, astronaut_file: Path) -> None:
    for kind in ("jpg", "png", "webp", "tif"):
        photo = _dated(astronaut_file, tmp_path / f"dated.{kind}", "2001:02:03 04:05:06")
        assert date_in_file(str(photo)) == "2001-02-03T04:05:06", kind
    for nonsense in ("0000:00:00 00:00:00", "2001:02:30 04:05:06", "yesterday", ""):
        assert date_in_file(str(_dated(astronaut_file, tmp_path / "none.jpg", nonsense))) == ""
    data = (tmp_path / "dated.jpg").read_bytes()
    assert [date_of(data[:end]) for end in (0, 2, 30, 60)] == [""] * 4


def test_several_photos_together_are_the_mean_of_each(cli: Cli, library: Path) -> None:
    photos = [library / "Angelina_Jolie" / f"Angelina_Jolie_000{i}.jpg" for i in (1, 2)]
    options = QueryOptions(100, group=False)
    gallery = Gallery.open()
    each = [{m.face_id: m.judged for m in gallery.query(p, options=options).matches} for p in photos]
    answer = gallery.query_together(photos, options)
    assert len(answer.also) == 1
    for match in answer.matches:
        assert match.judged == pytest.approx(np.mean([of[match.face_id] for of in each]), abs=1e-3)
    assert cli("query", photos[0], "--together").code == 2
    assert json.loads(cli("query", *photos, "--together", "--json").out)["also"][0]["photo"] == str(photos[1])


def test_somebody_can_be_asked_about_by_name(cli: Cli, library: Path) -> None:
    said = cli("query", "--person", "Angelina_Jolie", "--all", "--paths")
    assert _paths(said) == {str(path) for path in library.glob("Angelina_Jolie/*.jpg")}
    wrong = cli("query", "--person", "angelina_joli")
    assert wrong.code == 2
    assert "did you mean Angelina_Jolie?" in wrong.err
    assert cli("query").code == 2
    assert cli("query", library, "--person", "Angelina_Jolie").code == 2


def test_every_face_of_a_photo_has_an_answer(cli: Cli, library: Path, tmp_path: Path) -> None:
    both = _beside(
        tmp_path / "both.png", *(library / who / f"{who}_0001.jpg" for who in ("Tiger_Woods", "Abdullah_Gul"))
    )
    sheet = tmp_path / "sheet.png"
    said = cli("query", both, "--face", "all", "--k", 1, "--json", "--sheet", sheet)
    answers = [json.loads(line) for line in said.out.splitlines()]
    assert {answer["matches"][0]["person"] for answer in answers} == {"Tiger_Woods", "Abdullah_Gul"}
    assert [answer["query"]["face"] for answer in answers] == [1, 2]
    assert sheet.is_file()
    assert cli("query", both, "--face", "none").code == 2
    assert cli("query", both, "--face", "3").code == 2


def _beside(to: Path, *photos: Path) -> Path:
    Image.fromarray(np.hstack([np.asarray(Image.open(photo)) for photo in photos])).save(to)
    return to


def test_find_gives_the_photos_with_all_of_several_people(cli: Cli, library: Path) -> None:
    both = _beside(
        library / "both.png",
        library / "Tiger_Woods" / "Tiger_Woods_0001.jpg",
        library / "Abdullah_Gul" / "Abdullah_Gul_0001.jpg",
    )
    assert cli("index", library).code == 0
    with closing(sqlite3.connect(Gallery.open().database)) as conn, conn:
        ids = [
            row[0]
            for row in conn.execute(
                "SELECT faces.id FROM faces JOIN photos ON photo_id = photos.id WHERE path = ?", (str(both),)
            )
        ]
        for face, name in zip(ids, ("Tiger_Woods", "Abdullah_Gul"), strict=True):
            conn.execute(
                "UPDATE faces SET person_id = (SELECT id FROM people WHERE name = ?) WHERE id = ?", (name, face)
            )
    assert _paths(cli("find", "Tiger_Woods", "Abdullah_Gul", "--paths")) == {str(both)}
    told = json.loads(cli("find", "Tiger_Woods", "--json").out)
    assert {Path(each["photo"]).name for each in told["photos"]} == {
        "both.png",
        *(f"Tiger_Woods_000{i}.jpg" for i in (1, 2, 3)),
    }
    assert cli("find", "Tiger_Woods", "Angelina_Jolie").code == 1
    assert cli("find", "Tiger_Woods", "Nobody").code == 2


def test_what_the_gallery_knows_is_not_embedded_again(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = library / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    elsewhere = library.parent / "elsewhere.jpg"
    shutil.copy(photo, elsewhere)
    gallery = Gallery.open()
    expected = [match.face_id for match in gallery.query(elsewhere).matches]

    def load(*_: object) -> object:
        raise AssertionError("the networks were loaded")

    monkeypatch.setattr("facesearch.gallery.search.analysers.Analysers.load", load)
    for answer in (gallery.query(photo), *gallery.query_many([photo, elsewhere])):
        assert isinstance(answer, Answer)
        assert [match.face_id for match in answer.matches] == expected
    photo.write_bytes(photo.read_bytes() + b"changed")
    with pytest.raises(AssertionError):
        gallery.query(photo)


def test_photos_are_copied_and_linked_and_nothing_is_replaced(cli: Cli, library: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "Tiger_Woods_0001.jpg").write_text("mine")
    photo = library / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    assert cli("query", photo, "--all", "--copy-to", out).code == 0
    assert (out / "Tiger_Woods_0001.jpg").read_text() == "mine"
    assert (out / "Tiger_Woods_0001-2.jpg").read_bytes() == photo.read_bytes()
    assert (out / "Tiger_Woods_0001-2.jpg").stat().st_mtime_ns == photo.stat().st_mtime_ns
    count = len(list(out.iterdir()))
    assert count == 7
    assert "6 were there already" in cli("query", photo, "--all", "--copy-to", out).err
    assert len(list(out.iterdir())) == count
    links = tmp_path / "links"
    assert cli("find", "Tiger_Woods", "--link-to", links).code == 0
    assert {path.readlink() for path in links.iterdir()} == set(library.glob("Tiger_Woods/*.jpg"))


@pytest.mark.skipif(
    os.name != "posix" or (os.geteuid() == 0 and not Path("/dev/full").exists()), reason="needs POSIX"
)
def test_a_folder_that_cannot_be_written_is_said_before_anything_is_done(
    cli: Cli, library: Path, tmp_path: Path
) -> None:
    photo = library / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for folder in (tmp_path / "file", tmp_path / "absent" / "deeper", tmp_path / "loop"):
        said = cli("query", photo, "--copy-to", folder)
        assert (said.code, said.out) == (2, ""), folder


def test_a_disk_that_is_full_says_how_much_was_copied(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = sorted(map(str, library.glob("Tiger_Woods/*.jpg")))
    missing = str(library / "gone.jpg")
    placed = place([missing, *photos], tmp_path / "out", "copy")
    assert (placed.new, placed.known) == (3, 0)
    assert placed.failed == ((missing, "No such file or directory"),)

    def full(source: object, copy: Any, size: int) -> None:
        copy.write(b"part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(FaceSearchError, match=r"takes no more \(No space left on device\); photos copied before: 0"):
        place(photos, tmp_path / "other", "copy")
    assert list((tmp_path / "other").iterdir()) == []


def test_verify_compares_any_faces_that_are_chosen(cli: Cli, library: Path, tmp_path: Path) -> None:
    first, second = (library / who / f"{who}_0001.jpg" for who in ("Tiger_Woods", "Abdullah_Gul"))
    a, b = _beside(tmp_path / "a.png", first, second), library / "Abdullah_Gul" / "Abdullah_Gul_0002.jpg"
    by_face = [verify(a, b, faces=FacesToCompare(a=face)) for face in (1, 2)]
    assert sorted(verdict.same is True for verdict in by_face) == [False, True]
    best = verify(a, b, faces=FacesToCompare(each=True))
    assert best.judged == pytest.approx(max(verdict.judged for verdict in by_face), abs=1e-5)
    assert best.pairs == 2
    assert best.chance == pytest.approx(1 - 0.999**2)
    said = cli("verify", a, b, "--any")
    assert said.code == 0
    assert "of 2 pairs one is by chance in 1 of 500 cases" in said.out
    assert cli("verify", a, b, "--face-a", 3).code == 2


def test_photos_may_be_paths_bytes_pictures_and_arrays(library: Path) -> None:
    photo = library / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    other = library / "Tiger_Woods" / "Tiger_Woods_0002.jpg"
    gallery = Gallery.open()
    with Image.open(photo) as picture, Verifier() as verifier:
        expected = verifier.verify(str(photo), other)
        for given in (photo.read_bytes(), picture, np.asarray(picture)):
            assert verifier.verify(given, other).judged == pytest.approx(expected.judged, abs=0.002)
            assert gallery.query(given, 1).matches[0].person == "Tiger_Woods"
        assert verifier.verify(photo, other, threshold=0.999).same is False
        for bad in (np.zeros((4, 4)), np.zeros((0, 4, 3), np.uint8), 7):
            with pytest.raises(UsageError):
                verifier.verify(bad, other)  # type: ignore[arg-type]
    with Verifier(gallery="default") as by_gallery:
        assert by_gallery.verify(photo, other).judged == pytest.approx(gallery.verify(photo, other).judged, abs=1e-6)


def test_a_scope_is_checked_when_it_is_made() -> None:
    assert Scope("album").folder == str(Path("album").absolute())
    with pytest.raises(UsageError):
        Scope(since="31.7.2024")
    with pytest.raises(UsageError):
        Scope(since="2024-08", until="2024-07-31")
    assert Scope(since="2024-07", until="2024").until == "2024"


@pytest.mark.skipif(sys.platform != "linux", reason="the program that shows pictures has another name")
def test_open_shows_the_sheet_which_goes_with_what_is_forgotten(
    cli: Cli, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, shown = tmp_path / "bin" / "xdg-open", tmp_path / "shown"
    viewer.parent.mkdir()
    viewer.write_text(f'#!/bin/sh\necho "$1" > {shown}.part; mv {shown}.part {shown}\n')
    viewer.chmod(0o700)
    monkeypatch.setenv("PATH", f"{viewer.parent}{os.pathsep}{os.environ['PATH']}")
    said = cli("query", library / "Tiger_Woods" / "Tiger_Woods_0001.jpg", "--open")
    assert said.code == 0
    until = time.monotonic() + 30
    while not shown.exists() and time.monotonic() < until:
        time.sleep(0.01)
    sheet = Path(shown.read_text().strip())
    assert str(sheet) in said.err
    assert sheet.stat().st_mode & 0o077 == 0
    assert cli("check").code == 0
    assert Gallery.open().forget("Angelina_Jolie", "person").photos == 3
    assert not sheet.exists()
