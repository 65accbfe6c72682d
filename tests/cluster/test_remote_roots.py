"""Photos in a bucket are found as those in a folder are; what a network does to them loses nothing."""

import io
import json
import os
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from facesearch.cli.delivery import in_its_folder
from facesearch.errors import PhotoError, RootError, UsageError
from facesearch.gallery.tables.picture_sources import PhotoGoneError, PhotoSource, load_source
from facesearch.home import gallery_dir
from facesearch.photos import places, remote, s3
from facesearch.photos import whereabouts as whereabouts_module
from facesearch.photos.addresses import absolute, folder_of, parts_inside
from facesearch.photos.exclusions import Exclusions, Rules
from facesearch.photos.file import PhotoFile, digest_of, load, load_named_photo, open_regular
from facesearch.photos.status import Status
from facesearch.photos.walk import walk
from facesearch.photos.whereabouts import whereabouts
from tests.cluster import buckets
from tests.cluster.buckets import Bucket, Server
from tests.conftest import Cli


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """An S3 for all tests here."""
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def bucket(server: Server, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket that this process reaches."""
    for name, value in server.settings.items():
        monkeypatch.setenv(name, value)
    buckets.opened_gate(server.gate)
    remote._source.cache_clear()
    return buckets.made(server, request.node.name)


def _counted(cli: Cli, *words: object) -> tuple[int, Any]:
    said = cli("index", *words, "--json")
    return said.code, json.loads(said.out)["photos"] if said.out else said.err


def _known(gallery: str, root: str) -> list[tuple[Any, ...]]:
    """All that was found, with the paths from the root on."""
    with sqlite3.connect(gallery_dir(gallery) / "faces.db") as conn:
        rows = conn.execute(
            "SELECT path, photos.size, digest, status, width, height, taken, face_count, box_left, box_top, "
            "box_right, box_bottom, landmarks, score, quality, embedding, people.name FROM photos "
            "LEFT JOIN faces ON photo_id = photos.id LEFT JOIN people "
            "ON people.id = person_id ORDER BY path, box_left, box_top"
        ).fetchall()
    return [(row[0].removeprefix(root), *row[1:]) for row in rows]


def _names(root: str, rules: Rules | None = None) -> list[str]:
    return [file.path.removeprefix(f"{root}/") for file in walk(root, rules=rules)]


def test_a_bucket_gives_the_gallery_that_its_folder_gives_in_every_bit(
    cli: Cli, album: Path, bucket: Bucket, tmp_path: Path
) -> None:
    there = bucket.fill(album, "2024/all")
    bucket.gate.writes.clear()
    assert _counted(cli, album, "--gallery", "here", "--people-from", "folder")[0] == 0
    assert _counted(cli, f"{there}/", "--gallery", "there", "--people-from", "folder") == (0, {"ok": 9})
    found = _known("there", there)
    assert len(found) >= 9
    assert found == _known("here", str(album))
    assert len(bucket.gate.read()) >= 9
    assert _counted(cli, "--gallery", "there") == (0, {"unchanged": 9})
    assert bucket.gate.read() == []  # the second run reads nothing
    asked = f"{there}/Tiger_Woods/Tiger_Woods_0001.jpg"
    out = tmp_path / "out"
    said = cli("query", asked, "--gallery", "there", "--all", "--json", "--copy-to", out, "--in", there)
    photos = [photo for match in json.loads(said.out)["matches"] for photo in (match["photo"], *match["alike"])]
    assert said.code == 0
    assert photos
    assert all(photo.startswith(f"{there}/") for photo in photos)
    for photo in photos:
        assert (out / Path(photo).name).read_bytes() == (album / photo.removeprefix(f"{there}/")).read_bytes()
    assert cli("query", asked, "--gallery", "there", "--all", "--copy-to", out).code == 0
    assert len(list(out.iterdir())) == len(photos)  # which are there already
    assert cli("check", "--gallery", "there", "--photos").code == 0
    assert cli("forget", asked, "--gallery", "there", "--yes").code == 0
    assert _counted(cli, "--gallery", "there") == (0, {"unchanged": 9})
    assert asked not in cli("query", f"{there}/Tiger_Woods/Tiger_Woods_0002.jpg", "--gallery", "there", "--paths").out
    assert bucket.gate.writes == []  # a bucket is read and nothing else


def test_what_is_changed_deleted_copied_or_written_again_in_a_bucket_is_noticed(
    cli: Cli, bucket: Bucket, photo_of: Callable[..., Path]
) -> None:
    first, second, third = (photo_of("Tiger_Woods", number).read_bytes() for number in (1, 2, 3))
    root = f"s3://{bucket.name}"  # a whole bucket
    for name, data in (("a/1.jpg", first), ("a/2.jpg", second), ("b.jpg", third)):
        bucket.put(name, data)
    assert _counted(cli, root) == (0, {"ok": 3})
    bucket.put("a/1.jpg", third)
    bucket.put("c.jpg", second)
    bucket.delete("a/2.jpg")
    bucket.gate.read()
    plan = json.loads(cli("index", "--dry-run", "--json").out)["photos"]
    assert (plan["gone"], plan["unchanged"]) == (0, 1)  # a/2.jpg has moved
    code, counted = _counted(cli)
    assert (code, counted) == (0, {"copied": 1, "moved": 1, "unchanged": 1})
    bucket.delete("b.jpg")
    assert _counted(cli) == (0, {"unchanged": 2, "missing": 1})
    assert _counted(cli) == (0, {"unchanged": 2})
    assert cli("forget", "--missing", "--yes").code == 0
    assert [row[0] for row in _known("default", root)] == ["/a/1.jpg", "/c.jpg"]


def test_photos_of_a_bucket_that_is_gone_or_emptied_stay_known(
    cli: Cli, bucket: Bucket, photo_of: Callable[..., Path]
) -> None:
    root = bucket.put("in/1.jpg", photo_of("Tiger_Woods", 1).read_bytes()).removesuffix("/1.jpg")
    assert _counted(cli, root) == (0, {"ok": 1})
    before = _known("default", root)
    bucket.put("else.txt", b"x")
    bucket.delete("in/1.jpg")
    said = cli("index")
    assert said.code == 3
    assert f"There is nothing at {root}; nothing was marked missing" in said.err
    bucket.delete()
    said = cli("index")
    assert said.code == 3
    assert "there is no bucket of that name" in said.err
    said = cli("forget", "--missing", "--yes")
    assert "so its 1 photo may only be away" in said.err
    assert _known("default", root) == before


def test_missing_photos_are_not_forgotten_of_a_folder_of_a_bucket_that_holds_nothing_or_a_mark(
    cli: Cli, bucket: Bucket, photo_of: Callable[..., Path]
) -> None:
    root = bucket.put("in/a/1.jpg", photo_of("Tiger_Woods", 1).read_bytes()).removesuffix("/a/1.jpg")
    bucket.put("else.txt", b"x")
    assert _counted(cli, root) == (0, {"ok": 1})
    before = _known("default", root)
    bucket.delete("in/a/1.jpg")
    for mark in ("", "in/", "in/a/"):  # as consoles make of a folder
        if mark:
            bucket.put(mark, b"")
        said = cli("forget", "--missing", "--yes")
        assert f"{root} holds nothing now, so its 1 photo may only be away" in said.err
        assert f"There is nothing at {root}" in cli("index").err
        assert _known("default", root) == before
    assert json.loads(cli("check", "--photos", "--json").out)["away"]
    assert cli("forget", root, "--yes").code == 0
    assert _known("default", root) == []


def test_a_folder_that_holds_more_marks_than_are_asked_for_at_first_holds_something_if_a_photo_follows(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_FIRST_OF_FOLDER", 1)
    monkeypatch.setattr(s3, "_MOST_OF_A_PAGE", 1)
    for key in ("p/", "p/a/", "p/b/"):
        bucket.put(key, b"")
    assert not remote.is_folder(f"s3://{bucket.name}/p")
    bucket.put("p/c.jpg", b"x")
    assert remote.is_folder(f"s3://{bucket.name}/p")


def test_a_copy_of_a_photo_whose_bucket_does_not_answer_is_a_copy(
    cli: Cli, bucket: Bucket, tmp_path: Path, photo_of: Callable[..., Path]
) -> None:
    data = photo_of("Tiger_Woods", 1).read_bytes()
    there, here = bucket.put("p/1.jpg", data), tmp_path / "1.jpg"
    here.write_bytes(data)
    assert _counted(cli, there) == (0, {"ok": 1})
    bucket.gate.denies = lambda request: True
    plan = json.loads(cli("index", here, "--dry-run", "--json").out)["photos"]
    assert (plan["copied"], plan["moved"]) == (1, 0)
    assert _counted(cli, here) == (0, {"copied": 1})
    assert [row[0] for row in _known("default", "")] == [str(here), there]
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")  # nor can anybody say what is there
    assert places.may_exist(str(tmp_path / "loop.jpg"))
    assert not places.may_exist(str(tmp_path / "none.jpg"))


def test_a_connection_that_breaks_for_a_while_costs_nothing(
    bucket: Bucket, astronaut_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = astronaut_file.read_bytes()
    address = bucket.put("p/a.jpg", data)
    monkeypatch.setattr(remote, "_BETWEEN", 0.01)
    monkeypatch.setattr(s3, "_TRIES", 1)
    broken: Iterator[int] = iter(range(5))
    bucket.gate.hangs_up = lambda request: next(broken, None) is not None
    with pytest.raises(PhotoError, match="does not answer"):  # it has never answered: nothing is waited for
        load(PhotoFile(address, 0, 0))
    remote._source.cache_clear()
    broken = iter(())
    assert remote.is_folder(f"s3://{bucket.name}/p")
    broken = iter(range(5))
    photo = load(PhotoFile(address, 0, 0))
    assert photo is not None
    assert photo.data == data
    assert next(broken, None) is None


def test_what_was_read_before_a_server_went_down_is_kept_and_the_rest_is_read_when_it_is_back(
    cli: Cli, album: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = bucket.fill(album, "p")
    monkeypatch.setattr(remote, "_LONGEST", 0.0)
    monkeypatch.setattr(s3, "_TRIES", 1)
    bucket.gate.read()
    bucket.gate.hangs_up = lambda request: any("Tiger" in asked for asked in bucket.gate.asked)
    said = cli("index", root)
    assert said.code == 3
    assert "cannot be reached any more; nothing was marked missing" in said.err
    assert "does not answer" in cli("info", "--failures").out
    buckets.opened_gate(bucket.gate)
    remote._source.cache_clear()  # as in a later process
    code, counted = _counted(cli)
    assert (code, counted["unchanged"] + counted["ok"]) == (0, 9)
    assert len(set(bucket.gate.read())) == counted["ok"] < 9


def test_a_list_that_breaks_off_marks_nothing_missing_and_is_an_error(
    cli: Cli, bucket: Bucket, photo_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        bucket.put(f"p/{number}.jpg", photo_of("Tiger_Woods", number).read_bytes())
    root = f"s3://{bucket.name}/p"
    monkeypatch.setattr(s3, "_MOST_OF_A_PAGE", 1)
    monkeypatch.setattr(remote, "_LONGEST", 0.0)
    monkeypatch.setattr(s3, "_TRIES", 1)
    bucket.gate.hangs_up = lambda request: request.startswith("LIST") and len(bucket.gate.lists()) > 4
    files = remote.files_in(root)
    assert next(files).path == f"{root}/1.jpg"
    bucket.gate.asked.extend(["LIST"] * 4)
    with pytest.raises(OSError, match="does not answer"):
        next(files)
    buckets.opened_gate(bucket.gate)
    remote._source.cache_clear()
    unseen: list[str] = []
    found = walk(root, lambda path, _: unseen.append(path), Rules(root))
    assert next(found).path == f"{root}/1.jpg"
    bucket.gate.denies = lambda request: True
    assert list(found) == []
    assert unseen == [root]


def test_only_what_a_whole_list_lacks_is_gone(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    here, gone = bucket.put("p/1.jpg", b"x"), f"s3://{bucket.name}/p/none.jpg"
    for most in (100, 0):  # one by one, and by a list
        monkeypatch.setattr(whereabouts_module, "_FEW", most)
        buckets.opened_gate(bucket.gate)
        found = whereabouts([here, gone], f"s3://{bucket.name}/p")
        assert (found.there, found.gone, found.away) == ((here,), (gone,), ())
        bucket.gate.denies = lambda request: request.startswith(("LIST", "HEAD"))
        (away,) = whereabouts([here, gone], f"s3://{bucket.name}/p").away
        assert (away.photos, "permission is denied" in away.reason) == (2, True)


def test_keys_of_any_kind_are_listed_read_and_stored_as_they_are(bucket: Bucket, astronaut_file: Path) -> None:
    keys = [
        "with space.jpg",
        "plus+and%20percent%.jpg",
        "esc\x1b[31m.jpg",
        "李雷😀.jpg",
        "a//b.jpg",
        "q?versionId=3.jpg",
        "#hash&amp;.jpg",
        "arn:aws.jpg",
    ]
    for number, key in enumerate(keys):
        bucket.put(f"p/{key}", astronaut_file.read_bytes() + bytes([number]))
    bucket.put("p/folder.jpg/", b"")  # only looks like a photo: what consoles make of a new folder
    root = f"s3://{bucket.name}/p"
    found = list(walk(root))
    assert sorted(_names(root)) == sorted(keys)
    for file in found:
        photo = load(file)
        assert photo is not None
        assert photo.data[-1] == keys.index(file.path.removeprefix(f"{root}/"))


def test_a_folder_ends_at_a_slash_and_a_single_object_is_a_root(bucket: Bucket) -> None:
    for key in ("2020/a.jpg", "2020-01/b.jpg", "2020", "c.jpg"):
        bucket.put(key, b"x")
    root = f"s3://{bucket.name}"
    assert _names(f"{root}/2020") == ["a.jpg"]
    assert [file.path for file in walk(f"{root}/c.jpg")] == [f"{root}/c.jpg"]
    with pytest.raises(RootError, match="There is nothing at"):
        list(walk(f"{root}/202"))


def test_patterns_and_ignore_files_count_in_a_bucket_and_are_asked_for_where_they_may_be(bucket: Bucket) -> None:
    kept = ("a/1.jpg", "a/b/2.jpg", "z.jpg")
    for key in (*kept, "a/no/3.jpg", "a/4.png", ".hidden/5.jpg", "@eaDir/6.jpg", "c/7.jpg", "c/8.jpg"):
        bucket.put(f"p/{key}", b"x")
    bucket.put("p/a/.facesearchignore", b"no/\n*.png\n")
    bucket.put(".facesearchignore", b"*.jpg\n")  # above the folder that was named: not heard of
    root = f"s3://{bucket.name}/p"
    rules = Rules(root, Exclusions((f"{root}/c",)))
    assert _names(root, rules) == list(kept)
    assert (rules.folders, rules.files) == (4, 2)
    assert bucket.gate.read() == [f"/{bucket.name}/p/a/.facesearchignore"]
    bucket.put("p/!early.jpg", b"x")
    assert "!early.jpg" in _names(root)
    assert f"/{bucket.name}/p/.facesearchignore" in bucket.gate.read()  # it would come later in the list
    assert rules.leave_out(f"{root}/a/no/3.jpg")
    assert not rules.leave_out(f"{root}/a/1.jpg")


def test_nothing_is_found_in_a_folder_of_a_bucket_whose_ignore_file_is_refused(
    cli: Cli, bucket: Bucket, photo_of: Callable[..., Path]
) -> None:
    data = [photo_of("Tiger_Woods", number).read_bytes() for number in (1, 2, 3)]
    root = bucket.put("in/1.jpg", data[0]).removesuffix("/1.jpg")
    bucket.put("in/a/deep/2.jpg", data[1])
    bucket.put("in/a/private.jpg", data[2])
    bucket.put("in/a/.facesearchignore", b"private*\n")
    refused = f"What is in {root}/a cannot be read (its .facesearchignore cannot be read: permission is denied"
    bucket.gate.denies = lambda request: "/a/.facesearchignore" in request
    bucket.gate.read()
    said = cli("index", root)
    assert said.code == 0
    assert said.err.count(refused) == 1
    assert [row[0] for row in _known("default", root)] == ["/1.jpg"]
    assert len([each for each in bucket.gate.read() if "/a/" in each]) <= 4  # asked once a walk, not for each photo
    buckets.opened_gate(bucket.gate)
    assert _counted(cli) == (0, {"unchanged": 1, "ok": 1})
    bucket.delete("in/a/deep/2.jpg")
    bucket.gate.denies = lambda request: "/a/.facesearchignore" in request
    said = cli("index")
    assert said.code == 0
    assert refused in said.err
    assert [row[3] for row in _known("default", root)] == ["ok", "ok"]  # what nobody can see is not missing
    assert json.loads(cli("index", "--dry-run", "--json").out)["photos"]["away"] == 1
    buckets.opened_gate(bucket.gate)
    assert _counted(cli) == (0, {"unchanged": 1, "missing": 1})


def test_a_refusal_is_said_and_tried_again_when_it_is_taken_back(
    cli: Cli, bucket: Bucket, photo_of: Callable[..., Path]
) -> None:
    for number in (1, 2):
        bucket.put(f"p/{number}.jpg", photo_of("Tiger_Woods", number).read_bytes())
    root = f"s3://{bucket.name}/p"
    bucket.gate.denies = lambda request: "2.jpg" in request
    assert _counted(cli, root) == (7, {"ok": 1, "unreadable": 1})
    assert "permission is denied (AccessDenied)" in cli("info", "--failures").out
    bucket.gate.denies = lambda request: True
    said = cli("index")
    assert said.code == 3
    assert "permission is denied" in said.err
    assert cli("query", f"{root}/1.jpg").code != 0
    buckets.opened_gate(bucket.gate)
    assert _counted(cli) == (0, {"unchanged": 1, "ok": 1})


def test_without_credentials_nobody_else_is_asked_for_them(
    cli: Cli, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    met: list[Any] = []
    is_listening = [True]
    sys.addaudithook(
        lambda event, args: met.append(args[1]) if event == "socket.connect" and is_listening[0] else None
    )
    said = cli("index", f"s3://{bucket.name}/p")
    is_listening.clear()
    is_listening.append(False)
    assert said.code == 3
    assert "there are no credentials; set AWS_ACCESS_KEY_ID" in said.err
    assert [address for address in met if address[0] != "127.0.0.1"] == []


def test_silence_ends_in_a_sentence(cli: Cli, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_READ_SECONDS", 0.1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        said = cli("index", f"s3://{bucket.name}/p")
    assert said.code == 3
    assert "does not answer" in said.err


def test_who_interrupts_does_not_wait_for_an_answer(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(s3, "is_asked", lambda: True)
        for _ in range(2):
            with pytest.raises(InterruptedError):
                remote.is_folder(f"s3://{bucket.name}/p")
        patience = remote._source("s3", remote._settings())[1]
        assert patience.is_over(time.monotonic(), "")  # it has never answered


def test_a_package_that_is_missing_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    remote._source.cache_clear()
    said = cli("index", "s3://bucket/p")
    assert said.code == 3
    assert "pip install s3fs" in said.err
    said = cli("index", "nosuch://bucket/p")
    assert said.code == 3
    assert "nosuch://" in said.err


def test_a_large_object_is_read_in_parts_and_must_not_change_meanwhile(bucket: Bucket) -> None:
    data = os.urandom(1000) * 32_000
    address = bucket.put("large.jpg", data)
    with open_regular(address) as opened:
        assert opened.read(10) == data[:10]
        opened.seek(30_000_000)
        assert opened.read(1000) == data[30_000_000:30_001_000]
        opened.seek(-5, io.SEEK_END)
        assert opened.read() == data[-5:]
        opened.seek(0)
        assert opened.read() == data
    assert len(bucket.gate.read()) < 12
    with open_regular(address) as opened:
        bucket.put("large.jpg", data[::-1])
        opened.seek(30_000_000)
        with pytest.raises(OSError, match="changed while it was read"):
            opened.read(10)


def test_what_is_named_like_no_photo_is_not_read_and_an_empty_object_is_said_to_be_empty(bucket: Bucket) -> None:
    files = {Path(name).name: PhotoFile(bucket.put(name, b""), 0, 0) for name in ("a.mov", "b.txt", "c", "d.jpg")}
    assert [load(files[name]) for name in ("a.mov", "b.txt", "c")] == [None, None, None]
    assert bucket.gate.read() == [f"/{bucket.name}/c"]
    with pytest.raises(PhotoError, match="the file is empty"):
        load(files["d.jpg"])
    with pytest.raises(PhotoError, match="there is no such object"):
        load_named_photo(PhotoFile(f"s3://{bucket.name}/none.jpg", 0, 0))


def test_names_that_lie_beside_a_photo_in_a_bucket_are_taken_over(
    cli: Cli, bucket: Bucket, photo_of: Callable[..., Path]
) -> None:
    address = bucket.put("p/1.jpg", photo_of("Tiger_Woods", 1).read_bytes())
    bucket.put(
        "p/1.jpg.xmp",
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
        b"<rdf:Description xmlns:Iptc4xmpExt='http://iptc.org/std/Iptc4xmpExt/2008-02-29/'><Iptc4xmpExt:PersonInImage>"
        b"<rdf:Bag><rdf:li>Tiger</rdf:li></rdf:Bag></Iptc4xmpExt:PersonInImage></rdf:Description></rdf:RDF></x:xmpmeta>",
    )
    assert _counted(cli, address) == (0, {"ok": 1})
    assert json.loads(cli("people", "import", "--json").out)["named"] == 1
    said = cli("people", "export", "--xmp", "beside")
    assert said.code == 7
    assert "nothing is written to an address" in said.err


def test_a_photo_is_forgotten_with_its_copies_on_a_disk_and_in_a_bucket(
    cli: Cli, bucket: Bucket, tmp_path: Path, photo_of: Callable[..., Path]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in (1, 2):
        (folder / f"{number}.jpg").write_bytes(photo_of("Tiger_Woods", number).read_bytes())
    root = bucket.fill(folder, "p")
    assert _counted(cli, folder, root) == (0, {"ok": 2, "copied": 2})
    assert cli("forget", folder / "1.jpg", "--yes").code == 0
    assert cli("forget", f"{root}/2.jpg", "--yes").code == 0
    _counted(cli, "--retry-failed")
    assert {(row[3], row[7]) for row in _known("default", root)} == {("forgotten", 0)}
    assert len(_known("default", root)) == 4


def test_a_library_that_moves_into_a_bucket_is_not_embedded_again(
    cli: Cli, bucket: Bucket, tmp_path: Path, photo_of: Callable[..., Path]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in (1, 2):
        (folder / f"{number}.jpg").write_bytes(photo_of("Tiger_Woods", number).read_bytes())
    assert _counted(cli, folder) == (0, {"ok": 2})
    before = _known("default", str(folder))
    root = bucket.fill(folder, "moved")
    assert cli("galleries", "move", folder, root).code == 0
    assert _known("default", root) == before
    assert _counted(cli) == (0, {"unchanged": 2})
    assert json.loads(cli("info", "--json").out)["folders"] == [root]
    data = (folder / "1.jpg").read_bytes()
    shown = PhotoSource(1, f"{root}/1.jpg", digest_of(data), Status.OK, (250, 250))
    assert load_source(shown, [root]).data == data  # for the page
    with pytest.raises(PhotoGoneError, match="in none of the gallery's folders"):
        load_source(shown, [f"{root}2"])


def test_addresses_are_told_from_paths_and_those_that_cannot_be_read_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("a") == str(tmp_path / "a")
    assert absolute("s3:/a") == str(tmp_path / "s3:" / "a")
    assert absolute("S3A://bucket/a//b/") == "s3://bucket/a//b"
    assert absolute(Path("s3://bucket/a")) == "s3://bucket/a"
    assert absolute("file:///a/b") == os.path.abspath("/a/b")  # noqa: PTH100
    assert parts_inside("s3://b/a//../c.jpg", "s3://b/a") == ["..", "c.jpg"]
    azure = "abfs://container@account.dfs.core.windows.net/a"
    assert absolute(f"{azure}/") == absolute(Path(azure)) == azure
    for refused in (
        "https://me:secret@example.org/a.jpg?X-Amz-Signature=secret#secret",
        "s3://",
        "s3:///a?secret",
        "sftp://me:secret@host/a",
        "sftp://me@host/a",
        "abfs://container:secret@account.dfs.core.windows.net/a",
        "abfs://@account/a",
        "file://me:secret@host/a?secret",
    ):
        with pytest.raises(UsageError) as error:
            absolute(refused)
        assert "secret" not in str(error.value)
    assert folder_of("memory://1.jpg") == "memory://"
    assert folder_of("s3://b/a/1.jpg") == "s3://b/a"


def test_no_command_repeats_the_secrets_of_an_address_that_it_refuses(cli: Cli) -> None:
    address = "https://me:secret@example.org/a.jpg?X-Amz-Signature=secret"
    for words in (("index", address), ("query", address), ("verify", "a.jpg", address), ("forget", address)):
        said = cli(*words)
        assert said.code != 0
        assert "secret" not in said.err + said.out
    said = cli("verify", "a.jpg", address)
    assert said.code == 2
    assert "https://example.org/a.jpg is a page's address" in said.err


def test_a_photo_is_delivered_under_a_name_even_if_its_key_has_none() -> None:
    roots = ["s3://b/p", "s3://b/.."]
    assert in_its_folder("s3://b/p/..", roots[:1]) == "photo"
    assert in_its_folder("s3://b/..", roots) == "photo"
    assert in_its_folder("s3://b/p/../c/1.jpg", roots) == os.path.join("p", "c", "1.jpg")  # noqa: PTH118


def test_other_addresses_that_fsspec_knows_are_folders_too(
    cli: Cli, astronaut_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    for name in ("b/2.jpg", "1.jpg", "b/c/3.jpg", "line\nbreak.jpg"):
        memory.pipe_file(f"/there/{name}", astronaut_file.read_bytes())
    assert _names("memory://there") == ["1.jpg", "line\nbreak.jpg", "b/2.jpg", "b/c/3.jpg"]
    photo = load(next(walk("memory://there/b/c/3.jpg")))
    assert photo is not None
    assert photo.data == astronaut_file.read_bytes()
    assert _counted(cli, "memory://there/b/c")[0] == 0
    assert _counted(cli) == (0, {"unchanged": 1})
    for name in ("1.jpg", "2.jpg"):
        memory.pipe_file(f"/{name}", astronaut_file.read_bytes())
    for most in (100, 0):  # one by one, and by a list
        monkeypatch.setattr(whereabouts_module, "_FEW", most)
        found = whereabouts(["memory://1.jpg", "memory://none.jpg"], "memory://there")
        assert (found.there, found.gone, found.away) == (("memory://1.jpg",), ("memory://none.jpg",), ())
    assert _counted(cli, "memory://1.jpg", "--gallery", "single")[0] == 0
    memory.rm("/1.jpg")
    assert "so its 1 photo may only be away" in cli("forget", "--missing", "--yes", "--gallery", "single").err
    assert cli("info", "--gallery", "single").code == 0
    assert cli("forget", "memory://1.jpg", "--yes", "--gallery", "single").code == 0
    memory.makedirs("/bare/inner")
    assert not remote.is_folder("memory://bare")
    said = cli("index", "--watch")
    assert said.code == 2
    assert "cannot be watched" in said.err


def test_an_error_that_nobody_foresaw_is_no_sign_that_a_photo_is_gone(bucket: Bucket) -> None:
    half = f"s3://{bucket.name}/\udce9.jpg"  # of a character: no request can hold it
    assert whereabouts([half], half.rpartition("/")[0]).gone == ()
