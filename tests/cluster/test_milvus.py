"""A gallery with a real Milvus beside it, through the command line: whatever happens to the store, no answer is
another one than that of this machine's own vectors, and each fault has a sentence and an exit code."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socket import create_server
from threading import Thread
from typing import Any

import numpy as np
import pytest

from facesearch import Gallery
from facesearch.cluster import milvus as client
from facesearch.cluster.addresses import StoreAddress
from facesearch.cluster.milvus import MilvusFaces
from facesearch.gallery.storage import Storage
from facesearch.gallery.store import sync as store_sync
from facesearch.gallery.tables import faces as faces_table
from facesearch.gallery.vectors.store_index import answered_by
from tests.cluster.milvus_lite_server import lite
from tests.cluster.milvus_server import CannotRunError, Milvus, NoMachineForItError, milvus
from tests.conftest import Cli, Said
from tests.made_up_gallery import SETTINGS, add_photo, people
from tests.portraits import Faces

pytestmark = pytest.mark.cluster

_PEOPLE, _FACES_EACH = 150, 4
_FACES = _PEOPLE * _FACES_EACH
_QUESTIONS = 200
_DIES_WHILE_SYNCING = """
import os, sys
from facesearch import cli
from facesearch.cluster.milvus import MilvusFaces
from facesearch.gallery.tables import faces

faces._ROWS_AT_ONCE, send, times = 100, MilvusFaces.upsert, iter(range(4))
MilvusFaces.upsert = lambda *of: send(*of) if next(times, None) is not None else os.kill(os.getpid(), 9)
cli.run()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Milvus]:
    with _running(tmp_path_factory.mktemp("milvus")) as found:
        yield found


@contextmanager
def _running(folder: Path, asks_who: bool = False) -> Iterator[Milvus]:
    """Where it cannot run the test is skipped; .ci/run has it fail, unless it is the machine that cannot."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(milvus(folder, asks_who))
        except CannotRunError as error:
            if not isinstance(error, NoMachineForItError) and os.environ.get("FACESEARCH_TEST_CLUSTER") == "must":
                raise
            pytest.skip(str(error))
        yield found
    shutil.rmtree(folder)


class Trial:
    """A gallery of made-up people, and a collection that is to follow it."""

    def __init__(self, cli: Cli, address: str) -> None:
        self._cli, self.address = cli, address
        self.gallery = Gallery.open("default", "cpu")

    def run(self, *words: object) -> Said:
        """A command on the gallery."""
        return self._cli(*words)

    def grow(self, first: int, count: int = 10) -> None:
        """So many more people, whom the store does not hear of."""
        with self.gallery.writing() as db:
            if db.settings.read() is None:
                with db.transaction():
                    db.settings.write(SETTINGS)
            for who, rows in enumerate(people(*[_FACES_EACH] * count, seed=first), first):
                for i, row in enumerate(rows):
                    add_photo(db, f"/photos/{who}-{i}.jpg", row[None], person=f"p{who}")

    def asked(self, who: int, *words: str) -> dict[str, Any]:
        """The answer to a question for somebody."""
        said = self.run("query", "--person", f"p{who}", "--json", *words)
        assert said.code == 0, said.err
        answer: dict[str, Any] = json.loads(said.out)
        assert answer["matches"][0]["person"] == f"p{who}"
        return answer

    def assert_right(self, *people: int, by_store: bool = True) -> None:
        """Answers for these people are those without the store, and are the store's or are not."""
        for who in people:
            answer = self.asked(who)
            assert answer.pop("store") == (self.address if by_store else None)
            own = self.asked(who, "--here")
            assert own.pop("store") is None
            assert answer == own


@pytest.fixture
def trial(home: Path, cli: Cli, server: Milvus, request: pytest.FixtureRequest) -> Trial:
    """Its collection is not made yet."""
    made = Trial(cli, f"{server.address}/" + re.sub(r"\W", "_", request.node.name))
    made.grow(0, _PEOPLE)
    return made


