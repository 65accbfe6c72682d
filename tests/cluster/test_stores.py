"""A vector store beside a gallery: in whatever state it is, no answer differs from that of all faces compared."""

import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from facesearch import Gallery
from facesearch.arrays import Embeddings
from facesearch.cluster import milvus
from facesearch.cluster.addresses import StoreAddress
from facesearch.cluster.milvus import MOST_AT_ONCE, NONE, MilvusFaces
from facesearch.cluster.milvus_errors import StoreError
from facesearch.errors import FaceSearchError, UsageError
from facesearch.gallery import galleries
from facesearch.gallery.database import Database
from facesearch.gallery.records.store import StoreStamp
from facesearch.gallery.storage import Storage
from facesearch.gallery.store import stores
from facesearch.gallery.store.sync import StrangeStoreError
from facesearch.gallery.upkeep.backup import back_up, restore
from facesearch.gallery.upkeep.salvage import salvage
from facesearch.gallery.vectors import store_index
from facesearch.gallery.vectors.index import Ids
from facesearch.gallery.vectors.narrowed import Narrowed
from facesearch.gallery.vectors.store_index import StoreIndex, answered_by
from tests.conftest import Cli, Said
from tests.held_faces import CutOffError, Server
from tests.made_galleries import group
from tests.made_up_gallery import SETTINGS, add_photo, add_photos, people

_ADDRESS = "milvus://store.test:19530/faces"
_MADE = people(24, 20, 20)
_ROWS = [faces[:20] for faces in _MADE]
_NEW = _MADE[0][20:]  # four more of the first


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """In place of a Milvus."""
    made = Server()
    monkeypatch.setattr(store_index, "MilvusFaces", made.connect)
    return made


@pytest.fixture
def bare_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Without networks: nothing here embeds."""
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "bare"))
    return tmp_path / "bare"


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command in this process."""
    from facesearch import cli

    def run(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["facesearch", *map(str, words)])
        capsys.readouterr()
        code = cli.run()
        return Said(code, *capsys.readouterr())

    return run


class Trial:
    """A gallery of 60 faces, ids 1 to 60, what it says, and its store."""

    def __init__(self, name: str = "default") -> None:
        self.notes: list[str] = []
        self.gallery = Gallery.open(name, "cpu", self.notes.append)

    def fill(self, folder: Path) -> None:
        add_photos(self.gallery, folder, _ROWS)
        self.sync_file()

    def sync_file(self) -> None:
        with self.gallery.writing() as db:
            self.gallery.sync(db, SETTINGS)

    def add(self, path: str, rows: Embeddings) -> None:
        with self.gallery.writing() as db:
            add_photo(db, path, rows)

    def remove(self, *faces: int) -> None:
        """Deletes faces as `forget` does, without telling the store."""
        with self.gallery.writing() as db:
            with db.transaction():
                db.connection.executemany("DELETE FROM faces WHERE id = ?", [(face,) for face in faces])
            self.gallery.sync(db, SETTINGS)

    def stamp(self) -> StoreStamp:
        with Database.open(self.gallery.database) as db:
            found = db.store.read()
        assert found
        return found

    def answers(self, k: int = 10, here: bool = False) -> tuple[Ids, str | None]:
        """The ids of the k nearest faces of each of the 60, and which store found them."""
        with self.gallery.reading() as (db, settings), self.gallery.searching(db, settings, here) as index:
            found = index.search(np.concatenate(_ROWS), k)[1]
            return found, answered_by(index)

    def assert_right(self, by: str | None, k: int = 10) -> None:
        """That the answer is the one that every face compared one by one gives, and comes from there."""
        with self.gallery.reading() as (db, settings):
            truth = Narrowed(db.faces, db.faces.ids(), settings.dim).search(np.concatenate(_ROWS), k)[1]
        found, store = self.answers(k)
        assert (found.tolist(), store) == (truth.tolist(), by)


