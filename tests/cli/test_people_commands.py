"""`facesearch people`: what each command prints and does, the exit code of each outcome, and what is asked in a
terminal."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from select import select

import cv2
import pytest

from facesearch import Gallery
from tests.conftest import Cli

_PEOPLE = ("Abdullah_Gul", "Angelina_Jolie", "Tiger_Woods")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_SECONDS = 60  # that a command may take, at most


def _photo(album: Path, person: str, number: int) -> str:
    return f"{album / person / f'{person}_{number:04d}.jpg'}#1"


@pytest.fixture
def groups(home: Path, cli: Cli, album: Path) -> list[int]:
    """The album, in which the largest faces of each of three people are a group without a name; the groups' ids."""
    assert cli("index", album).code == 0
    ids = []
    for person in _PEOPLE:
        said = cli("people", "join", *(_photo(album, person, number) for number in (1, 2, 3)))
        assert said.code == 0 or "one already" in said.err, said.err
        ids.append(Gallery.open("default", "cpu").faces_of(_photo(album, person, 1))[0].person or 0)
    return ids


def _people(cli: Cli) -> dict[int, str | None]:
    return {each["id"]: each["name"] for each in json.loads(cli("people", "--json").out)}


def test_the_list_has_names_first_and_fits_into_80_columns(
    cli: Cli, groups: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli("people", "name", f"@{groups[2]}", "Tiger " * 9).code == 0
    said = cli("people")
    assert said.code == 0
    assert said.out.index("Tiger") < said.out.index(f"@{groups[0]} ")
    assert all(len(line) <= 80 for line in said.out.split("\n"))
    assert "1 person has a name" in said.out
    assert cli("people", "list").out == said.out
    few = cli("people", "--n", 1)
    assert "--all" in few.err
    assert f"@{groups[0]} " not in few.out
    unnamed = json.loads(cli("people", "--unnamed", "--min-photos", 3, "--json").out)
    assert [each["id"] for each in unnamed] == groups[:2]
    assert unnamed[0].items() >= {"name": None, "kind": "person", "photos": 3, "faces": 3}.items()


def test_an_option_before_a_command_is_refused(cli: Cli, groups: list[int]) -> None:
    said = cli("people", "--gallery", "default", "log")
    assert said.code == 2
    assert "facesearch people log ... --gallery" in said.err


def test_each_verb_says_what_it_did_and_undo_takes_it_back(cli: Cli, groups: list[int], album: Path) -> None:
    first, second, third = groups
    before = cli("people", "--json", "--hidden").out
    face = Gallery.open("default", "cpu").faces_of(first)[-1].face_id
    for words in (
        ("name", f"@{first}", "Ann"),
        ("join", f"@{first}", f"@{second}"),
        ("part", f"@{first}", "--faces", face),
        ("part", f"@{first}", "--photos", album / _PEOPLE[0] / f"{_PEOPLE[0]}_0001.jpg"),
        ("ignore", f"@{third}"),
        ("hide", f"@{third}"),
        ("not-a-face", face),
        ("collage", album / _PEOPLE[0] / f"{_PEOPLE[0]}_0001.jpg"),
    ):
        done = cli("people", *words)
        assert (done.code, bool(done.out)) == (0, True), (words, done.err)
        log = json.loads(cli("people", "log", "--json").out)
        assert (log[0]["verb"], log[0]["undone_at"]) == (words[0], None)
        undone = cli("people", "undo")
        assert (undone.code, bool(undone.out)) == (0, True), (words, undone.err)
        assert cli("people", "--json", "--hidden").out == before, words
        again = cli("people", "undo", json.loads(cli("people", "log", "--json").out)[0]["change"])
        assert again.out == undone.out.replace("Undid", "Did").replace(":", " again:", 1)
        assert cli("people", "undo").out == undone.out


def test_all_faces_are_grouped_again_and_what_was_said_stays(cli: Cli, groups: list[int]) -> None:
    assert cli("people", "name", f"@{groups[0]}", "Ann").code == 0
    before = _people(cli)
    dry = json.loads(cli("people", "group", "--again", "--mode", "eager", "--dry-run", "--json").out)
    assert (dry["mode"], dry["dry_run"]) == ("eager", True)
    said = cli("people", "group", "--again")
    assert said.code == 0
    assert "careful" in said.err
    assert _people(cli) == before


def test_words_that_do_not_fit_end_with_2_and_say_what_to_type(cli: Cli, groups: list[int]) -> None:
    first, second, third = groups
    assert cli("people", "name", f"@{first}", "Ann").code == 0
    assert cli("people", "name", f"@{second}", "Bob").code == 0
    for words, advice in (
        (("name", f"@{third}", "Ann"), "--same"),
        (("name", f"@{third}", "Ann", "--same", "--other"), "leave one out"),
        (("name",), "people name @17 Ann"),
        (("name", f"@{third}"), "Ann"),
        (("name", "@999999", "Ann"), "facesearch people"),
        (("name", f"@{third}", "  "), ""),
        (("join", "Ann"), "at least two"),
        (("join", "Ann", "Bob"), "--into"),
        (("part", "Ann"), "--faces 12,13"),
        (("part", "Ann", "--faces", "first"), "first"),
        (("ignore",), "--unnamed-below"),
        (("not-a-face", "x"), "no id of a face"),
        (("sheet",), "--open"),
        (("sheet", "Ann"), "faces.jpg"),
        (("sheet", "Ann", "faces.txt"), ".jpg"),
        (("ask", "--answers", "1y"), "--sheet"),
    ):
        said = cli("people", *words)
        assert (said.code, said.out) == (2, ""), (words, said)
        assert advice in said.err, (words, said.err)
    assert _people(cli) == {first: "Ann", second: "Bob", third: None}
    assert cli("people", "name", f"@{third}", "Ann", "--same").code == 0
    assert _people(cli) == {first: "Ann", second: "Bob"}


def test_no_gallery_ends_with_5_in_each_command(cli: Cli, home: Path) -> None:
    for words in (
        (), ("name", "@1", "Ann"), ("join", "@1", "@2"), ("part", "@1", "--faces", 1), ("ignore", "@1"), ("ask",),
        ("not-a-face", 1), ("collage", "a.jpg"), ("move", 1, "--to", "Ann"), ("cover", "@1", 1),
        ("mark", "a.jpg", "Ann", "--box", "1,2,3,4"), ("undo",), ("log",), ("sheet", "@1", "--open"), ("group",),
    ):  # fmt: skip
        said = cli("people", *words)
        assert (said.code, said.out) == (5, ""), (words, said)
        assert "There is no gallery 'default'" in said.err
    assert not (home / "indexes").exists()


def test_the_faces_of_a_person_are_listed_with_the_ids_that_part_takes(
    cli: Cli, groups: list[int], album: Path
) -> None:
    listed = json.loads(cli("people", "faces", f"@{groups[0]}", "--json").out)
    assert {Path(each["photo"]).parent.name for each in listed} == {_PEOPLE[0]}
    said = cli("people", "faces", f"@{groups[0]}")
    assert [line.split()[0] for line in said.out.split("\n") if ".jpg" in line] == [str(f["face_id"]) for f in listed]
    assert cli("people", "part", f"@{groups[0]}", "--faces", listed[0]["face_id"]).code == 0
    assert len(json.loads(cli("people", "faces", f"@{groups[0]}", "--json").out)) == 2


def test_a_sheet_of_a_person_and_one_of_groups_are_drawn(cli: Cli, groups: list[int], tmp_path: Path) -> None:
    person, unnamed = tmp_path / "ann.jpg", tmp_path / "groups.png"
    assert cli("people", "sheet", f"@{groups[0]}", person).code == 0
    assert cli("people", "sheet", "--unnamed", unnamed).code == 0
    three, rows = cv2.imread(str(person)), cv2.imread(str(unnamed))
    assert three is not None
    assert rows is not None
    assert three.shape[1] > three.shape[0]
    assert rows.shape[0] > 2 * three.shape[0] - 100  # a row for each of three groups
    person.write_bytes(b"a photo of the user's")
    assert cli("people", "sheet", f"@{groups[0]}", person).code == 2
    assert person.read_bytes() == b"a photo of the user's"


# Questions


@pytest.fixture
def asked(home: Path, groups: list[int]) -> list[int]:
    """The groups, with two questions waiting: first whether the first and the second are one person, then whether the
    second and the third are."""
    faces = [Gallery.open("default", "cpu").faces_of(group)[0].face_id for group in groups]
    with closing(sqlite3.connect(home / "indexes" / "default" / "faces.db")) as conn, conn:
        conn.execute("DELETE FROM suggestions")
        for a, b, margin in ((faces[0], faces[1], -0.001), (faces[1], faces[2], -0.002)):
            conn.execute("INSERT INTO suggestions VALUES ('same', ?, ?, ?)", (min(a, b), max(a, b), margin))
    return groups


def test_without_a_terminal_questions_are_drawn_and_the_numbers_of_that_picture_are_answered(
    cli: Cli, asked: list[int], tmp_path: Path
) -> None:
    sheet = tmp_path / "q.jpg"
    said = cli("people", "ask", "--sheet", sheet)
    assert (said.code, len(said.out.strip().split("\n"))) == (0, 2)
    assert f"--sheet {sheet} --answers" in said.err
    assert cli("people", "name", f"@{asked[1]}", "Bob").code == 0  # whatever is done between
    before = _people(cli)
    for bad in ("", "1", "1x", "3y", "1y 1n"):
        assert cli("people", "ask", "--sheet", sheet, "--answers", bad).code == 2, bad
    assert _people(cli) == before
    assert cli("people", "ask", "--sheet", sheet, "--answers", "2n,1y").code == 0
    assert _people(cli) == {asked[1]: "Bob", asked[2]: None}
    again = cli("people", "ask", "--sheet", sheet, "--answers", "1n 2y")
    assert (again.code, again.out) == (1, "")
    assert "no longer asked" in again.err
    assert "Nothing is to be asked" in cli("people", "ask").err


def test_questions_as_json_have_the_numbers_of_the_gallerys_own_sheet(cli: Cli, asked: list[int], home: Path) -> None:
    questions = json.loads(cli("people", "ask", "--json").out)
    assert [(each["number"], each["kind"]) for each in questions] == [(1, "same"), (2, "same")]
    assert {each["person_a"]["id"] for each in questions} | {each["person_b"]["id"] for each in questions} == {*asked}
    sheet = home / "indexes" / "default" / "sheet.jpg"
    assert sheet.stat().st_mode & 0o777 == 0o600
    assert json.loads(cli("people", "ask", "--answers", "2n", "--json").out)[0]["number"] == 2


# In a terminal


class Terminal:
    """A command in a terminal of its own, into which keys are typed once it has asked for them."""

    def __init__(self, words: Sequence[object], kind: str) -> None:
        import pty

        self._end, theirs = pty.openpty()
        env = os.environ | {"TERM": kind, "COLORTERM": "truecolor", "COLUMNS": "80", "LINES": "24"}
        command = [str(Path(sys.executable).with_name("facesearch")), "people", *map(str, words)]
        self._process = subprocess.Popen(command, env=env, pass_fds=[theirs], preexec_fn=lambda: os.login_tty(theirs))
        os.close(theirs)
        self.text = ""

    def type(self, keys: str, after: str) -> str:
        """Types keys as soon as this was said; what was said until then."""
        said = self._until(after)
        os.write(self._end, keys.encode())
        return said

    def code(self) -> int:
        """The exit code, at the end."""
        self._until(None)
        return self._process.wait(_SECONDS)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._end)

    def _until(self, text: str | None) -> str:
        start, end = len(self.text), time.monotonic() + _SECONDS
        while text is None or text not in self.text[start:]:
            assert time.monotonic() < end, self.text.replace("▀", "")
            if not select([self._end], [], [], 1)[0]:
                continue
            try:
                data = os.read(self._end, 65536)
            except OSError:  # Linux's end of a terminal
                data = b""
            if not data:
                assert text is None, self.text.replace("▀", "")
                break
            self.text += _COLOUR.sub("", data.decode(errors="replace"))
        return self.text[start:]


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    if sys.platform == "win32":
        pytest.skip("Windows has no such terminals")
    opened = []

    def start(*words: object, kind: str = "xterm-256color") -> Terminal:
        opened.append(Terminal(words, kind))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_a_question_is_answered_by_a_key_and_taken_back_by_another(
    cli: Cli, asked: list[int], terminal: Callable[..., Terminal]
) -> None:
    ask = terminal("ask")
    faces = ask.type("y", "\n  > ")
    assert faces.count("▀") > 2 * 24 * 12  # faces of 24 x 24 pixels at least, on both sides
    ask.type("u", "\n  > ")
    assert "Taken back" in ask.type("n", "\n  > ")
    ask.type("s", "\n  > ")
    assert ask.code() == 0
    assert "1 question answered" in ask.text
    assert len(_people(cli)) == 3  # they were joined, and are not
    assert len(json.loads(cli("people", "ask", "--json").out)) == 1


