"""What is left out of folders: by default, by `--exclude`, by `.facesearchignore`; what becomes of what is known."""

import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facesearch import Gallery
from facesearch.errors import UsageError
from facesearch.photos.disks import mounts_in, reaches_network
from facesearch.photos.exclusions import IGNORE_FILE, Exclusions, Rules
from facesearch.photos.walk import walk
from tests.conftest import Cli


def _fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def _walked(root: Path, exclusions: Exclusions | None = None, notes: list[str] | None = None) -> list[str]:
    rules = Rules(str(root), exclusions, (notes if notes is not None else []).append)
    return [os.path.relpath(file.path, root) for file in walk(str(root), rules=rules)]


def _photos(cli: Cli, *words: object) -> Any:
    """What a run counted."""
    return json.loads(cli("index", *words, "--json").out)["photos"]


def _plan(cli: Cli, *words: object) -> Any:
    return json.loads(cli("index", *words, "--dry-run", "--json").out)


def test_what_systems_and_network_disks_keep_is_left_out_unless_that_is_asked_for(tmp_path: Path) -> None:
    system = (
        ".thumbnails",
        "@eaDir",
        "#recycle",
        "#snapshot",
        "$RECYCLE.BIN",
        "System Volume Information",
        "lost+found",
    )
    library = "All.photoslibrary"
    hidden = sorted([*(f"in/{name}/1.jpg" for name in system), f"{library}/resources/derivatives/2.jpg"])
    _fill(tmp_path, "a.jpg", "resources/b.jpg", f"{library}/originals/1.jpg", *hidden)
    assert sorted(_walked(tmp_path)) == [f"{library}/originals/1.jpg", "a.jpg", "resources/b.jpg"]
    assert set(hidden) < set(_walked(tmp_path, Exclusions(defaults=False)))
    assert _walked(tmp_path / "in" / "@eaDir") == ["1.jpg"]  # who names it wants it


