"""Who gets into the page, and for how long."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from facesearch.errors import FaceSearchError
from facesearch.web.guard import Door, Guard
from facesearch.web.server import _Server
from facesearch.web.session import Session
from tests.made_galleries import group, made
from tests.web.raw import Client, cookie_of, enter, head, target
from tests.web.raw import answer as read_answer
from tests.web.trial import Served, serving


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a model, and a gallery of three faces in it."""
    path = tmp_path / "home"
    monkeypatch.setenv("FACESEARCH_HOME", str(path))
    group(made(photos=["a.jpg", "b.jpg", "c.jpg"]), [1, 2, 3])
    return path


def _is_in(served: Served, cookie: str) -> bool:
    return Client(served.port).get("/api/people", cookie).status == 200


def test_an_address_opens_once_and_then_says_so(home: Path) -> None:
    with serving("default") as served:
        _looking_ahead_does_not_use_it_up(served)
        _a_wrong_token_says_so(served)
        given = enter(served.address)
        assert (given.status, given.headers["location"]) == (303, "/people")
        _, *words = given.headers["set-cookie"].split("; ")
        assert words == ["Path=/", "HttpOnly", "SameSite=Strict"]
        assert given.headers["set-cookie"].startswith(f"facesearch-{served.port}=")
        assert given.headers["referrer-policy"] == "no-referrer"
        assert _is_in(served, cookie_of(given))
        again = enter(served.address)
        assert again.status == 403
        assert "has been used; open the new one" in again.text
        assert "set-cookie" not in again.headers
        # Who has got in already gets in again: a browser that is started again asks for its last address.
        assert enter(served.address, cookie_of(given)).status == 303


def _looking_ahead_does_not_use_it_up(served: Served) -> None:
    for line in ("Sec-Purpose: prefetch", "Sec-Purpose: prefetch;prerender", "Purpose: prefetch", "X-Moz: prefetch"):
        given = enter(served.address, line)
        assert given.status == 503
        assert "set-cookie" not in given.headers
    with Client(served.port).connection() as connection:
        connection.sendall(head((f"HEAD {target(served.address)} HTTP/1.1", f"Host: 127.0.0.1:{served.port}")))
        assert read_answer(connection, "HEAD").status == 503
    assert enter(served.address, "Sec-Fetch-Site: cross-site").status == 403  # nor does a link on another site


def _a_wrong_token_says_so(served: Served) -> None:
    for query in ("", "?token=", "?token=x", "?token=x&token=y", "?token=%00", "?token=%ff", "?x"):
        given = Client(served.port).get(f"/enter{query}")
        assert given.status == 403
        assert "The token of this address is wrong" in given.text


def test_whoever_finds_the_address_used_gets_a_new_one_where_the_server_runs(home: Path) -> None:
    command = [str(Path(sys.executable).with_name("facesearch")), "web", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline().strip()
        client = Client(int(first.split(":")[2].partition("/")[0]))
        assert client.get(target(first)).status == 303
        for _ in range(3):
            assert client.get(target(first)).status == 403
        second = process.stdout.readline().strip()
        assert second != first
        assert client.get(target(second)).status == 303
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""  # it was said once


def test_a_server_that_comes_back_at_its_port_goes_on_with_an_open_page(home: Path) -> None:
    made("other", ["d.jpg"])
    with serving("default") as served:
        cookie = cookie_of(enter(served.address))
        first = served.address
        served.kill()
        served.start()
        assert _is_in(served, cookie)
        assert Client(served.port).get(target(first)).status == 403
        assert served.stop() == 130
        served.gallery = "other"  # whose ids are other people's
        served.start()
        assert not _is_in(served, cookie)


def test_what_is_kept_of_a_session_is_its_owners_alone(home: Path) -> None:
    before = os.umask(0)
    try:
        secret = _secret(Session("default", 5))
    finally:
        os.umask(before)
    (kept,) = (home / "web").iterdir()
    assert secret in kept.read_text()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (home / "web", kept)] == [0o700, 0o600]


def _secret(session: Session) -> str:
    return session.cookie_to_set().partition("=")[2].partition(";")[0]


