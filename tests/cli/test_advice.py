"""What a command says is to be typed next can be typed: it names the gallery, quotes spaces, does what it says.
What was typed by mistake costs nothing."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from facesearch.cli.command import make_command
from facesearch.cli.exits import InterruptedCommandError
from facesearch.cli.options import GalleryName
from facesearch.errors import ExitCode
from facesearch.files import printable
from facesearch.gallery.gallery import Gallery
from facesearch.gallery.migration.unreachable import unreachable
from tests.conftest import Cli


@pytest.fixture
def family(cli: Cli, album: Path) -> Path:
    """The album, in a gallery that is not the default one."""
    assert cli("index", album, "-g", "family", "--people-from", "folder").code == 0
    return album


def _advised(said: str) -> list[str]:
    """The words of the command at the end of a sentence, without the program's."""
    found = re.search(r"facesearch (.*?)\.?$", said.strip())
    assert found, said
    return shlex.split(found[1])


@pytest.mark.parametrize(
    "words",
    [
        ("index", ""),
        ("query", "photo.jpg", "--copy-to", ""),
        ("query", "photo.jpg", "--copy-to="),
        ("verify", "", "photo.jpg"),
        ("people", "export", "--folders", ""),
    ],
)
def test_an_empty_word_is_no_folder(cli: Cli, home: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    said = cli(*words)
    assert (said.code, said.out) == (2, "")
    assert "is empty, as from a variable that is not set" in said.err
    assert not (home / "indexes").exists()


def test_a_folder_that_is_named_twice_is_looked_at_once(cli: Cli, album: Path) -> None:
    (album / "empty.jpg").touch()
    said = cli("index", album, album, album / "empty.jpg", f"{album}/", "--json", "-g", "family")
    summary = json.loads(said.out)
    assert (said.code, summary["photos"], len(summary["failures"])) == (7, {"ok": 9, "unreadable": 1}, 1)
    assert json.loads(cli("index", album, album, "--dry-run", "--json", "-g", "other").out)["photos"]["new"] == 10


def test_a_model_that_is_missing_makes_no_gallery(cli: Cli, home: Path, album: Path) -> None:
    said = cli("index", album, "-g", "family", "--model", "sface")
    assert (said.code, _advised(said.err)) == (6, ["models", "pull", "sface"])
    assert not (home / "indexes").exists()
    assert cli("index", album, "-g", "family").code == 0


@pytest.mark.parametrize(("model", "told"), [("nosuch", "There is no model named"), ("mtcnn", "finds faces")])
def test_a_change_to_what_is_no_model_is_not_advised(cli: Cli, family: Path, model: str, told: str) -> None:
    said = cli("index", family, "-g", "family", "--model", model)
    assert (said.code, told in said.err, "migrate" in said.err) == (6, True, False)


def test_what_is_no_face_is_a_face_again_by_the_change_that_is_named(cli: Cli, family: Path) -> None:
    face = 1  # of the first photo
    assert cli("people", "not-a-face", face, "-g", "family").code == 0
    assert cli("people", "hide", "Tiger_Woods", "-g", "family").code == 0
    refused = cli("people", "move", face, "--to", "Tiger_Woods", "-g", "family")
    assert refused.code == 2
    assert cli(*_advised(refused.err)).out.startswith("Undid 1: No face:")
    assert cli("people", "move", face, "--to", "Tiger_Woods", "-g", "family").code == 0


def test_an_interruption_names_the_gallery() -> None:
    def interrupted(gallery: GalleryName = "default") -> ExitCode:
        raise KeyboardInterrupt

    command = make_command(interrupted, "Interrupted: facesearch people log{which} shows it.")
    for gallery, which in (("default", ""), ("family", " --gallery family")):
        with pytest.raises(InterruptedCommandError, match=f"people log{which} shows it"):
            command(gallery=gallery)


def test_a_line_is_not_broken_by_a_files_name(cli: Cli, family: Path) -> None:
    (family / "new\nline.jpg").touch()
    said = cli("index", "-g", "family")
    assert (said.code, "new\\nline.jpg: the file is empty" in said.err) == (7, True)
    assert "new\\nline.jpg: the file is empty" in cli("info", "--failures", "-g", "family").out
    assert printable("bad\udcff.jpg") == "bad\\xff.jpg"


def test_a_folder_with_a_space_is_advised_in_quotes(cli: Cli, family: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved there"
    shutil.move(family, moved)
    (moved / "Tiger_Woods" / "Tiger_Woods_0001.jpg").unlink()
    said = cli("galleries", "move", family, moved, "--partly", "-g", "family")
    assert (said.code, "1 of them is not there" in said.err) == (0, True)
    assert _advised(said.err) == ["index", str(moved), "--gallery", "family"]
    assert cli(*_advised(said.err)).code == 0


def test_folders_of_a_gallery_are_listed_a_line_each(cli: Cli, family: Path, astronaut_file: Path) -> None:
    assert cli("index", astronaut_file, "-g", "family").code == 0
    listed = cli("galleries", "list").out
    assert "\\n" not in listed
    assert {str(family), str(astronaut_file)} <= {line.split()[-1] for line in listed.splitlines() if line.strip()}


def test_photos_of_a_folder_that_is_away_are_counted_once(cli: Cli, family: Path) -> None:
    """Also where one of them was named by itself."""
    assert cli("index", family / "Tiger_Woods", "-g", "one").code == 0
    assert cli("index", family / "Tiger_Woods" / "Tiger_Woods_0002.jpg", "-g", "one").code == 0
    shutil.move(family / "Tiger_Woods", family / "away")
    with Gallery.open("one", "cpu").reading() as (db, _):
        (away,) = unreachable(db)
    assert away.photos == 3


@pytest.mark.parametrize(("typed", "meant"), [("tiger", "Tiger_Woods"), ("Tiger_Wods", "Tiger_Woods"), ("xyz", None)])
def test_who_is_nearly_called_so_is_proposed(cli: Cli, family: Path, typed: str, meant: str | None) -> None:
    for command in ("find", "forget"):
        said = cli(command, typed, "-g", "family")
        assert (said.code, f"did you mean {meant}?" in said.err) == (2, meant is not None)


def test_photos_that_are_gone_are_forgotten_as_check_advises(cli: Cli, family: Path) -> None:
    (family / "Tiger_Woods" / "Tiger_Woods_0001.jpg").unlink()
    told = cli("check", "--photos", "-g", "family")
    assert (told.code, "facesearch index --gallery family sees whether" in told.err) == (1, True)
    assert cli("index", "-g", "family").code == 0
    assert "Forgot 1 face" in cli("forget", "--missing", "--yes", "-g", "family").out


def test_a_switch_has_no_value_in_the_help(cli: Cli) -> None:
    for words in ((), ("index",), ("people", "log"), ("galleries",)):
        assert "<bool>" not in cli(*words, "--help").out