def test_groups_are_named_one_after_the_other(cli: Cli, groups: list[int], terminal: Callable[..., Terminal]) -> None:
    name = terminal("name")
    name.type("?\n", "1 of 3")
    name.type("Ann Lee\n", "1 of 3")
    name.type("<\n", "2 of 3")
    name.type("Bob\n", "1 of 3")
    name.type("bo\t\n", "2 of 3")  # Tab makes it Bob
    name.type("y", "the same person?")
    name.type("-\n", "3 of 3")
    assert name.code() == 0
    assert "3 groups named" in name.text
    assert list(_people(cli).values()) == ["Bob"]
    assert [each["kind"] for each in json.loads(cli("people", "--hidden", "--json").out)] == ["person", "stranger"]


def test_what_was_answered_before_ctrl_c_stays(
    cli: Cli, groups: list[int], terminal: Callable[..., Terminal]
) -> None:
    name = terminal("name")
    name.type("Ann\n", "1 of 3")
    name.type("\x03", "2 of 3")
    assert name.code() == 130
    assert "what you have answered is stored" in " ".join(name.text.split())
    assert list(_people(cli).values()) == ["Ann", None, None]


def test_a_terminal_without_colours_gets_a_picture(
    cli: Cli, groups: list[int], home: Path, terminal: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # no program there shows pictures
    name = terminal("name", kind="dumb")
    assert "▀" not in name.type("\x04", "1 of 3")
    assert name.code() == 0
    assert f"The sheet is {home / 'indexes' / 'default' / 'sheet.jpg'}" in name.text.replace("\r\n", "")