@pytest.mark.parametrize("wrong", ["link", "wide", "folder", "garbage", "pipe"])
def test_a_session_that_others_could_have_written_is_not_gone_on_with(home: Path, tmp_path: Path, wrong: str) -> None:
    before = Session("default", 5)
    path = home / "web" / "session-5.json"
    content = path.read_bytes()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(content)
    elsewhere.chmod(0o600)
    if wrong == "wide":
        path.chmod(0o644)
    else:
        path.unlink()
        _put(wrong, path, elsewhere)
    if wrong == "folder":
        with pytest.raises(FaceSearchError, match="cannot be kept"):
            Session("default", 5)
        return
    after = Session("default", 5)
    assert not after.is_of(_secret(before))
    assert stat.S_ISREG(path.lstat().st_mode)
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert elsewhere.read_bytes() == content


def test_secrets_are_kept_in_the_home_alone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (home / "web").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FaceSearchError, match="leads elsewhere"):
        Session("default", 5)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def _put(wrong: str, path: Path, elsewhere: Path) -> None:
    if wrong == "link":
        path.symlink_to(elsewhere)
    elif wrong == "folder":
        path.mkdir()
    elif wrong == "pipe":
        os.mkfifo(path, 0o600)
    else:
        path.write_bytes(b'{"secret": 5')
        path.chmod(0o600)


def test_a_session_ends_after_eight_idle_hours_and_over_a_restart(home: Path) -> None:
    now = [1e9]
    session = Session("default", 5, clock=lambda: now[0])
    secret = _secret(session)
    now[0] += 7.9 * 3600
    session.use()
    session.keep()
    now[0] += 7.9 * 3600
    assert not session.is_over
    assert Session("default", 5, clock=lambda: now[0]).is_of(secret)
    now[0] += 0.2 * 3600
    assert session.is_over
    now[0] += 7.9 * 3600
    assert not Session("default", 5, clock=lambda: now[0]).is_of(secret)
    now[0] -= 16 * 3600  # a clock that was set back
    assert not Session("default", 5, clock=lambda: now[0]).is_of(secret)


def test_what_servers_at_other_ports_left_long_ago_is_removed(home: Path) -> None:
    Session("default", 5, clock=lambda: 1e9)
    Session("default", 6, clock=lambda: 1e9 + 8 * 3600)
    assert [path.name for path in (home / "web").iterdir()] == ["session-6.json"]


def test_what_a_page_asks_by_itself_is_no_use(home: Path) -> None:
    now = [1e9]
    session = Session("default", 5, clock=lambda: now[0])
    client = TestClient(Guard(_nothing, Door(session, "token")), "http://127.0.0.1:5")
    client.headers["Authorization"] = "Bearer token"
    asked = (("/people", 7, 200), ("/api/people", 7, 200), ("/api/state", 5, 200), ("/api/state", 5, 401))
    for address, hours, status in asked:
        now[0] += hours * 3600
        assert client.get(address).status_code == status
    assert session.is_over


async def _nothing(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})


def test_a_run_of_indexing_that_the_page_has_started_keeps_the_session(home: Path) -> None:
    now, busy = [1e9], [True]
    door = Door(Session("default", 5, clock=lambda: now[0]))
    server = _Server(Guard(_nothing, door), door, lambda: busy[0])
    for _ in range(3):
        now[0] += 7 * 3600
        asyncio.run(server._look_at_session())
        assert not server.should_exit
    busy[0] = False
    for hours, ends in ((7, False), (2, True)):
        now[0] += hours * 3600
        asyncio.run(server._look_at_session())
        assert server.should_exit == ends


def test_what_nobody_has_foreseen_is_a_sentence_here_and_an_error_there(home: Path) -> None:
    failed: list[Exception] = []
    door = Door(Session("default", 5), "token", failed=failed.append)
    client = TestClient(Guard(_broken, door), "http://127.0.0.1:5", headers={"Authorization": "Bearer token"})
    given = client.get("/api/people")
    assert (given.status_code, given.json()["error"]) == (500, "unforeseen")
    assert "secret" not in given.text
    assert given.headers["x-content-type-options"] == "nosniff"
    assert [str(each) for each in failed] == ["secret"]


async def _broken(_: Scope, __: Receive, ___: Send) -> None:
    raise ValueError("secret")
