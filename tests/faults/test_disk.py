"""A process that is killed at any step that it takes on the disk, and a disk that refuses any of them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults import failing
from tests.models.second_model import keep_second_model

pytestmark = pytest.mark.skipif(not failing.is_possible(), reason="this Python hides its SQLite")

# Of how many steps one is tried: of nine in every run of the tests, of one where there is time.
_every = pytest.mark.parametrize("every", [15, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
_MOST_TWICE = 6  # photos: three batches of two, one of which is stored, one computed and one begun


@pytest.fixture
def homes(tmp_path: Path) -> Callable[..., Path]:
    """A new home each time, perhaps with what another one holds."""
    numbers = iter(range(10**6))

    def new(like: Path | None = None) -> Path:
        home = tmp_path / f"home{next(numbers)}"
        if like:
            shutil.copytree(like, home)
        else:
            home.mkdir()
        return home

    return new


@pytest.fixture
def expected(victim: Any, few: Any, trusted: Any, homes: Callable[..., Path]) -> Any:
    """What the gallery holds when nothing goes wrong."""
    home = homes()
    assert victim(home, few.folder)["code"] == 7
    trusted.whole(home, few, trusted.dump(home))
    return trusted.dump(home)


@pytest.fixture
def begun(victim: Any, few: Any, homes: Callable[..., Path]) -> Path:
    """A home with one person's photos in its gallery."""
    home = homes()
    assert victim(home, few.folder / "Abdullah_Gul")["code"] == 0
    return home


@_every
@pytest.mark.parametrize("how", ["kill", "torn"])
@pytest.mark.parametrize("is_begun", [False, True])
def test_killed_at_any_step(
    is_begun: bool, how: str, every: int, victim: Any, few: Any, trusted: Any, homes: Any, begun: Path, expected: Any
) -> None:
    start = begun if is_begun else homes()
    before = trusted.dump(start) if is_begun else []
    count = victim(homes(start), few.folder)["steps"]
    twice = []
    for at in range(1, count + 1, every):
        home = homes(start)
        killed = victim(home, few.folder, at=at, how=how)
        assert killed["ended"] == -9
        assert not victim(home, do="check").get("faults")  # nothing is damaged, however far it came
        trusted.sound(home, before)
        again = victim(home, few.folder)
        assert again["code"] in (0, 7), again
        trusted.whole(home, few, expected)
        twice.append(killed["analysed"] + again["analysed"] - (4 if is_begun else 6))
        shutil.rmtree(home)
    what = f"{how}, {'a gallery that grows' if is_begun else 'a new gallery'}"
    print(f"{what}: {len(twice)} of {count} steps, at most {max(twice)} photos analysed twice")
    assert max(twice) <= _MOST_TWICE


@_every
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("how", ["full", "broken"])
def test_refused_at_any_step(
    how: str, lasting: bool, every: int, victim: Any, few: Any, trusted: Any, homes: Any, begun: Path, expected: Any
) -> None:
    before = trusted.dump(begun)
    asked = next(path for path in few.files if "Abdullah_Gul_0002" in path)
    count = victim(homes(begun), few.folder)["steps"]
    refused = 0
    for at in range(1, count + 1, every):
        home = homes(begun)
        failed = victim(home, few.folder, at=at, how=how, lasting=lasting, query=asked)
        if failed["code"] not in (0, 7):  # at the end a log that cannot be emptied is no harm
            refused += 1
            assert failed["code"] == 3, failed
            assert "faces." in failed["said"], failed
            assert str(home) in failed["said"], failed
        # The gallery still answers, whatever the disk refuses.
        assert failed["query"]["code"] == 0, failed["query"]
        assert failed["query"]["matches"][0] == asked
        trusted.sound(home, before)
        assert victim(home, few.folder)["code"] in (0, 7)
        trusted.whole(home, few, expected)
        shutil.rmtree(home)
    print(f"{how}{', from then on' if lasting else ''}: {count} steps, {refused} refusals said")
    assert refused


@_every
@pytest.mark.parametrize("how", ["kill", "torn", "full"])
def test_a_change_of_the_model_is_whole_or_not_at_any_step(
    how: str, every: int, victim: Any, few: Any, trusted: Any, homes: Any, begun: Path
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FACESEARCH_HOME", str(begun))
        order = {"do": "migrate", "what": keep_second_model()}
    before, finished = trusted.dump(begun), homes(begun)
    count = victim(finished, **order)["steps"]
    after = trusted.dump(finished)
    old = {face[6] for row in before for face in row[8:]}
    assert [row[:8] for row in after] == [row[:8] for row in before]
    assert old.isdisjoint(face[6] for row in after for face in row[8:])
    seen = set()
    for at in range(1, count + 1, every):
        home = homes(begun)
        failed = victim(home, **order, at=at, how=how, lasting=how == "full")
        assert failed["ended"] == (0 if how == "full" else -9)
        assert failed.get("code", 3) in (0, 3), failed
        assert not victim(home, do="check").get("faults")
        found = trusted.dump(home)
        assert found in (before, after)
        seen.add(found == after)
        assert victim(home, **order)["code"] == 0
        trusted.sound(home)
        assert trusted.dump(home) == after
        assert not any(row in path.read_bytes() for row in old for path in _files_of(home))
        shutil.rmtree(home)
    print(f"{how}, a change of the model: {len(range(1, count + 1, every))} of {count} steps")
    assert seen == {False, True}


def _files_of(home: Path) -> list[Path]:
    return list((home / "indexes" / "default").iterdir())


@pytest.mark.parametrize("how", ["full", "broken"])
def test_a_new_gallery_on_a_disk_that_refuses_everything(
    how: str, victim: Any, few: Any, trusted: Any, homes: Any, expected: Any
) -> None:
    home = homes()
    failed = victim(home, few.folder, at=1, how=how, lasting=True)
    assert failed["code"] == 3
    assert "faces.db cannot be used now" in failed["said"]
    assert victim(home, few.folder)["code"] == 7
    trusted.whole(home, few, expected)


def test_a_disk_without_a_write_ahead_log_is_said_and_serves(
    victim: Any, few: Any, trusted: Any, homes: Any, expected: Any
) -> None:
    home = homes()
    asked = next(path for path in few.files if "Abdullah_Gul_0002" in path)
    done = victim(home, few.folder, has_wal=False, query=asked)
    assert done["code"] == 7, done
    assert any("cannot keep a write-ahead log" in note for note in done["notes"])
    assert done["query"]["matches"][0] == asked
    # Its journal comes and goes with each transaction, and was never a log.
    assert not (home / "indexes" / "default" / "faces.db-wal").exists()
    trusted.whole(home, few, expected)


def test_the_run_after_a_killed_one_says_so(victim: Any, few: Any, homes: Any) -> None:
    home = homes()
    count = victim(homes(), few.folder)["steps"]
    assert victim(home, few.folder, at=count - 100)["ended"] == -9
    assert any("did not end properly; this one continues" in note for note in victim(home, few.folder)["notes"])
    assert not victim(home, few.folder)["notes"]