@pytest.fixture
def trial(server: Server, bare_home: Path, tmp_path: Path) -> Trial:
    """A gallery whose store is in step."""
    made = Trial()
    made.fill(tmp_path / "photos")
    stores.add(made.gallery, _ADDRESS)
    assert stores.sync(made.gallery).sent == 60
    return made


def test_a_store_in_step_answers_as_the_gallery_does(trial: Trial, server: Server) -> None:
    trial.assert_right(by=_ADDRESS)
    assert trial.notes == []
    assert server.calls[-2:] == ["nearest", "has"]


def test_newer_faces_are_compared_too_and_gone_ones_leave_no_gap(trial: Trial) -> None:
    trial.add("new.jpg", _NEW[:3])
    trial.remove(*range(1, 11))
    trial.assert_right(by=_ADDRESS, k=50)
    assert stores.facts(trial.gallery).state == "behind"
    assert (lambda done: (done.faces, done.sent, done.deleted))(stores.sync(trial.gallery)) == (53, 3, 10)
    trial.assert_right(by=_ADDRESS, k=50)
    assert stores.facts(trial.gallery).state == "in step"


def test_a_store_far_behind_is_not_asked(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_index, "_MOST_GONE", 3)
    monkeypatch.setattr(store_index, "_MOST_NEWER", 3)
    trial.add("new.jpg", _NEW)
    trial.assert_right(by=None)
    stores.sync(trial.gallery)
    trial.remove(1, 2, 3, 4)
    trial.assert_right(by=None)
    assert all("lacks" in note for note in trial.notes)


def test_more_answers_than_a_store_gives_come_from_here(trial: Trial) -> None:
    trial.assert_right(by=_ADDRESS, k=100)  # of a gallery of 60
    stamp = replace(trial.stamp(), count=MOST_AT_ONCE)
    with trial.gallery.writing() as db, db.transaction():
        db.store.write(stamp)
    trial.assert_right(by=None, k=MOST_AT_ONCE)


def test_a_sync_that_is_cut_off_at_whatever_step_is_found_out_and_goes_on(
    trial: Trial, server: Server, tmp_path: Path
) -> None:
    trial.add("new.jpg", _NEW[:3])
    trial.remove(1, 2)
    pristine = shutil.copytree(trial.gallery.directory, tmp_path / "pristine")
    held = dict(server.collections["faces"])
    for again in (False, True):
        steps = 0
        while True:
            shutil.rmtree(trial.gallery.directory)
            shutil.copytree(pristine, trial.gallery.directory)
            server.collections["faces"], server.calls = dict(held), []
            server.kills_after = steps
            with suppress(CutOffError):
                stores.sync(trial.gallery, again)
                break
            server.kills_after = None
            trial.assert_right(by=_ADDRESS if trial.stamp().state == "ready" else None)
            stores.sync(trial.gallery)
            assert sorted(face for face in server.collections["faces"] if face > 0) == list(range(3, 64))
            trial.assert_right(by=_ADDRESS)
            steps += 1
        assert steps > 10
        server.kills_after = None


def test_a_sync_that_is_cut_off_twice_goes_on(trial: Trial, server: Server, tmp_path: Path) -> None:
    trial.add("new.jpg", _NEW[:3])
    pristine, held = (
        shutil.copytree(trial.gallery.directory, tmp_path / "pristine"),
        dict(server.collections["faces"]),
    )
    for first in range(4, 10):
        for second in range(4, 10):
            shutil.rmtree(trial.gallery.directory)
            shutil.copytree(pristine, trial.gallery.directory)
            server.collections["faces"] = dict(held)
            for steps in (first, second):
                server.calls, server.kills_after = [], steps
                with suppress(CutOffError):
                    stores.sync(trial.gallery)
            server.kills_after = None
            stores.sync(trial.gallery)
            assert len(server.collections["faces"]) == 64
            trial.assert_right(by=_ADDRESS)


