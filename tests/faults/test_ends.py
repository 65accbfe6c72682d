"""Every end of a command has its meaning: 1 is an honest no, and what nobody foresaw is 3, with one sentence."""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facesearch import Gallery

_FACESEARCH = str(Path(sys.executable).with_name("facesearch"))
_NOBODY = 65534
_DROP = 24  # PR_CAPBSET_DROP
_STRONGER = (1, 2, 3)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(home: Path) -> Run:
    def start(*words: object, **how: Any) -> "subprocess.CompletedProcess[str]":
        settings: dict[str, Any] = {"cwd": home, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
        settings["env"] = os.environ | settings.get("env", {})
        return subprocess.run(
            [_FACESEARCH, *map(str, words)], text=True, errors="replace", check=False, timeout=120, **settings
        )

    return start


def _assert_one_sentence(said: "subprocess.CompletedProcess[str]", code: int = 3) -> None:
    assert said.returncode == code, said.stderr
    assert "Traceback" not in said.stderr
    assert said.stderr.count("\n") == 1, said.stderr


@pytest.mark.parametrize("words", [("models", "list"), ("models", "list", "--json"), ("--version",)])
def test_a_full_disk_behind_stdout(run: Run, words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        _assert_one_sentence(run(*words, stdout=full))
        assert run(*words, stdout=full, stderr=full).returncode == 3
        assert run("models", "show", "nobody", stderr=full).returncode == 6


@pytest.mark.parametrize("words", [("models", "list"), ("models", "list", "--json"), ("--help",), ("--version",)])
def test_a_reader_that_has_seen_enough(run: Run, words: tuple[str, ...]) -> None:
    come, go = os.pipe()
    os.close(come)
    said = run(*words, stdout=go)
    os.close(go)
    assert (said.returncode, said.stderr) == (0, "")


def test_different_people_stay_different_when_nobody_reads_it(
    run: Run, photo_of: Callable[..., Path], astronaut_file: Path
) -> None:
    come, go = os.pipe()
    os.close(come)
    assert run("verify", astronaut_file, photo_of("Tiger_Woods", 4), stdout=go).returncode == 1
    os.close(go)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_streams_that_are_closed(run: Run, closed: tuple[int, ...], home: Path, astronaut_file: Path) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    assert run("index", astronaut_file, preexec_fn=close).returncode == 0
    assert run("query", astronaut_file, preexec_fn=close).returncode == 0
    assert run("models", "show", "nobody", preexec_fn=close).returncode == 6


# Several commands in one process, as their own `main` prepares it; their words are bytes in hexadecimal digits.
_SEVERAL = """
import os, sys
from facesearch.cli import exits, run
from facesearch.files import keep_private
from facesearch.libraries import settle_all
keep_private()
settle_all()
exits.prepare_process()
codes, *commands = sys.argv[1:]
for command in commands:
    sys.argv = ["facesearch", *(os.fsdecode(bytes.fromhex(word)) for word in command.split())]
    with open(codes, "a") as file:
        print(run(), file=file)
"""


@pytest.mark.parametrize(
    "terminal",
    [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}],
)
def test_a_terminal_that_cannot_show_every_letter(
    terminal: dict[str, str], home: Path, cli: Callable[..., Any], names_of_any_kind: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "李雷"
    folder.mkdir()
    names = names_of_any_kind(folder)
    assert cli("index", folder, "--people-from", "folder").code == 0
    commands: tuple[tuple[object, ...], ...] = (
        ("query", folder / names[0], "--faces", "--k", "20"),
        ("query", folder / names[0]),
        ("info",),
        ("check",),
        ("verify", folder / names[3], folder / names[4]),
        ("models", "list"),
        ("forget", "王芳"),
    )
    given = [" ".join(os.fsencode(str(word)).hex() for word in words) for words in commands]
    said = subprocess.run(
        [sys.executable, "-c", _SEVERAL, str(tmp_path / "codes"), *given],
        env=os.environ | terminal | {"PYTHONUTF8": "0"},
        cwd=home,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=300,
    )
    assert said.returncode == 0, said.stderr
    assert (tmp_path / "codes").read_text().split() == ["0"] * 6 + ["2"], said.stderr
    assert "\x1b" not in said.stdout + said.stderr


def _as_a_file(place: Path) -> None:
    place.write_text("")


def _as_a_dangling_link(place: Path) -> None:
    place.symlink_to(place.with_name("nowhere") / "inside")


@pytest.mark.parametrize("spoil", [_as_a_file, _as_a_dangling_link])
@pytest.mark.parametrize("place", ["home", "indexes", "indexes/default", "indexes/default/faces.lock", "cache"])
def test_a_place_that_cannot_be_written(
    place: str, spoil: Callable[[Path], None], run: Run, tmp_path: Path, models_home: Path, astronaut_file: Path
) -> None:
    top = tmp_path / "top"
    spoiled = top / place if place != "home" else top
    spoiled.parent.mkdir(parents=True, exist_ok=True)
    if place != "home":
        top.chmod(0o700)
        (top / "models").symlink_to(models_home / "models")
    if "lock" not in place or spoil is _as_a_dangling_link:
        spoil(spoiled)
    else:
        spoiled.mkdir(parents=True)  # an empty file is a lock like any other
    said = run("index", astronaut_file, env={"FACESEARCH_HOME": str(top)})
    if place == "cache":
        assert said.returncode == 0
    else:
        assert said.returncode == 3, said.stderr
        assert "Traceback" not in said.stderr
        assert str(spoiled) in said.stderr
    # A gallery that cannot be read is not an honest no.
    assert run("query", astronaut_file, env={"FACESEARCH_HOME": str(top)}).returncode in (0, 3, 5)


def test_a_name_of_300_letters(run: Run, astronaut_file: Path) -> None:
    _assert_one_sentence(run("index", astronaut_file, "--gallery", "x" * 300), 2)
    _assert_one_sentence(run("info", "--gallery", "x" * 300), 2)
    assert run("query", "x" * 300).returncode in (3, 5)


def test_the_current_folder_is_gone(run: Run, tmp_path: Path, astronaut_file: Path, cli: Callable[..., Any]) -> None:
    assert cli("index", astronaut_file).code == 0
    gone = tmp_path / "gone"
    gone.mkdir()

    def leave() -> None:
        os.chdir(gone)
        gone.rmdir()

    def start(*words: object) -> "subprocess.CompletedProcess[str]":
        gone.mkdir(exist_ok=True)
        return run(*words, preexec_fn=leave, cwd=None)

    assert start("query", astronaut_file).returncode == 0
    assert start("index", astronaut_file).returncode == 0
    assert start("verify", astronaut_file, astronaut_file).returncode == 0
    _assert_one_sentence(start("index", "photos"))
    assert start("query", "photo.jpg").returncode == 3
    _assert_one_sentence(start("verify", "a.jpg", "b.jpg"))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), 3),
        (RecursionError("maximum recursion depth exceeded"), 3),
        (KeyError("x"), 3),
        (OSError("no number"), 3),
        (BrokenPipeError(32, "Broken pipe"), 3),
        (ValueError("two\nlines \x1b[31m"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_what_nobody_foresaw(
    error: BaseException, code: int, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("facesearch.gallery.search.answers.compare", fail)
    said = cli("verify", "a.jpg", "b.jpg")
    assert (said.code, said.err.count("\n")) == (code, 1)
    assert "\x1b" not in said.err
    monkeypatch.setenv("FACESEARCH_DEBUG", "1")
    said = cli("verify", "a.jpg", "b.jpg")
    assert said.code == code
    assert "Traceback" in said.err


def test_an_interruption_says_what_is_true_of_the_command(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*words: object, **_: object) -> None:
        raise KeyboardInterrupt(*words)

    monkeypatch.setattr("facesearch.gallery.gallery.Gallery.index", lambda *_, **__: interrupted())
    monkeypatch.setattr("facesearch.gallery.search.answers.compare", lambda *_, **__: interrupted())
    said = cli("index", tmp_path), cli("verify", "a.jpg", "b.jpg")
    assert [each.code for each in said] == [130, 130]
    assert "is stored" in said[0].err
    assert "nothing was changed" in said[1].err
    monkeypatch.setattr(
        "facesearch.gallery.gallery.Gallery.index", lambda *_, **__: interrupted("Half of it is done.")
    )
    assert cli("index", tmp_path).err == "Half of it is done.\n"


def test_words_that_are_refused_do_not_reach_the_terminal_raw(run: Run) -> None:
    for words in (
        ("index", "--\x1b[31m"),
        ("\x1b]0;title\x07",),
        ("query", "x.jpg", "--k", "\x1b[2J"),
        ("models", "show", "\x1b[31m"),
        ("info", "--gallery", "\x1b[31m"),
    ):
        said = run(*words)
        assert said.returncode in (2, 6), said.stderr
        assert "\x1b" not in said.stderr + said.stdout
        assert "\x07" not in said.stderr + said.stdout
        assert "Traceback" not in said.stderr


def _as_another_user(home: Path) -> Callable[[], None]:
    """What a process must do to see this home as another user's, or as its owner without the right to write: root
    loses the capabilities that make it stronger than the rights of files."""
    for path in (home, *home.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)
            if os.geteuid() == 0:
                os.chown(path, _NOBODY, _NOBODY)
    drop = ctypes.CDLL(None, use_errno=True).prctl

    def without_capabilities() -> None:
        if os.geteuid() == 0:
            for capability in _STRONGER:
                drop(_DROP, capability, 0, 0, 0)

    return without_capabilities


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
@pytest.mark.parametrize("what", ["vectors", "lock", "all but the database"])
def test_a_gallery_of_another_user_answers_from_its_database(
    what: str, home: Path, run: Run, astronaut_file: Path, cli: Callable[..., Any]
) -> None:
    assert cli("index", astronaut_file).code == 0
    gallery = Gallery.open()
    for path in gallery.directory.iterdir():
        if path.name != "faces.db" and (what == "all but the database" or what in ("vectors", path.suffix[1:])):
            path.unlink()
    gallery.vectors.unlink(missing_ok=True)
    other = _as_another_user(home)
    try:
        said = run("query", astronaut_file, preexec_fn=other, cwd="/")
        assert said.returncode == 0, said.stderr
        assert "from the database" in said.stderr
        assert run("info", preexec_fn=other, cwd="/").returncode == 0
        said = run("index", astronaut_file, preexec_fn=other, cwd="/")
        assert said.returncode == 3, said.stderr
        assert "Traceback" not in said.stderr
    finally:
        for path in (home, *home.rglob("*")):
            if not path.is_symlink():
                os.chown(path, os.geteuid(), os.getegid())
                path.chmod(0o700 if path.is_dir() else 0o600)


# A system without a place for temporary files, as a container whose disk is read-only

_NO_TEMPORARY_FOLDER = """
import os, tempfile
tempfile._candidate_tempdir_list = lambda: [os.environ.get("TMPDIR", "/nowhere")]
"""


@pytest.mark.parametrize("prepared", [True, False])
def test_no_command_needs_the_systems_temporary_folder(
    prepared: bool, home: Path, tmp_path: Path, astronaut_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_NO_TEMPORARY_FOLDER)
    (tmp_path / "photos").mkdir()
    shutil.copy(astronaut_file, tmp_path / "photos")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)
    monkeypatch.setenv("TMPDIR", "/nowhere")
    if not prepared:
        monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "fresh"))
    facesearch = str(Path(sys.executable).with_name("facesearch"))
    for words in (
        ("index", tmp_path / "photos"),
        *([("query", astronaut_file), ("verify", astronaut_file, astronaut_file)] if prepared else []),
    ):
        done = subprocess.run([facesearch, *map(str, words)], capture_output=True, text=True, check=False, cwd="/")
        assert done.returncode == 0, (words, done)