@pytest.fixture
def stored(trial: Trial) -> Trial:
    """A gallery and its store, which holds all faces."""
    assert trial.run("store", "add", trial.address).code == 0
    return trial


def _count(address: str) -> int:
    with MilvusFaces(StoreAddress.parse(address)) as remote:
        return remote.count()


def test_two_hundred_of_two_hundred_answers_are_those_of_this_machines_own_vectors(
    home: Path, server: Milvus, cli: Cli, portraits: Faces, tmp_path: Path
) -> None:
    """And what is indexed or forgotten afterwards is in the store at once."""
    photos, late = _album(portraits, tmp_path), tmp_path / "album" / "late.jpg"
    late_bytes = late.read_bytes()
    late.unlink()
    address = f"{server.address}/portraits"
    assert cli("index", photos).code == 0
    assert cli("store", "add", address).code == 0
    storage = Storage("default", pytest.fail)
    with storage.reading() as (db, settings), ExitStack() as stack:
        by_store, here = (stack.enter_context(storage.searching(db, settings, own)) for own in (False, True))
        assert (answered_by(by_store), answered_by(here)) == (address, None)
        (_, rows), *_ = db.faces.embeddings(settings.dim)
        assert len(rows) >= _QUESTIONS
        found, own = by_store.search(rows[:_QUESTIONS], 6), here.search(rows[:_QUESTIONS], 6)
        np.testing.assert_array_equal(found[1], own[1])
        np.testing.assert_allclose(found[0], own[0], atol=1e-6)
    late.write_bytes(late_bytes)
    assert cli("index", photos).code == 0
    said = cli("query", late, "--faces", "--json")
    assert (json.loads(said.out)["store"], json.loads(said.out)["matches"][0]["photo"]) == (address, str(late))
    there = _count(address)
    said = cli("forget", late, "--yes")
    assert (said.code, address in said.err) == (0, True)
    assert _count(address) == there - 1
    answer = json.loads(cli("query", late, "--faces", "--json").out)
    assert answer["store"] == address
    assert str(late) not in {match["photo"] for match in answer["matches"]}


def _album(portraits: Faces, tmp_path: Path) -> Path:
    """A folder of photos with a face each, and `late.jpg`, whose face is in no other."""
    folder = tmp_path / "album"
    folder.mkdir()
    there = sorted(portraits.images.glob("*/*.jpg"))
    wanted = there[: _QUESTIONS + 10] if len(there) > _QUESTIONS + 10 else there
    more = [portraits.photo("George_W_Bush", number) for number in range(4, _QUESTIONS + 14 - len(wanted))]
    for path in (*wanted, *more):
        shutil.copy(path, folder)
    shutil.move(folder / wanted[-1].name, folder / "late.jpg")
    return folder


def test_an_index_of_lists_gives_as_many_as_there_are(tmp_path: Path) -> None:
    """Of its 128 lists a fourth is looked into at first, which holds less than what is asked for."""
    rows = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)
    with lite(tmp_path) as server, MilvusFaces(StoreAddress.parse(f"{server}/faces")) as remote:
        remote.make(8, "ivf-sq8", len(rows))
        remote.upsert(np.arange(1, len(rows) + 1), rows)
        remote.flush()
        remote.settle(60)
        remote._search = {"index_type": "IVF_SQ8", "nlist": 256}  # the real one says it itself
        assert len(remote._nearest(rows[:1], 2500)[0]) < 2500
        assert len(set(remote.nearest(rows[:1], 2500)[0]) - {client.NONE}) == 2500


