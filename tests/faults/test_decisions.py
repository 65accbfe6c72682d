"""A verb about people that is killed, or refused by the disk, at any of its steps: all of it has happened, or nothing
of it. What was said before is there byte by byte, and the next verb works."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.faults import failing

pytestmark = pytest.mark.skipif(not failing.is_possible(), reason="this Python hides its SQLite")

_every = pytest.mark.parametrize("every", [11, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
_TABLES = ("people", "faces", "apart", "strangers", "repeats", "marks", "changes", "changed")
_VERBS: dict[str, tuple[Any, ...]] = {
    "name": ("name_person", "Tiger_Woods", "Somebody Else"),
    "join": ("join", ["Abdullah_Gul", "Tiger_Woods"], "Tiger_Woods"),
    "part": ("part", "Abdullah_Gul", [1]),
    "ignore": ("ignore", ["Tiger_Woods"]),
    "not a face": ("not_a_face", [1]),
    "move": ("move", [1], "Tiger_Woods"),
    "undo": ("undo",),
}


def _said(home: Path) -> dict[str, list[Any]]:
    """All rows but the time at which a change was made."""
    with closing(sqlite3.connect(home / "indexes" / "default" / "faces.db")) as conn:
        found = {table: conn.execute(f"SELECT * FROM {table}").fetchall() for table in _TABLES}
    found["changes"] = [(row[0], *row[2:4], row[4] is None) for row in found["changes"]]
    return {table: sorted(rows, key=repr) for table, rows in found.items()}


@pytest.fixture(scope="module")
def named(victim: Any, few: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery with people, a change that may be undone, and no log of SQLite's left."""
    home = tmp_path_factory.mktemp("named") / "home"
    home.mkdir()
    assert victim(home, few.folder)["code"] == 7
    assert victim(home, do="decide", what=["name_person", "Abdullah_Gul", "Abdullah Gül"])["code"] == 0
    assert victim(home, do="decide", what=["name_person", "Abdullah Gül", "Abdullah_Gul"])["code"] == 0
    return home


@pytest.fixture
def homes(named: Path, tmp_path: Path) -> Callable[[], Path]:
    numbers = iter(range(10**6))

    def new() -> Path:
        return Path(shutil.copytree(named, tmp_path / f"home{next(numbers)}"))

    return new


@_every
@pytest.mark.parametrize("how", ["kill", "torn", "full", "broken"])
@pytest.mark.parametrize("verb", _VERBS)
def test_a_verb_happens_whole_or_not_at_all(
    verb: str, how: str, every: int, victim: Any, homes: Callable[[], Path]
) -> None:
    home = homes()
    before = _said(home)
    done = victim(home, do="decide", what=_VERBS[verb])
    assert done["code"] == 0, done
    after = _said(home)
    assert after != before
    old = 0
    for at in range(1, done["steps"] + 1, every):
        home = homes()
        answer = victim(home, do="decide", what=_VERBS[verb], at=at, how=how)
        assert answer["ended"] == (-9 if how in ("kill", "torn") else 0), (at, answer)
        assert answer.get("code", 3) != -1, (at, answer)
        found = _said(home)
        assert found in (before, after), at
        old += found == before
        assert victim(home, do="check")["faults"] == [], at
        if found == before:
            assert victim(home, do="decide", what=_VERBS[verb])["code"] == 0
            assert _said(home) == after
        shutil.rmtree(home)
    assert old
