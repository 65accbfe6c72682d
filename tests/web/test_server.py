"""How the page's server begins and ends, and what it does not wait for."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from facesearch import Gallery
from facesearch.errors import FaceSearchError, UsageError
from facesearch.web.bodies import PATIENCE
from facesearch.web.token_file import token_in
from tests.made_galleries import group, made
from tests.web.raw import Client, cookie_of, enter, head
from tests.web.raw import answer as read_answer
from tests.web.trial import Served, free_port, serving

_SOON = 0.8 * PATIENCE.head  # seconds; it takes 0.2, and who waited for what is open would wait so long and longer
_PATIENCE = 30.0  # seconds for what ends on a machine with much other work
_SHORT = """
import sys
from facesearch import Gallery, interruption
from facesearch.web.bodies import Patience
from facesearch.web.server import Serving, serve
from facesearch.web.service import served

interruption.listen()
idle, head, pause, whole = map(float, sys.argv[1:])
with served(Gallery.open("default", "cpu")) as service:
    serve(service, Serving(0, "token", idle, Patience(head, pause, whole), lambda said: print(said, flush=True)))
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a model, and a gallery of three faces in it."""
    path = tmp_path / "home"
    monkeypatch.setenv("FACESEARCH_HOME", str(path))
    group(made(photos=["a.jpg", "b.jpg", "c.jpg"]), [1, 2, 3])
    return path


@contextmanager
def _with_short_times(
    idle: float = 60, head: float = 60, pause: float = 60, whole: float = 60
) -> Iterator[tuple[Client, "subprocess.Popen[str]"]]:
    """A server whose times are these, and a client that may do all. Killed at the end."""
    words = [sys.executable, "-c", _SHORT, *map(str, (idle, head, pause, whole))]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().split(":")[2].partition("/")[0])
        yield Client(port, ("Authorization: Bearer token",)), process
    finally:
        process.kill()
        process.wait()


def test_the_server_ends_with_its_session(home: Path) -> None:
    with _with_short_times(idle=1) as (client, process):
        started = time.monotonic()
        with suppress(OSError):
            while process.poll() is None and time.monotonic() - started < _PATIENCE:
                client.get("/api/state")
        assert process.wait(_PATIENCE) == 0
    assert list((home / "web").iterdir()) == []


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_soon_with_open_connections_and_bodies(home: Path, sign: signal.Signals) -> None:
    with (
        serving("default") as served,
        Client(served.port).connection() as idle,
        Client(served.port).connection() as busy,
    ):
        cookie = cookie_of(enter(served.address))
        host = f"Host: 127.0.0.1:{served.port}"
        idle.sendall(b"GET /people HTTP/1.1\r\n")
        lines = ("POST /api/uploads HTTP/1.1", host, cookie, f"Origin: http://{host[6:]}", "Content-Type: image/jpeg")
        busy.sendall(head((*lines, "Content-Length: 1000000")) + b"x" * 1000)
        assert Client(served.port).get("/api/people", cookie).status == 200  # and so both of them have come
        os.kill(served.pid, sign)
        started = time.monotonic()
        assert served.ended() == 130
        assert time.monotonic() - started < _SOON
        given = read_answer(busy)
        assert (given.status, json.loads(given.body)["error"]) == (503, "ending")
    assert "Interrupted; what was said is stored.\n" in served.errors


def test_a_head_that_does_not_come_and_a_body_that_stands_still_make_room(home: Path) -> None:
    with _with_short_times(head=0.3, pause=0.3, whole=0.8) as (client, _):
        with client.connection() as connection:  # nothing at all
            assert connection.recv(1) == b""
        with client.connection() as connection:  # a byte now and then
            started = time.monotonic()
            assert _drips(connection, b"G")
            assert time.monotonic() - started < _PATIENCE
        lines = ("POST /api/uploads HTTP/1.1", f"Host: {client.host}", "Content-Type: image/jpeg", *client.extra)
        begun = head((*lines, "Content-Length: 1000000"))
        with client.connection() as connection:
            connection.sendall(begun)
            given = read_answer(connection)
            assert (given.status, json.loads(given.body)["error"]) == (408, "too_slow")
        with client.connection() as connection:
            connection.sendall(begun)
            assert _drips(connection, b"x")
        assert client.get("/api/people").status == 200


def _drips(connection: socket.socket, drop: bytes) -> bool:
    """Sends a byte often enough, until the other side has enough."""
    connection.settimeout(0.1)
    for _ in range(int(_PATIENCE * 10)):
        try:
            connection.sendall(drop)
            if len(connection.recv(4096)) >= 0:
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_where_the_system_gives_few_files_at_first_many_connections_are_answered(home: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        served = Served("default")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with ExitStack() as silent:
        silent.callback(served.kill)
        for _ in range(300):
            silent.enter_context(Client(served.port).connection())
        started = time.monotonic()
        assert enter(served.address).status == 303
        assert time.monotonic() - started < 0.8 * PATIENCE.head


def test_a_port_that_is_taken_is_one_sentence(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = _run("--port", port)
    assert (said.returncode, said.stdout) == (3, "")
    assert said.stderr == f"Port {port} is taken; name another one, or 0 for one that is free.\n"


def _run(*words: object) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("facesearch")), "web", "--no-browser", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)


def test_a_gallery_that_is_not_there_or_is_damaged_ends_with_its_code(home: Path) -> None:
    said = _run("-g", "none")
    assert (said.returncode, said.stdout) == (5, "")
    (home / "indexes" / "default" / "faces.db").write_bytes(b"no database" * 1000)
    said = _run()
    assert (said.returncode, said.stdout) == (5, "")


def test_without_its_model_a_gallery_is_looked_at_and_a_search_says_why_it_cannot_be(
    home: Path, tmp_path: Path, astronaut_file: Path
) -> None:
    with Gallery.open().writing() as db, db.transaction():
        db.connection.execute("UPDATE settings SET model = 'retail-0095'")
    with serving("default", "--token-file", str(tmp_path / "token")) as served:
        program = Client(served.port, (f"Authorization: Bearer {(tmp_path / 'token').read_text().strip()}",))
        assert program.get("/people").status == 200
        assert json.loads(program.get("/api/people?list=groups").body)["total"] == 1
        given = program.post("/api/search", astronaut_file.read_bytes(), kind="image/jpeg")
        said = json.loads(given.body)
        assert (given.status, said["error"]) == (503, "model")
        assert "embeddings of another network than today's 'retail-0095'" in said["message"]


class TestTokenFile:
    """The token of programs."""

    def test_it_is_there_as_long_as_the_server_and_one_that_was_left_is_replaced(
        self, home: Path, tmp_path: Path
    ) -> None:
        file = tmp_path / "token"
        with serving("default", "--token-file", str(file)) as served:
            left = file.read_text()
            served.kill()
            served.start()
            assert file.read_text() != left
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            client = Client(served.port, (f"Authorization: Bearer {left.strip()}",))
            assert client.get("/api/people").status == 401
            served.stop()
            assert not file.exists()

    @pytest.mark.parametrize("what", ["other", "empty", "link", "folder"])
    def test_nothing_of_the_users_is_replaced(self, tmp_path: Path, what: str) -> None:
        file, other = tmp_path / "token", tmp_path / "other"
        other.write_text("facesearch-web-x\n" if what == "link" else "mine")
        if what == "link":
            file.symlink_to(other)
        elif what == "folder":
            file.mkdir()
        else:
            file.write_text("mine" if what == "other" else "")
        before = (file.lstat().st_ino, file.lstat().st_mtime_ns, other.read_text())
        with pytest.raises(UsageError, match="is there and no token of facesearch"), token_in(file):
            pass
        assert (file.lstat().st_ino, file.lstat().st_mtime_ns, other.read_text()) == before

    def test_one_that_another_has_written_since_is_not_removed(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        with token_in(file):
            file.write_text("mine")
        assert file.read_text() == "mine"

    def test_where_it_cannot_be_written_that_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(FaceSearchError, match="cannot be written"), token_in(tmp_path / "none" / "token"):
            pass

    def test_bad_words_end_the_command(self, home: Path) -> None:
        said = _run("--token-file", home)
        assert (said.returncode, said.stdout) == (2, "")
        assert said.stderr == f"{home} is there and no token of facesearch; name a file that does not exist yet.\n"


def test_the_browser_is_opened_and_says_nothing_here(home: Path, tmp_path: Path) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(
        "#!/bin/sh\necho chatter; echo chatter >&2\n"
        f'echo "$1 $TERM $(umask)" > {opened}.part; mv {opened}.part {opened}\n'
    )
    browser.chmod(0o755)
    settings = os.environ | {"BROWSER": str(browser), "TERM": "xterm"}
    command = [str(Path(sys.executable).with_name("facesearch")), "web", "--port", str(free_port())]
    piped = subprocess.PIPE
    with subprocess.Popen(command, stdout=piped, stderr=piped, text=True, env=settings, umask=0o022) as process:
        giving_up = threading.Timer(_PATIENCE, process.kill)
        giving_up.start()
        while not opened.exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
        giving_up.cancel()
    assert opened.read_text() == f"{out.strip()}  0022\n"
    assert "chatter" not in out + err
    assert process.returncode == 130


def test_where_there_is_no_browser_the_address_is_enough(home: Path) -> None:
    settings = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [str(Path(sys.executable).with_name("facesearch")), "web"]
    piped = subprocess.PIPE
    with subprocess.Popen(
        command, stdout=piped, stderr=piped, text=True, env=settings | {"BROWSER": "/none/at/all", "PATH": "/none"}
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        giving_up = threading.Timer(_PATIENCE, process.kill)
        giving_up.start()
        assert any(line == "No browser was found; open the address yourself.\n" for line in process.stderr)
        giving_up.cancel()
        process.send_signal(signal.SIGINT)
    assert process.returncode == 130