def test_an_ignore_file_counts_in_its_folder_and_below_and_an_inner_one_goes_first(tmp_path: Path) -> None:
    _fill(tmp_path, "a.png", "a.jpg", "in/b.png", "in/b.jpg", "in/keep/c.png", "out/d.jpg", "out/in/e.jpg")
    (tmp_path / IGNORE_FILE).write_text("# pictures of screens\n*.png\n/out/\n")
    (tmp_path / "in" / IGNORE_FILE).write_text("!keep/*.png\n")
    assert sorted(_walked(tmp_path)) == ["a.jpg", "in/b.jpg", "in/keep/c.png"]
    assert _walked(tmp_path / "in") == ["b.jpg", "keep/c.png"]  # the file above counts here, too
    assert _walked(tmp_path, Exclusions(("keep/",))) == ["a.jpg", "in/b.jpg"]
    assert _walked(tmp_path, Exclusions((str(tmp_path / "in"),))) == ["a.jpg"]  # a path, as shells complete it


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_ignore_files_mean_what_git_means_by_them(tmp_path: Path) -> None:
    """Random trees with random patterns in several folders: what is walked is what git would add."""
    patterns = (
        "*[xyz]*.*p*,a*/*e*p,***,*.jpg,!keep/,a/,/a,a/b,a/**,**/b,!x.jpg,keep/*,!keep/x.jpg,*,!*/,!*.png,/b/*,!/b/keep/,"
        "[xy].jpg,a/*/b"
    )
    chosen = random.Random(0)

    def grow(folder: Path, depth: int) -> None:
        folder.mkdir()
        for name in ("x.jpg", "y.jpg", "z.png"):
            if chosen.random() < 0.7:
                (folder / name).write_bytes(b"")
        if chosen.random() < (0.3 if depth else 0.9):
            text = "\n".join(chosen.sample(patterns.split(","), chosen.randint(1, 5)))
            for name in (".gitignore", IGNORE_FILE):
                (folder / name).write_text(text)
        for name in ("a", "b", "keep") if depth < 3 else ():
            if chosen.random() < 0.6:
                grow(folder / name, depth + 1)

    for number in range(20):
        tree = tmp_path / str(number)
        grow(tree, 0)
        subprocess.run(["git", "init", "--quiet", tree], check=True)
        command = ["git", "-C", str(tree), "ls-files", "--others", "--exclude-standard", "-z"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
        assert sorted(_walked(tree)) == sorted(each for each in listed if each and "/." not in f"/{each}")
        rules = Rules(str(tree))
        files = [str(each.relative_to(tree)) for each in tree.rglob("*.???") if each.is_file()]
        assert sorted(each for each in files if not rules.leave_out(str(tree / each))) == sorted(_walked(tree))


def test_a_line_that_is_no_pattern_is_one_note_and_the_others_count(tmp_path: Path) -> None:
    _fill(tmp_path, "a.jpg", "b.png")
    (tmp_path / IGNORE_FILE).write_bytes(b"\xef\xbb\xbf*.png\r\n[z-a]\n!\n\xff\xfe\n" + b"*a" * 40 + b"\n")
    notes: list[str] = []
    assert _walked(tmp_path, notes=notes) == ["a.jpg"]
    assert len(notes) == 1
    assert "line 2: '[z-a]'" in notes[0]


def test_an_ignore_file_that_cannot_be_read_shuts_its_folder(
    cli: Cli, tmp_path: Path, astronaut_file: Path, home: Path
) -> None:
    """It may leave out what nobody else shall find; what is known stays, and all else is done."""
    _fill(tmp_path / "album" / "in")
    for number, name in enumerate(("album/a.jpg", "album/in/b.jpg")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(astronaut_file.read_bytes() + bytes(number))
    assert cli("index", tmp_path / "album").code == 0
    (tmp_path / "album/in" / IGNORE_FILE).write_bytes(b"x\n" * 5_000_000)
    (tmp_path / "album/in/c.jpg").write_bytes(astronaut_file.read_bytes() + b"c")
    said = cli("index", "--json")
    assert said.code == 0
    assert json.loads(said.out)["photos"] == {"unchanged": 1}
    assert "10,000,000 bytes" in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert Gallery.open().facts().photos == {"ok": 2}
    (tmp_path / "album/in" / IGNORE_FILE).rename(tmp_path / "album" / IGNORE_FILE)
    said = cli("index")
    assert said.code == 3
    assert "10,000,000 bytes" in said.err


def test_a_pattern_of_many_stars_comes_to_an_end(tmp_path: Path) -> None:
    """A regular expression that tries all ways takes as long as the world is old; this takes milliseconds."""
    started = time.process_time()
    assert _walked(_fill(tmp_path, "a" * 250), Exclusions(("*a" * 40 + "*b", "*[ab]" * 40 + "c"))) == ["a" * 250]
    assert time.process_time() - started < 60


@pytest.mark.parametrize("pattern", ["[z-a]", "!", "", "a/**/b/**/c/**/d", "x\0y"])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match=r"write it as in a \.gitignore"):
        Exclusions((pattern,))


def test_what_a_gallery_leaves_out_is_remembered_until_it_is_forgotten(cli: Cli, album: Path) -> None:
    assert _photos(cli, album, "--exclude", "Tiger_Woods") == {"ok": 6}
    assert _photos(cli, album, "--exclude", "*_0002.jpg") == {"unchanged": 4, "excluded": 2}
    assert _photos(cli) == {"unchanged": 4}
    facts = json.loads(cli("info", "--json").out)
    assert facts["exclude"] == ["Tiger_Woods", "*_0002.jpg"]
    assert facts["photos"] == {"ok": 4, "excluded": 2}
    assert cli("check", "--photos").code == 0
    assert _photos(cli, "--no-exclude", "--exclude", "/Angelina_Jolie") == {"unchanged": 3, "ok": 3, "excluded": 2}
    assert cli("index", album, "--exclude", "[z-a]").code == 2


def test_photos_that_are_left_out_are_found_no_longer_and_come_back_with_their_names(
    cli: Cli, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("index", album, "--people-from", "folder").code == 0
    gallery, photo = Gallery.open(), album / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    assert gallery.query(photo, 1).matches[0].person == "Tiger_Woods"
    (album / IGNORE_FILE).write_text("Tiger_Woods/\n")
    said = cli("index")
    assert said.code == 0
    assert "3 photos are left out now" in said.err
    assert {match.person for match in gallery.query(photo, 9).matches} - {None} == {"Abdullah_Gul", "Angelina_Jolie"}
    assert cli("check", "--photos").code == 0
    (album / IGNORE_FILE).unlink()
    with monkeypatch.context() as forbidden:
        forbidden.setattr("facesearch.faces.analyser.Analyser.analyse", lambda *_: pytest.fail("embedded again"))
        assert cli("index").code == 0
    assert gallery.query(photo, 1).matches[0].person == "Tiger_Woods"


def test_a_photo_that_leaves_what_is_left_out_keeps_its_name(cli: Cli, album: Path) -> None:
    assert cli("index", album, "--people-from", "folder").code == 0
    assert cli("index", "--exclude", "/Tiger_Woods").code == 0
    (album / "Tiger_Woods").rename(album / "golf")
    assert _photos(cli) == {"unchanged": 6, "moved": 3}
    assert Gallery.open().query(album / "golf" / "Tiger_Woods_0001.jpg", 1).matches[0].person == "Tiger_Woods"


def test_what_is_left_out_and_then_deleted_is_missing_and_can_be_forgotten(cli: Cli, album: Path) -> None:
    assert cli("index", album).code == 0
    assert cli("index", "--exclude", "/Tiger_Woods").code == 0
    (album / "Tiger_Woods" / "Tiger_Woods_0001.jpg").unlink()
    assert _photos(cli) == {"unchanged": 6, "missing": 1}
    assert json.loads(cli("forget", album / "Tiger_Woods", "--yes", "--json").out)["photos"] == 3
    assert _photos(cli, "--no-exclude") == {"unchanged": 8}
    assert Gallery.open().facts().photos == {"ok": 6, "forgotten": 2}


def test_a_root_inside_of_what_is_left_out_is_still_looked_after(cli: Cli, album: Path) -> None:
    assert cli("index", album / "Tiger_Woods").code == 0
    assert cli("index", album, "--exclude", "/Tiger_Woods", "--json").code == 0
    assert _photos(cli) == {"unchanged": 9}


def test_without_a_path_all_folders_are_looked_at_and_one_that_is_away_is_named(cli: Cli, album: Path) -> None:
    assert cli("index").code == 2
    assert cli("index", album / "Tiger_Woods", album / "Abdullah_Gul").code == 0
    (album / "Tiger_Woods").rename(album.parent / "unplugged")
    shutil.copy(album / "Angelina_Jolie" / "Angelina_Jolie_0001.jpg", album / "Abdullah_Gul")
    said = cli("index", "--json")
    assert said.code == 7
    summary = json.loads(said.out)
    assert summary["photos"] == {"unchanged": 3, "ok": 1}
    assert [each["root"] for each in summary["roots_failed"]] == [str(album / "Tiger_Woods")]


def test_a_dry_run_says_what_the_run_then_does(cli: Cli, album: Path, photo_of: Callable[..., Path]) -> None:
    first = _plan(cli, album)
    assert first["is_guess"] is True
    assert first["photos"]["new"] == 9
    assert first["seconds"] > 0
    assert cli("info").code == 5  # no gallery was made
    assert cli("index", album).code == 0
    gul, woods = album / "Abdullah_Gul", album / "Tiger_Woods"
    (gul / "Abdullah_Gul_0001.jpg").rename(album / "moved.jpg")
    (gul / "Abdullah_Gul_0002.jpg").unlink()
    shutil.copy(gul / "Abdullah_Gul_0003.jpg", album / "copy.jpg")
    shutil.copy(photo_of("Tiger_Woods", 4), woods / "Tiger_Woods_0001.jpg")
    shutil.copy(photo_of("Tiger_Woods", 5), album / "new.jpg")
    expected = {"new": 1, "changed": 1, "moved": 1, "copied": 1, "gone": 1, "excluded": 3, "away": 0, "unchanged": 3}
    assert _plan(cli, "--exclude", "/Angelina_Jolie")["photos"] == expected
    assert _plan(cli)["photos"] == expected | {"excluded": 0, "unchanged": 6}  # nothing was remembered
    done = _photos(cli, "--exclude", "/Angelina_Jolie")
    assert done == {"ok": 2, "moved": 1, "copied": 1, "missing": 1, "excluded": 3, "unchanged": 3}


def test_the_time_of_a_dry_run_follows_from_the_run_before(cli: Cli, home: Path, album: Path, tmp_path: Path) -> None:
    for number in range(3):  # twenty photos and more tell something
        for photo in sorted(album.rglob("*.jpg"))[:9]:
            (album / f"{number}-{photo.name}").write_bytes(photo.read_bytes() + bytes(number + 1))
    run = json.loads(cli("index", album, "--json").out)
    (album / "new.jpg").write_bytes((album / "Tiger_Woods" / "Tiger_Woods_0001.jpg").read_bytes() + b"new")
    plan = _plan(cli)
    assert plan["is_guess"] is False
    assert plan["photos_per_second"] == pytest.approx(run["photos_per_second"], rel=0.1)


def test_disks_of_a_network_are_known_by_their_file_system() -> None:
    """Lines of proc_pid_mountinfo(5); \\040 is a space."""
    mounts = mounts_in(
        b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        b"40 22 0:40 / /mnt/nas\\040one rw shared:5 master:1 - cifs //nas/one rw\n"
        b"41 22 0:41 / /home/ann/far rw - fuse.sshfs ann@far: rw\n"
        b"42 40 8:2 / /mnt/nas\\040one/usb rw - vfat /dev/sdb1 rw\n"
    )
    assert reaches_network("/mnt/nas one/photos", mounts)
    assert reaches_network("/home/ann", mounts)  # one is mounted below
    assert not reaches_network("/mnt/nas one/usb/photos", mounts)
    assert not reaches_network("/home/bob", mounts)
    assert not reaches_network("/home/bob", [])
