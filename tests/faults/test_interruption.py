"""Runs that are ended from outside: asked to, twice, or killed at any moment."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from facesearch import interruption
from tests.models.second_model import keep_second_model

_COPIES = 150
_LONG = 240  # seconds, for what ends in some on a machine with nothing else to do


@pytest.fixture
def crowd(tmp_path: Path, photo_of: Callable[..., Path]) -> Path:
    """Photos for some seconds of work."""
    folder = tmp_path / "crowd"
    folder.mkdir()
    for i in range(_COPIES):
        photo = photo_of(("Tiger_Woods", "Abdullah_Gul", "Angelina_Jolie")[i % 3], 1 + i % 7)
        (folder / f"{i:03d}.jpg").write_bytes(photo.read_bytes() + i.to_bytes(2))
    return folder


def _begin(folder: Path) -> "subprocess.Popen[str]":
    """An index that has few photos in hand at a time, however many cores the machine has."""
    words = ["index", str(folder), "--json", "--device", "cpu", "--threads", "2", "--batch", "8"]
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("facesearch")), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what runs in the background deaf to Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def _begin_to_migrate(model: str) -> "subprocess.Popen[str]":
    words = ["migrate", "--model", model, "--device", "cpu", "--threads", "2", "--batch", "8"]
    command = [str(Path(sys.executable).with_name("facesearch")), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _aside(home: Path) -> int:
    """How many faces have an embedding of the model to which the gallery is being changed."""
    with closing(sqlite3.connect(home / "indexes" / "default" / "faces.db")) as conn:
        return int(conn.execute("SELECT count(*) FROM migrated").fetchone()[0])


def _stored(home: Path, trusted: Any) -> int:
    try:
        return len(trusted.dump(home))
    except Exception:  # there is none yet
        return 0


def _wait_until_some_are_stored(home: Path, trusted: Any) -> None:
    deadline = time.monotonic() + _LONG
    while not _stored(home, trusted) and time.monotonic() < deadline:
        time.sleep(0.02)


def _assert_it_goes_on(home: Path, folder: Path, stored: int) -> None:
    rest = _begin(folder)
    out, _ = rest.communicate(timeout=_LONG)
    assert rest.returncode == 0
    assert json.loads(out)["photos"].get("unchanged", 0) == stored
    assert sum(json.loads(out)["photos"].values()) == _COPIES


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_soon_and_well(number: int, home: Path, crowd: Path, trusted: Any) -> None:
    run = _begin(crowd)
    _wait_until_some_are_stored(home, trusted)
    before = trusted.dump(home)
    asked = time.monotonic()
    run.send_signal(number)
    _, err = run.communicate(timeout=_LONG)
    took = time.monotonic() - asked
    print(f"{signal.Signals(number).name}: ended after {took:.2f} s")
    assert run.returncode == 130
    assert err.strip().split("\n")[-1].startswith("Interrupted; what was finished is stored")
    assert took < _LONG / 4  # and it did not go on to its end, see below
    trusted.sound(home, before)
    after = trusted.dump(home)
    assert len(before) <= len(after) < _COPIES
    assert {row[1] for row in after} == {"ok"}  # what the end itself broke off was not noted as broken
    _assert_it_goes_on(home, crowd, len(after))


def test_a_second_interruption_ends_it_at_once(home: Path, crowd: Path, trusted: Any) -> None:
    run = _begin(crowd)
    _wait_until_some_are_stored(home, trusted)
    run.send_signal(signal.SIGINT)
    time.sleep(0.02)
    asked = time.monotonic()
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=_LONG)
    print(f"twice: ended after {time.monotonic() - asked:.2f} s")
    assert run.returncode == 130
    trusted.sound(home)
    _assert_it_goes_on(home, crowd, _stored(home, trusted))


def test_a_killed_change_of_the_model_leaves_the_old_gallery_and_goes_on(
    home: Path, crowd: Path, trusted: Any
) -> None:
    model = keep_second_model()
    _begin(crowd).communicate(timeout=_LONG)
    before = trusted.dump(home)
    run = _begin_to_migrate(model)
    deadline = time.monotonic() + _LONG
    while not _aside(home) and time.monotonic() < deadline:
        time.sleep(0.02)
    run.kill()
    run.communicate()
    done = _aside(home)
    assert 0 < done < _COPIES
    assert trusted.dump(home) == before
    _, err = _begin_to_migrate(model).communicate(timeout=_LONG)
    assert f"{done:,} of" in err
    after = trusted.dump(home)
    assert [row[:8] for row in after] == [row[:8] for row in before]
    old = {face[6] for row in before for face in row[8:]}
    assert old.isdisjoint(face[6] for row in after for face in row[8:])


@pytest.mark.parametrize("times", [3, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_killed_at_random_times(times: int, home: Path, crowd: Path, trusted: Any) -> None:
    """A run that is killed again and again comes to its end: each goes on where the one before was killed."""
    chosen = random.Random(times)
    before: list[Any] = []
    rounds = 0
    clean = None
    for _ in range(times):
        run = _begin(crowd)
        try:
            run.communicate(timeout=chosen.uniform(0.5, 2.5))
        except subprocess.TimeoutExpired:
            run.kill()
            run.communicate()
        trusted.sound(home, before)
        before = trusted.dump(home) if _stored(home, trusted) else []
        if len(before) == _COPIES and run.returncode == 0:
            rounds += 1
            assert clean is None or before == clean
            clean = before
            for path in (home / "indexes" / "default").iterdir():
                path.unlink()
            before = []
    print(f"killed {times} times; {rounds} galleries came to their end all the same, all alike")
    run = _begin(crowd)
    run.communicate(timeout=_LONG)
    assert run.returncode == 0
    trusted.whole(home, trusted.album(crowd), trusted.dump(home))
    assert clean is None or trusted.dump(home) == clean


_DEAF = """
import hashlib
from facesearch import interruption
interruption.listen()
interruption.watch(lambda text: print(text, flush=True))
words = ["begun"]
while True:
    try:
        while words:
            print(words.pop(), flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # hours in which Python handles no signal; threads run
    except KeyboardInterrupt:  # it came before the library was entered
        pass
"""


def test_an_interruption_is_answered_within_a_second_even_inside_of_a_library() -> None:
    """The second is what it waits before it says so; how long a busy machine then takes is its own affair."""
    assert interruption._SOON < 1
    run = subprocess.Popen([sys.executable, "-c", _DEAF], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    try:
        assert run.stdout.readline() == "begun\n"
        run.send_signal(signal.SIGINT)
        assert run.stdout.readline().startswith("Stopping")  # hours before the library is left
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=_LONG) == 130
    finally:
        run.kill()
        run.communicate()


@pytest.fixture
def listening() -> Iterator[list[str]]:
    """What was done, while interruptions are listened to."""
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    interruption.listen()
    yield []
    interruption.listen()
    for each, handler in zip((signal.SIGINT, signal.SIGTERM), handlers, strict=True):
        signal.signal(each, handler)


def test_an_interruption_is_raised_where_nothing_else_is_said(listening: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_an_orderly_end_is_asked_for_and_then_raised(listening: list[str]) -> None:
    def work() -> None:
        with interruption.orderly(lambda: listening.append("asked")):
            signal.raise_signal(signal.SIGTERM)
            listening.append("done")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert listening == ["asked", "done"]


def test_a_long_step_is_not_waited_for(listening: list[str]) -> None:
    def work() -> None:
        with interruption.orderly(lambda: listening.append("asked")):
            with interruption.at_once():
                signal.raise_signal(signal.SIGINT)
                listening.append("done")
            listening.append("more done")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert listening == []


def test_a_long_step_is_not_begun_after_an_interruption(listening: list[str]) -> None:
    def work() -> None:
        with interruption.orderly(lambda: listening.append("asked")):
            signal.raise_signal(signal.SIGINT)
            with interruption.at_once():
                listening.append("done")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert listening == ["asked"]
