"""What all commands share: completion, how much they say, words and examples in the help."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from facesearch import Gallery
from facesearch.cli import app
from facesearch.cli.examples import EXAMPLES
from facesearch.gallery.indexing.known_before import KnownBefore
from facesearch.gallery.indexing.progress import WorkRate
from facesearch.gallery.indexing.tally import Tally
from facesearch.gallery.records.run import Outcome
from facesearch.photos.status import Status
from facesearch.photos.walk import walk
from tests.conftest import Cli
from tests.started import Started


def _commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, each in group.commands.items():
        if hasattr(each, "commands"):
            yield from _commands(each, (*words, name))
        else:
            yield " ".join((*words, name)), each


_ALL = dict(_commands(typer.main.get_command(app)))


def _offered(home: Path, line: str) -> list[str]:
    """What Bash offers at the end of a line."""
    words = line.split(" ")
    told = {"_FACESEARCH_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    command = str(Path(sys.executable).with_name("facesearch"))
    done = subprocess.run(
        [command], env=os.environ | told, capture_output=True, text=True, check=False, cwd=home, timeout=60
    )
    assert done.stderr == ""
    return [offer for offer in done.stdout.split("\n") if offer]


def test_the_shell_completes_galleries_people_and_models(home: Path, album: Path) -> None:
    (album / "Tiger_Woods").rename(album / "Tiger Woods")
    Gallery.open("family", "cpu").index([album], people_from="folder")
    before = sorted(home.rglob("*"))
    assert _offered(home, "facesearch query photo.jpg --gallery f") == ["family"]
    assert _offered(home, "facesearch forget --gallery family T") == ["Tiger\\ Woods"]
    assert _offered(home, "facesearch models show dl") == ["dlib-resnet"]
    assert _offered(home, "facesearch migrate --model mtc") == []  # finds faces, and cannot embed them
    assert _offered(home, "facesearch galleries rename ") == ["family"]
    assert sorted(home.rglob("*")) == before


def test_the_shell_completes_groups_by_their_numbers(home: Path, album: Path) -> None:
    gallery = Gallery.open("default", "cpu")
    gallery.index([album])
    groups = [f"@{person.id}" for person in gallery.people()]
    assert len(groups) >= 3
    assert sorted(_offered(home, "facesearch people join @")) == sorted(groups)
    gallery.name_person(groups[0], "Ann Lee")
    assert _offered(home, "facesearch people name A") == ["Ann\\ Lee"]
    assert sorted(_offered(home, "facesearch people part @")) == sorted(groups[1:])


def test_completion_where_nothing_is_or_all_is_broken_says_nothing(home: Path) -> None:
    assert _offered(home, "facesearch query --gallery ") == []
    assert _offered(home, "facesearch forget --gallery ../../etc T") == []
    (home / "indexes" / "bad").mkdir(parents=True)
    (home / "indexes" / "bad" / "faces.db").write_bytes(b"no database at all, " * 300)
    (home / "models" / "bad.toml").write_text("=")
    assert _offered(home, "facesearch forget --gallery bad T") == []
    assert _offered(home, "facesearch models show mtc") == ["mtcnn"]


def test_completion_takes_no_more_work_than_help(home: Path, album: Path) -> None:
    Gallery.open("family", "cpu").index([album], people_from="folder")
    help_ = Started.of("--help")
    names = [f"facesearch.gallery{module}" for module in ("", ".contents", ".names", ".names.known")]
    for line, offer in (("query --gallery f", "family"), ("forget --gallery family T", "Tiger_Woods")):
        words = f"facesearch {line}"
        told = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        completed = Started.of(_FACESEARCH_COMPLETE="complete_bash", **told)
        assert offer in completed.out
        assert completed.heavy(*names) == []
        assert len(completed.modules) < len(help_.modules)
        assert completed.calls < help_.calls


def test_the_rate_counts_neither_preparation_nor_what_is_unchanged() -> None:
    work = WorkRate()
    assert work.rate == 0
    for batch in range(5):
        for photo in range(8):
            work.add(100 + 2 * batch + photo / 1000)  # 8 photos in 2 seconds, after 100 seconds of other things
    assert work.photos == 40
    assert work.rate == pytest.approx(32 / 8, rel=0.01)


def test_what_a_gallery_knew_before_is_counted_and_what_is_new_or_changed_is_not(home: Path, album: Path) -> None:
    gallery = Gallery.open("family", "cpu")
    assert KnownBefore(gallery.database).count(list(walk(str(album)))) == 0
    gallery.index([album])
    known = KnownBefore(gallery.database)
    first, *_ = sorted(album.rglob("*.jpg"))
    first.write_bytes(first.read_bytes() + b"more")
    (album / "empty.jpg").touch()
    gallery.index([album])  # what is stored now was not known before
    assert known.count(list(walk(str(album)))) == 8


def test_quiet_says_the_answer_alone_and_errors_stay(cli: Cli, album: Path, tmp_path: Path) -> None:
    (album / "empty.jpg").touch()
    loud, quiet = cli("index", album), cli("index", album, "--quiet")
    assert (loud.code, quiet.code) == (7, 7)
    assert "empty.jpg" in loud.err
    assert (quiet.err, "unchanged" in quiet.out) == ("", True)
    failed = cli("query", tmp_path / "nothing.jpg", "-q")
    assert (failed.code, "nothing.jpg" in failed.err) == (3, True)
    assert cli("info", "-q", "-v").code == 2


def test_verbose_names_the_networks_and_each_failure(cli: Cli, album: Path) -> None:
    for number in range(12):  # more than are listed otherwise
        (album / f"empty{number}.jpg").touch()
    said = cli("index", album, "--verbose")
    assert all(f"empty{number}.jpg: the file is empty" in said.err for number in range(12))
    assert "dlib-resnet runs on " in said.err
    assert "runs on" not in cli("index", album).err


@pytest.mark.parametrize("words", EXAMPLES)
def test_each_example_is_a_command_with_options_that_it_has(words: str) -> None:
    for example in EXAMPLES[words]:
        assert example.startswith(words)
        given = shlex.split(example)[len(words.split()) :]
        _ALL[words].make_context(words, given, resilient_parsing=False)  # raises for what it does not take


def test_each_command_has_an_example() -> None:
    assert set(_ALL) == set(EXAMPLES)


_WORDS = {  # of options and arguments that are called so in several commands
    "gallery": "NAME",
    "model": "NAME",
    "detector": "NAME",
    "device": None,
    "threads": "N",
    "batch": "N",
    "seed": "N",
}


def test_one_thing_has_one_word_in_all_commands() -> None:
    for words, command in _ALL.items():
        for parameter in command.params:
            expected = _WORDS.get(parameter.name, parameter.metavar)
            assert parameter.metavar == expected, f"{words} {parameter.name}"
            assert parameter.metavar not in ("DIR", "SRC", "DST", "PERSON", "OLD", "NEW"), f"{words} {parameter.name}"


def test_the_rate_of_a_run_is_that_of_the_photos_that_were_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 1.0, 100.0, 102.0, 104.0, 200.0, 200.0, 200.0))
    monkeypatch.setattr("facesearch.gallery.indexing.tally.time.perf_counter", lambda: next(clock))
    tally = Tally("family")
    tally.add(Outcome("a.jpg", Status.OK, 1, done="unchanged"))
    tally.begin_working()
    tally.add(Outcome("b.jpg", Status.OK, 1))
    tally.add(Outcome("c.jpg", Status.OK, 1))
    tally.add(Outcome("d.jpg", Status.OK, 1, done="unchanged"))
    assert tally.summary().photos_per_second == 2 / (104 - 100)