def test_a_store_that_is_behind_lacks_nothing(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not when all is in the index of the store, for which a sync of many faces waits."""
    monkeypatch.setattr(store_sync, "_WORTH_FLUSHING", _FACES - 1)
    assert trial.run("store", "add", trial.address).code == 0
    trial.assert_right(0, 77)
    trial.grow(_PEOPLE)
    trial.assert_right(3, _PEOPLE + 3)
    assert "behind" in trial.run("store", "info").out
    assert trial.run("store", "sync").code == 0
    assert _count(trial.address) == _FACES + 10 * _FACES_EACH + 1
    trial.assert_right(5, _PEOPLE + 5)


def test_a_store_that_holds_what_is_gone_does_not_show_it(stored: Trial) -> None:
    with stored.gallery.writing() as db, db.transaction():
        db.connection.execute("DELETE FROM photos WHERE path GLOB '/photos/3-[123].jpg' OR path GLOB '/photos/4-*'")
    stored.assert_right(3, 5)
    assert stored.run("store", "sync").code == 0
    assert _count(stored.address) == _FACES - 7 + 1
    stored.assert_right(3, 5)


def test_a_server_that_was_killed_has_all_that_it_had_and_takes_what_is_new(stored: Trial, server: Milvus) -> None:
    server.kill()
    said = stored.run("query", "--person", "p3", "--json")
    assert (said.code, said.out) == (3, "")
    assert stored.address in said.err
    assert "--here" in said.err
    assert stored.asked(3, "--here")["store"] is None
    assert stored.run("store", "info").code == 3
    assert stored.run("store", "sync").code == 3
    stored.grow(_PEOPLE)
    server.start()
    _until_loaded(stored)
    stored.assert_right(3, _PEOPLE + 3)
    assert stored.run("store", "sync").code == 0
    assert _count(stored.address) == _FACES + 10 * _FACES_EACH + 1
    stored.assert_right(4, _PEOPLE + 4)


def _until_loaded(trial: Trial) -> None:
    """A server that was started again loads its collections for some seconds, and says so."""
    while (said := trial.run("query", "--person", "p3")).code:
        assert (said.code, trial.address in said.err) == (3, True)


def test_a_sync_whose_server_is_killed_goes_on_when_it_is_back(
    trial: Trial, server: Milvus, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, calls = MilvusFaces.upsert, iter(range(3))

    def send_or_kill(*of: Any) -> None:
        if next(calls, None) is None:
            server.kill()
        send(*of)

    monkeypatch.setattr(faces_table, "_ROWS_AT_ONCE", 100)
    monkeypatch.setattr(MilvusFaces, "upsert", send_or_kill)
    said = trial.run("store", "add", trial.address)
    assert (said.code, trial.address in said.err) == (3, True)
    trial.assert_right(0, 140, by_store=False)
    server.start()
    monkeypatch.setattr(MilvusFaces, "upsert", send)
    while (said := trial.run("store", "sync", "--json")).code:
        assert (said.code, trial.address in said.err) == (3, True)
    assert 0 < json.loads(said.out)["sent"] < _FACES
    assert _count(trial.address) == _FACES + 1
    trial.assert_right(0, 140)


def test_a_sync_that_is_killed_goes_on_where_it_was(trial: Trial) -> None:
    words = [sys.executable, "-c", _DIES_WHILE_SYNCING, "store", "add", trial.address]
    assert subprocess.run(words, capture_output=True, check=False, timeout=300).returncode == -9
    trial.assert_right(0, 140, by_store=False)
    said = trial.run("store", "sync", "--json")
    assert (said.code, json.loads(said.out)["sent"]) == (0, _FACES - 300)
    assert _count(trial.address) == _FACES + 1
    trial.assert_right(0, 140)


def test_a_server_that_is_silent_is_given_up(stored: Trial, server: Milvus, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a second here, in place of half a minute."""
    stored.asked(3)
    monkeypatch.setattr(client, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(client, "CONNECT_SECONDS", 1.0)
    server.pause()
    for words in (("query", "--person", "p3"), ("store", "sync", "--again"), ("store", "info")):
        said = stored.run(*words)
        assert (said.code, stored.address in said.err) == (3, True)
    assert stored.asked(3, "--here")["store"] is None
    server.resume()
    stored.assert_right(3)


def test_what_is_no_milvus_is_no_store(trial: Trial) -> None:
    with create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        for port in (nobody, other.server_port):
            said = trial.run("store", "add", f"milvus://127.0.0.1:{port}/faces")
            assert (said.code, f"127.0.0.1:{port}" in said.err) == (3, True)
        other.shutdown()
    assert trial.run("store", "add", "http://127.0.0.1/faces").code == 2
    assert trial.run("store", "info").code == 2
    trial.assert_right(3, by_store=False)


def test_a_collection_follows_one_gallery(stored: Trial, home: Path) -> None:
    """A copy of the gallery is another one, from its first change on."""
    shutil.copytree(home / "indexes" / "default", home / "indexes" / "copy")
    stored.grow(_PEOPLE)
    assert stored.run("store", "sync").code == 0
    said = stored.run("store", "sync", "--gallery", "copy")
    assert (said.code, "--again" in said.err) == (3, True)
    said = stored.run("query", "--person", "p3", "--gallery", "copy", "--json")
    assert (said.code, json.loads(said.out)["store"], stored.address in said.err) == (0, None, True)
    stored.assert_right(3, _PEOPLE + 3)
    assert stored.run("store", "sync", "--again", "--gallery", "copy").code == 0
    stored.assert_right(3, _PEOPLE + 3, by_store=False)
    assert stored.run("store", "sync").code == 3
    stored.run("store", "drop", "--yes")
    assert _count(stored.address) == _FACES + 1


def test_a_database_that_went_back_in_time_is_not_answered_by_what_came_later(stored: Trial, home: Path) -> None:
    shutil.copytree(home / "indexes" / "default", home / "before")
    stored.grow(_PEOPLE)
    assert stored.run("store", "sync").code == 0
    shutil.rmtree(home / "indexes" / "default")
    shutil.move(home / "before", home / "indexes" / "default")
    stored.grow(_PEOPLE + 50)  # other people, whose faces have the ids of those that the store has
    stored.assert_right(3, _PEOPLE + 53, by_store=False)
    assert stored.run("store", "sync").code == 3
    assert stored.run("store", "sync", "--again").code == 0
    stored.assert_right(3, _PEOPLE + 53)


@pytest.mark.parametrize("dim", [0, 64, 128])
def test_a_collection_that_somebody_dropped_or_made_anew_is_not_asked(stored: Trial, dim: int) -> None:
    with MilvusFaces(StoreAddress.parse(stored.address)) as remote:
        remote.drop()
        if dim:
            remote.make(dim, "hnsw", 100)
            remote.upsert(np.arange(1, 101), np.eye(100, dim, dtype=np.float32) + np.float32(0.1))
    stored.assert_right(3, 77, by_store=False)
    assert stored.run("store", "sync", "--again").code == 0
    stored.assert_right(3, 77)


def test_who_may_not_is_told_so_and_no_password_is_shown(
    home: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "milvus").mkdir()
    with _running(tmp_path / "milvus", asks_who=True) as server:
        trial = Trial(cli, f"{server.address}/faces")
        trial.grow(0)
        for token in ("", "ann:a-password"):
            monkeypatch.setenv("MILVUS_TOKEN", token)
            said = trial.run("store", "add", trial.address)
            assert (said.code, "MILVUS_TOKEN" in said.err, "a-password" in said.err) == (3, True, False)
        monkeypatch.setenv("MILVUS_TOKEN", "root:Milvus")
        assert trial.run("store", "add", trial.address).code == 0
        trial.assert_right(3)
        assert "root:Milvus" not in trial.run("store", "info").out
        assert b"root:Milvus" not in trial.gallery.database.read_bytes()
        monkeypatch.delenv("MILVUS_TOKEN")
        said = trial.run("query", "--person", "p3")
        assert (said.code, "MILVUS_TOKEN" in said.err) == (3, True)
