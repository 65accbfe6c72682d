"""All commands at once on one gallery, whose photos come, change, move and go meanwhile, and whose processes are
killed at random times: in the end it is sound, and holds what one holds that nothing ever happened to."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_PEOPLE = ("Tiger_Woods", "Abdullah_Gul", "Angelina_Jolie", "Tony_Blair")
_EACH = 12  # photos of a person at the start
_AT_ONCE = 4  # commands, beside who changes the photos
_KILLED = 0.3  # share of the commands
_FACESEARCH = str(Path(sys.executable).with_name("facesearch"))

# What a command may end with while others write, kill and change: never "damaged", never a traceback.
_ENDS = {
    "index": {0, 7, 8},
    "query": {0, 3, 4, 7},
    "verify": {0, 1, 3, 4},
    "info": {0},
    "check": {0, 1},
    "forget": {0, 2, 3, 8},
    "repair": {0, 7, 8},
    "calibrate": {0, 3, 8},
}


class Storm:
    """Commands on threads of their own, until the time is over."""

    def __init__(self, album: Path, photo: Callable[..., Path], seconds: float, seed: int) -> None:
        self._album, self._photo = album, photo
        self._until = time.monotonic() + seconds
        self._chosen = random.Random(seed)
        self._turn = threading.Lock()  # of who draws, and of who changes a photo
        self.ends: Counter[tuple[str, int]] = Counter()
        self.wrong: list[str] = []
        self.killed = 0
        self.changed = 0

    def rage(self) -> None:
        """Returns when all is over."""
        workers = [threading.Thread(target=self._run_commands) for _ in range(_AT_ONCE)]
        workers.append(threading.Thread(target=self._change_photos))
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _run_commands(self) -> None:
        while time.monotonic() < self._until:
            with self._turn:
                words = self._some_command()
                kill = self._chosen.random() < _KILLED and self._chosen.choice(
                    (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
                )
                after = self._chosen.uniform(0.05, 4)
            self._run(words, kill, after)

    def _run(self, words: list[str], kill: int, after: float) -> None:
        run = subprocess.Popen(
            [_FACESEARCH, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            out, err = run.communicate(timeout=after if kill else 300)
        except subprocess.TimeoutExpired:
            run.send_signal(kill or signal.SIGKILL)
            if not kill:
                self.wrong.append(f"{words} did not end")
            self.killed += 1
            out, err = run.communicate(timeout=60)
        self.ends[words[0], run.returncode] += 1
        allowed = _ENDS[words[0]] | ({-kill, 130} if kill else set())
        # Python itself may be interrupted before the command begins, and says so in its own way.
        if run.returncode not in allowed or ("Traceback" in err and not kill):
            self.wrong.append(f"{words} ended with {run.returncode}: {out[-300:]} {err[-600:]}")

    def _some_command(self) -> list[str]:
        chosen = self._chosen
        photos = [str(path) for path in sorted(self._album.rglob("*.jpg"))]
        one, other, somebody = chosen.choice(photos), chosen.choice(photos), chosen.choice(_PEOPLE)
        folder = str(self._album / somebody)
        return chosen.choice(
            (
                ["index", str(self._album), "--people-from", "folder"],
                ["index", str(self._album), "--json", "--batch", "4"],
                ["index", folder, str(self._album / "nowhere"), str(self._album)],
                ["query", one, "--k", "3"],
                ["query", one, other, folder, "--json"],
                ["query", one, "--sheet", str(self._album.parent / f"{chosen.random()}.png")],
                ["verify", one, other],
                ["info"],
                ["info", "--json"],
                ["check"],
                ["check", "--photos", "--json"],
                ["forget", "--missing", "--yes"],
                ["forget", one, "--yes"],
                ["forget", _PEOPLE[-1], "--yes"],
                ["repair"],
                ["calibrate"],
            )
        )

    def _change_photos(self) -> None:
        """A photo comes, changes, moves or goes."""
        number = 0
        while time.monotonic() < self._until:
            time.sleep(0.3)
            number += 1
            with self._turn:
                person = self._album / self._chosen.choice(_PEOPLE)
                photos = sorted(self._album.rglob("*.jpg"))
                one = self._chosen.choice(photos)
                match self._chosen.randrange(5):
                    case 0:
                        of = self._chosen.choice(_PEOPLE)
                        data = self._photo(of, self._chosen.randint(1, 8)).read_bytes()
                        (person / f"new{number}.jpg").write_bytes(data + number.to_bytes(4))
                    case 1:
                        os.utime(one)
                    case 2:
                        one.rename(person / f"moved{number}.jpg")
                    case 3 if len(photos) > _EACH:
                        one.unlink()
                    case _:
                        shutil.copy(one, person / f"copy{number}.jpg")
                self.changed += 1


@pytest.mark.parametrize("seconds", [8, pytest.param(1800, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])])
def test_a_storm_of_all_commands_ends_sound(
    seconds: int, home: Path, tmp_path: Path, photo_of: Callable[..., Path], trusted: Any
) -> None:
    album = tmp_path / "album"
    for person in _PEOPLE:
        (album / person).mkdir(parents=True)
        for number in range(_EACH):
            data = photo_of(person, 1 + number % 8).read_bytes()
            (album / person / f"{number}.jpg").write_bytes(data + number.to_bytes(4))
    assert _facesearch("index", album).returncode == 0
    storm = Storm(album, photo_of, seconds, seconds)
    storm.rage()
    print(f"{seconds} s: {storm.ends.total()} commands, {storm.killed} killed, {storm.changed} changes of photos")
    print(dict(sorted(storm.ends.items())))
    assert storm.wrong == []
    trusted.sound(home)
    last = json.loads(_facesearch("index", album, "--json").stdout)
    there = len(list(album.rglob("*.jpg")))
    assert sum(count for kind, count in last["photos"].items() if kind != "missing") == there
    assert _facesearch("check", "--photos").returncode == 0
    assert not [path for path in (home / "indexes" / "default").iterdir() if "part" in path.name]
    stored = _faces_by_photo(trusted, home)
    shutil.rmtree(home / "indexes")
    assert _facesearch("index", album).returncode == 0
    clean = _faces_by_photo(trusted, home)
    print(f"in the end {there} photos, {there - len(stored)} of them forgotten")
    assert stored == {path: clean[path] for path in stored}
    assert len(stored) > _EACH


def _facesearch(*words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([_FACESEARCH, *map(str, words)], capture_output=True, text=True, check=False, timeout=300)


def _faces_by_photo(trusted: Any, home: Path) -> dict[str, list[bytes]]:
    """The embeddings of all photos that are there and not forgotten, whatever their names."""
    rows = {}
    for path, status, *rest in trusted.dump(home):
        if status not in ("missing", "forgotten"):
            rows[path] = sorted(face[6] for face in rest if isinstance(face, tuple))
    return rows