def test_a_restored_backup_has_no_store_and_says_which_it_had(trial: Trial, server: Server, tmp_path: Path) -> None:
    back_up(trial.gallery, tmp_path / "b.zip")
    notes: list[str] = []
    restore(tmp_path / "b.zip", "again", notes.append)
    restored = Trial("again")
    restored.assert_right(by=None)
    assert _ADDRESS in notes[-1]
    assert "store add ADDRESS --gallery again" in notes[-1]
    with pytest.raises(UsageError, match="no vector store"):
        restored.gallery.drop_store()
    galleries.delete("again", notes.append)
    trial.assert_right(by=_ADDRESS)


def test_an_address_that_is_none_is_not_asked(trial: Trial, server: Server) -> None:
    with trial.gallery.writing() as db, db.transaction():
        db.connection.execute("UPDATE store SET address = 'milvus://a/b?token=secret'")
    server.calls = []
    trial.assert_right(by=None)
    assert (server.calls, trial.gallery.facts().store) == ([], None)


def test_a_copy_does_not_believe_a_store_that_went_on(trial: Trial, server: Server) -> None:
    shutil.copytree(trial.gallery.directory, trial.gallery.directory.parent / "again")
    trial.remove(5)
    trial.add("new.jpg", _NEW[:3])
    stores.sync(trial.gallery)
    restored = Trial("again")
    restored.add("other.jpg", -_NEW[:3])  # which get the ids of those three
    restored.sync_file()
    restored.assert_right(by=None)
    assert "sync --again --gallery again" in restored.notes[-1]
    with pytest.raises(StrangeStoreError):
        stores.sync(restored.gallery)
    trial.assert_right(by=_ADDRESS)  # nothing was written there
    stores.sync(restored.gallery, again=True)
    restored.assert_right(by=_ADDRESS)
    trial.assert_right(by=None)


def test_a_store_that_somebody_dropped_or_made_again_is_not_believed(trial: Trial, server: Server) -> None:
    faces = server.collections.pop("faces")
    trial.assert_right(by=None)
    server.collections["faces"] = {face: row for face, row in faces.items() if face > 30}
    trial.assert_right(by=None)
    assert "sync --again" in trial.notes[-1]
    with pytest.raises(StrangeStoreError):
        stores.sync(trial.gallery)
    del server.collections["faces"]
    assert stores.sync(trial.gallery).sent == 60
    trial.assert_right(by=_ADDRESS)


def test_one_that_was_made_anew_for_embeddings_of_another_size_is_not_believed(trial: Trial, server: Server) -> None:
    server.collections["faces"], server.dims["faces"] = {1: np.zeros(64, np.float32)}, 64
    trial.assert_right(by=None)


def test_a_store_that_is_filled_anew_while_it_is_asked_is_not_believed(
    trial: Trial, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with trial.gallery.reading() as (db, settings), trial.gallery.searching(db, settings) as index:
        right = index.search(np.concatenate(_ROWS), 10)[1]
        server.kills_after = len(server.calls) + 8
        with pytest.raises(CutOffError):
            stores.sync(trial.gallery, again=True)
        server.kills_after = None
        assert 30 < len(server.collections["faces"]) < 60
        assert index.search(np.concatenate(_ROWS), 10)[1].tolist() == right.tolist()
        assert answered_by(index) is None


def test_a_store_that_lost_faces_is_found_out_by_the_next_sync(trial: Trial, server: Server) -> None:
    trial.add("new.jpg", _NEW[:3])
    del server.collections["faces"][7]
    with pytest.raises(StoreError, match="62 faces where 63"):
        stores.sync(trial.gallery)
    trial.assert_right(by=None)
    assert stores.sync(trial.gallery).sent == 63
    trial.assert_right(by=_ADDRESS)


def test_a_server_that_loses_the_end_of_what_it_was_sent_is_not_believed(
    trial: Trial, server: Server, tmp_path: Path
) -> None:
    trial.add("new.jpg", _NEW[:3])
    trial.remove(1, 2)
    server.writes.clear()
    stores.sync(trial.gallery)
    pristine, mark = shutil.copytree(trial.gallery.directory, tmp_path / "pristine"), -trial.stamp().token
    lost = [held for held in server.writes if mark not in held]
    assert len(lost) >= 4
    for held in lost:
        server.collections["faces"] = dict(held)
        trial.assert_right(by=None)
        try:
            stores.sync(trial.gallery)
        except StoreError as found_out:
            stores.sync(trial.gallery, again=isinstance(found_out, StrangeStoreError))
        assert len(server.collections["faces"]) == 62
        trial.assert_right(by=_ADDRESS)
        shutil.rmtree(trial.gallery.directory)
        shutil.copytree(pristine, trial.gallery.directory)


def test_a_store_in_step_is_counted_by_a_sync(trial: Trial, server: Server) -> None:
    del server.collections["faces"][7]
    with pytest.raises(StoreError, match="59 faces where 60"):
        stores.sync(trial.gallery)
    trial.assert_right(by=None)
    assert stores.sync(trial.gallery).sent == 60
    trial.assert_right(by=_ADDRESS)


def test_fewer_faces_than_there_are_do_not_pass_for_all_of_them(trial: Trial, server: Server) -> None:
    held = server.collections["faces"]
    server.collections["faces"] = {
        face: row for face, row in held.items() if face < 9
    }  # as an index that misses some
    trial.assert_right(by=None)
    assert "found fewer faces than it was asked for" in trial.notes[-1]


def test_a_collection_without_a_mark_is_nobodys_to_drop(trial: Trial, server: Server) -> None:
    stamp, faces = trial.stamp(), {face: row for face, row in server.collections["faces"].items() if face > 0}
    server.collections["faces"] = dict(faces)
    assert not stores.drop_collection(stamp)
    with trial.gallery.writing() as db, db.transaction():
        db.store.empty()
    with pytest.raises(StrangeStoreError):
        stores.sync(trial.gallery)
    with pytest.raises(StoreError, match="no mark of facesearch"):
        stores.add(_other_gallery(), _ADDRESS, replace_it=True)
    assert server.collections["faces"] == faces
    server.collections["faces"].clear()
    assert stores.drop_collection(stamp)


def _other_gallery() -> Gallery:
    with (other := Trial("other")).gallery.writing() as db, db.transaction():
        db.settings.write(SETTINGS)
    return other.gallery


def test_check_asks_the_store_and_calls_nothing_of_it_damage(trial: Trial, server: Server, command: Cli) -> None:
    assert json.loads(command("check", "--json").out)["store"] is None
    del server.collections["faces"][7]
    said = command("check")
    assert (said.code, "59 faces where 60" in said.err) == (0, True)
    assert command("store", "info").code == 3
    server.is_away = True
    assert "cannot be reached" in command("check").err


def test_embeddings_of_another_model_are_not_asked(trial: Trial) -> None:
    with trial.gallery.writing() as db, db.transaction():
        db.settings.change_model(replace(SETTINGS, model="another"))
    with trial.gallery.reading() as (db, settings), trial.gallery.searching(db, settings) as index:
        assert answered_by(index) is None
    assert stores.facts(trial.gallery).state == "empty"


def test_faces_that_come_back_with_their_ids_are_found(trial: Trial) -> None:
    with trial.gallery.writing() as db:
        row = db.connection.execute("SELECT * FROM faces WHERE id = 7").fetchone()
        with db.transaction():
            db.connection.execute("DELETE FROM faces WHERE id = 7")
        stores.follow(trial.gallery, db, SETTINGS)
        with db.transaction():  # as migrate.bring_back does
            db.connection.execute(f"INSERT INTO faces VALUES ({', '.join('?' * len(row))})", row)
            db.store.lack(7)
        trial.gallery.sync(db, SETTINGS)
    trial.assert_right(by=_ADDRESS)
    stores.sync(trial.gallery)
    trial.assert_right(by=_ADDRESS)


def test_a_repaired_gallery_knows_where_its_store_is_and_fills_it_anew(
    trial: Trial, server: Server, tmp_path: Path
) -> None:
    salvage(trial.gallery.database, tmp_path / "faces.db")
    with Database.open(tmp_path / "faces.db") as db:
        assert db.store.read() == replace(trial.stamp(), state="empty")


def test_repair_fills_the_store_anew(trial: Trial, server: Server, command: Cli) -> None:
    with trial.gallery.writing() as db, db.transaction():
        db.connection.execute("UPDATE faces SET embedding = x'00' WHERE id = 7")
    assert command("repair").code == 0
    assert trial.stamp().state == "ready"
    assert len(server.collections["faces"]) == 60  # 59 and the mark
    trial.assert_right(by=_ADDRESS)


def test_a_run_brings_the_store_in_step_and_goes_on_without_it(trial: Trial, server: Server) -> None:
    trial.add("new.jpg", _NEW[:3])
    with trial.gallery.writing() as db:
        server.is_away = True
        stores.follow(trial.gallery, db, SETTINGS)
        assert "cannot be reached. It is behind until: facesearch store sync." in trial.notes[-1]
        server.is_away = False
        stores.follow(trial.gallery, db, SETTINGS)
        server.calls = []
        stores.follow(trial.gallery, db, SETTINGS)
        assert server.calls == []  # nothing is to be done, so nobody is asked
        server.collections.clear()
        with db.transaction():
            db.store.lack(60)
        stores.follow(trial.gallery, db, SETTINGS)
        assert "to be filled with all faces" in trial.notes[-1]  # which may take long
        assert server.collections == {}


def test_one_that_cannot_be_reached_is_an_error_and_here_answers(trial: Trial, server: Server) -> None:
    server.is_away = True
    with pytest.raises(StoreError, match=r"store\.test:19530/faces cannot be reached; with --here"):
        trial.answers()
    assert trial.answers(here=True)[1] is None


def test_without_the_library_the_sentence_says_what_to_install(
    trial: Trial, command: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_index, "MilvusFaces", MilvusFaces)
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    (person,) = group(trial.gallery, [1, 2, 3])
    said = command("query", "--person", f"@{person}")
    assert (said.code, "pip install pymilvus; or ask with --here" in said.err) == (3, True)
    assert command("query", "--person", f"@{person}", "--here").code == 0
    assert "pip install pymilvus" in command("check").err
    with trial.gallery.writing() as db, db.transaction():
        db.store.lack(60)
    with trial.gallery.writing() as db:
        stores.follow(trial.gallery, db, SETTINGS)
    assert "pip install pymilvus" in trial.notes[-1]


def test_programs_have_the_same_verbs(server: Server, bare_home: Path, tmp_path: Path) -> None:
    trial = Trial()
    trial.fill(tmp_path / "photos")
    assert trial.gallery.add_store(_ADDRESS).sent == 60
    trial.add("new.jpg", _NEW)
    assert trial.gallery.store_facts().lacks == 4
    assert trial.gallery.sync_store().sent == 4
    assert trial.gallery.drop_store()
    assert server.collections == {}


def test_a_gallery_without_faces_may_have_one(server: Server, bare_home: Path) -> None:
    bare = Trial()
    with bare.gallery.writing() as db, db.transaction():
        db.settings.write(SETTINGS)
    stores.add(bare.gallery, _ADDRESS)
    assert stores.sync(bare.gallery).faces == 0
    found, by = bare.answers(3)
    assert (by, (found == -1).all()) == (_ADDRESS, True)


def test_a_collection_that_is_there_is_taken_only_where_that_is_said(
    trial: Trial, server: Server, tmp_path: Path
) -> None:
    other = Trial("other")
    other.fill(tmp_path / "photos")
    with pytest.raises(StoreError, match="--replace"):
        stores.add(other.gallery, _ADDRESS)
    server.collections["songs"], server.dims["songs"] = {1: np.zeros(3, np.float32)}, 0
    with pytest.raises(StoreError, match="something else"):
        stores.add(other.gallery, _ADDRESS.replace("faces", "songs"), replace_it=True)
    trial.assert_right(by=_ADDRESS)
    stores.add(other.gallery, _ADDRESS, replace_it=True)
    stores.sync(other.gallery)
    trial.assert_right(by=None)
    assert not stores.drop(trial.gallery)  # it is the other's
    other.assert_right(by=_ADDRESS)
    assert stores.drop(other.gallery)
    assert "faces" not in server.collections
    other.assert_right(by=None)


def test_a_collection_is_replaced_by_who_says_so(trial: Trial, server: Server, command: Cli, tmp_path: Path) -> None:
    Trial("other").fill(tmp_path / "photos")
    words = ("store", "add", _ADDRESS, "--replace", "--gallery", "other")
    held = dict(server.collections["faces"])
    said = command(*words)
    assert (said.code, f"would drop {_ADDRESS}" in said.err, "--yes" in said.err) == (2, True, True)
    assert server.collections["faces"].keys() == held.keys()
    assert command(*words, "--yes").code == 0
    assert not server.collections["faces"].keys() & {face for face in held if face < 0}


def test_the_prompt_of_galleries_delete_names_the_store(trial: Trial, server: Server, command: Cli) -> None:
    said = command("galleries", "delete", "default")
    assert (said.code, f"and drop {_ADDRESS}" in said.err) == (2, True)
    assert "faces" in server.collections


def test_the_command_line_says_who_answered(trial: Trial, server: Server, command: Cli) -> None:
    (person,) = group(trial.gallery, [1, 2, 3])
    asked = ("query", "--person", f"@{person}")
    assert json.loads(command(*asked, "--json").out)["store"] == _ADDRESS
    assert json.loads(command(*asked, "--json", "--here").out)["store"] is None
    assert f"Searched in {_ADDRESS}." in command(*asked).err
    server.is_away = True
    said = command(*asked)
    assert (said.code, _ADDRESS in said.err, "--here" in said.err) == (3, True, True)
    assert command(*asked, "--here").code == 0
    assert json.loads(command("info", "--json").out)["store"]["state"] == "in step"
    assert command("store", "info").code == 3


def test_what_is_forgotten_is_deleted_there_and_what_stays_is_said(
    trial: Trial, server: Server, command: Cli
) -> None:
    (photo,) = [path for path in _paths(trial) if path.endswith("/0-1.jpg")]
    said = command("forget", photo, "--yes")
    assert (said.code, "Milvus keeps its bytes" in said.err) == (0, True)
    assert len(server.collections["faces"]) == 60  # 59 and the mark
    server.is_away = True
    (photo,) = [path for path in _paths(trial) if path.endswith("/0-2.jpg")]
    said = command("forget", photo, "--yes")
    assert "It is behind until" in said.err
    assert f"{_ADDRESS} still holds the forgotten faces, until this has been done: facesearch store sync." in said.err
    assert "found no longer" not in said.err
    server.is_away = False
    assert json.loads(command("store", "sync", "--json").out)["deleted"] == 1
    said = command("galleries", "delete", "default", "--yes")
    assert (said.code, server.collections) == (0, {})


@pytest.mark.parametrize("state", ["empty", "strange"])
def test_faces_that_stay_there_are_not_called_deleted(trial: Trial, server: Server, command: Cli, state: str) -> None:
    if state == "strange":
        server.collections["faces"][-(1 << 50)] = _ROWS[0][0]
    else:
        with trial.gallery.writing() as db, db.transaction():
            db.store.empty()
    said = command("forget", _paths(trial)[0], "--yes")
    assert (said.code, "still holds the forgotten faces" in said.err) == (0, True)
    assert "found no longer" not in said.err


def test_what_milvus_keeps_is_said_where_bytes_stay_here_too(
    trial: Trial, server: Server, command: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise FaceSearchError("The disk is full.")

    monkeypatch.setattr(Storage, "erase", refuse)
    said = command("forget", _paths(trial)[0], "--yes")
    assert (said.code, "Milvus keeps its bytes" in said.err, len(server.collections["faces"])) == (3, True, 60)


def _paths(trial: Trial) -> list[str]:
    with Database.open(trial.gallery.database) as db:
        return [path for (path,) in db.connection.execute("SELECT path FROM photos")]


@pytest.mark.parametrize(
    "text",
    [
        "milvus://ann:secret@host/faces",
        "milvus://host",
        "milvus://host/a/b",
        "milvus://host/a-b",
        "http://host/faces",
        "milvus://host:99999/faces",
        "milvus://a.global-cluster.test/faces",
        "milvus://host/faces?token=secret",
        "milvus://host/faces#secret",
        "faces",
        "",
    ],
)
def test_what_is_no_address_is_refused_and_no_password_is_repeated(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        StoreAddress.parse(text)
    assert "secret" not in str(refused.value)


def test_addresses_are_understood() -> None:
    assert StoreAddress.parse("milvus://host/faces").uri == "http://host:19530"
    assert StoreAddress.parse("milvus+tls://[::1]:443/faces").uri == "https://[::1]:443"
    assert str(StoreAddress.parse("milvus://host/faces")) == "milvus://host:19530/faces"


def test_a_silent_server_is_waited_for_so_long_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milvus, "CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(StoreError, match="has not answered"):
            MilvusFaces(StoreAddress.parse(f"milvus://127.0.0.1:{port}/faces"))


def test_the_library_reads_no_env_file_prints_nothing_and_leaves_the_programs_log_open(tmp_path: Path) -> None:
    """Its import looks for such a file in every folder above its own, and above the current one where Python is asked
    for lines."""
    (tmp_path / ".env").write_text("MILVUS_TOKEN=stolen\n")
    program = (
        "import logging, os, sys; sys.ps1 = '>'\n"
        "log = logging.FileHandler('own.log')\n"
        "from facesearch.cluster.milvus import MilvusFaces, StoreError\n"
        "from facesearch.cluster.addresses import StoreAddress\n"
        "assert 'pymilvus' not in sys.modules\n"
        "try: MilvusFaces(StoreAddress.parse('milvus://127.0.0.1:1/faces'))\n"
        "except StoreError as error: print(error)\n"
        "print('pymilvus' in sys.modules, os.environ.get('MILVUS_TOKEN'), os.environ.get('PYTHON_DOTENV_DISABLED'))\n"
        "print(log.stream is not None)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "GRPC_VERBOSITY": "NONE"}
    environment.pop("MILVUS_TOKEN", None)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.stderr, done.stdout.splitlines()) == (
        "",
        ["milvus://127.0.0.1:1/faces cannot be reached.", "True None None", "True"],
    )


def test_galleries_of_before_have_no_store(bare_home: Path, tmp_path: Path) -> None:
    old = Trial()
    old.fill(tmp_path / "photos")
    with old.gallery.writing() as db, db.transaction():
        db.connection.execute("DROP TABLE store")
    assert old.gallery.facts().store is None
    assert old.answers()[1] is None
    with pytest.raises(UsageError, match="store add"):
        stores.facts(old.gallery)


class _Partial:
    """Finds what it is told, or no more than it has."""

    def __init__(self, found: list[int]) -> None:
        self._found = found

    def nearest(self, queries: Embeddings, k: int) -> Ids:
        return np.array([(self._found + [NONE] * k)[:k]] * len(queries), np.int64)

    def has(self, face: int) -> bool:
        return True


def _not_called(*_: str) -> NoReturn:
    pytest.fail("The store is what it should be.")


def test_ids_that_no_face_has_or_that_are_newer_are_passed_over(trial: Trial) -> None:
    with trial.gallery.reading() as (db, _):
        remote = _Partial([3, -999, 0, 1_000, -1, 5])
        index = StoreIndex(remote, trial.stamp(), db.faces, 0, _not_called, _not_called)
        similarities, ids = index.search(_ROWS[0][:1], 4)
    assert sorted(ids[0][:2].tolist()) == [3, 5]
    assert ids[0][2:].tolist() == [-1, -1]
    assert similarities[0, 0] == pytest.approx(float(_ROWS[0][0] @ _ROWS[0][ids[0, 0] - 1]), abs=1e-6)
