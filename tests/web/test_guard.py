"""What strangers try on the page's server, byte by byte: nothing of it reaches a gallery."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from facesearch.web.refusals import SAFE
from tests.made_galleries import group, made
from tests.web.raw import Answer, Client, answer, head
from tests.web.trial import Served, serving

_PHOTOS = [f"photos/{i}.jpg" for i in range(6)]


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("token") / "token"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, token_file: Path) -> Iterator[Served]:
    """The page of a gallery with two groups, in a home without a model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACESEARCH_HOME", str(tmp_path_factory.mktemp("home")))
        group(made(photos=_PHOTOS), [1, 2, 3], [4, 5])
        with serving("default", "--token-file", str(token_file)) as page:
            yield page


@pytest.fixture(scope="module")
def cookie(served: Served) -> str:
    """The line with which the browser comes that has opened the address."""
    stranger = Client(served.port)
    given = stranger.get(served.address.removeprefix(served.origin)).headers["set-cookie"]
    return "Cookie: " + given.partition(";")[0]


@pytest.fixture
def stranger(served: Served) -> Client:
    """Somebody without a session."""
    return Client(served.port)


@pytest.fixture
def user(stranger: Client, cookie: str) -> Client:
    """The browser that has opened the address."""
    return stranger.having(cookie)


@pytest.fixture
def program(stranger: Client, token_file: Path) -> Client:
    """A program with the token of the file."""
    return stranger.having(f"Authorization: Bearer {token_file.read_text().strip()}")


def _sentence(given: Answer) -> str:
    return str(json.loads(given.body)["message"])


def test_the_page_and_the_interface_answer_who_has_a_session(user: Client, program: Client) -> None:
    assert user.get("/people").status == 200
    assert user.get("/api/people?list=groups").status == 200
    assert program.get("/api/people?list=groups").status == 200


def test_a_page_without_a_session_says_what_to_do(stranger: Client) -> None:
    given = stranger.get("/people/1")
    assert (given.status, given.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "open the address that facesearch web has printed" in given.text
    given = stranger.get("/api/people")
    assert (given.status, given.headers["content-type"]) == (401, "application/json")
    assert json.loads(given.body)["error"] == "no_session"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/people", 200),
        ("/", 303),
        ("/static/style.css", 200),
        ("/api/people", 200),
        ("/api/people?n=x", 400),
        ("/api/people/999", 404),
        ("/none", 404),
        ("/api/none", 404),
        ("/api/people/hide", 405),
        ("//", 404),
        ("/enter?token=x", 303),
    ],
)
def test_every_answer_has_the_headers_that_keep_it_here(user: Client, target: str, status: int) -> None:
    given = user.get(target)
    assert given.status == status
    _has_safe_headers(given)


def _has_safe_headers(given: Answer) -> None:
    wanted = {name.decode(): value.decode() for name, value in SAFE}
    assert {name: given.headers.get(name) for name in wanted} == wanted
    assert "server" not in given.headers
    assert "access-control-allow-origin" not in given.headers


def test_the_policy_allows_no_inline_script_and_no_frame() -> None:
    policy = dict(SAFE)[b"content-security-policy"].decode()
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "*" not in policy
    for wanted in ("base-uri 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"):
        assert wanted in policy


@pytest.mark.parametrize(
    "line", ["GARBAGE", "GET /people", "GET /people HTTP/9.9", "GET /p\x00 HTTP/1.1", "GET /é HTTP/1.1"]
)
def test_what_is_no_http_is_refused_with_the_same_headers(stranger: Client, line: str) -> None:
    given = stranger.ask(line, f"Host: {stranger.host}")
    assert given.status == 400
    _has_safe_headers(given)


# Of names. {port} is the server's own.
_WRONG_HOSTS = [
    "evil.example:{port}",
    "evil.example",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.1:{port}/people",
    "127.0.0.1:{port}@evil.example",
    "evil.example@127.0.0.1:{port}",
    "127.0.0.1:{port}, evil.example",
    "127.0.0.1.:{port}",
    "localhost.:{port}",
    "LOCALHOST:{port}",
    "[::1]:{port}",
    "0.0.0.0:{port}",
    "127.1:{port}",
    "127.0.0.1:0{port}",
    "",
]


@pytest.mark.parametrize("host", _WRONG_HOSTS)
def test_another_name_that_leads_here_is_refused_with_a_session_too(user: Client, host: str) -> None:
    given = user.ask("GET /api/people HTTP/1.1", f"Host: {host.format(port=user.port)}")
    assert given.status == 421
    _has_safe_headers(given)


def test_both_names_of_this_machine_are_answered(user: Client) -> None:
    assert user.ask("GET /api/people HTTP/1.1", f"Host: localhost:{user.port}").status == 200
    assert user.ask("GET /api/people HTTP/1.0", f"Host: {user.host}").status == 200


def test_two_hosts_and_none_are_refused(user: Client) -> None:
    own = f"Host: {user.host}"
    assert user.ask("GET /api/people HTTP/1.1", own, "Host: evil.example").status in (400, 421)
    assert user.ask("GET /api/people HTTP/1.1", own, own).status in (400, 421)
    assert user.ask("GET /api/people HTTP/1.0", "Host: evil.example", own).status in (400, 421)
    assert user.ask("GET /api/people HTTP/1.1").status in (400, 421)
    assert user.ask("GET /api/people HTTP/1.0").status == 421


def test_a_name_in_the_address_counts_as_little_as_one_that_was_forwarded(user: Client) -> None:
    assert user.get("http://evil.example/people").status == 404
    assert user.get(f"http://{user.host}/people").status == 404
    assert user.ask("GET /people HTTP/1.1", "Host: evil.example", f"X-Forwarded-Host: {user.host}").status == 421


_ADDRESSES = [
    "/static/../app.py",
    "/static/..%2fapp.py",
    "/static/%2e%2e/app.py",
    "/static/%2e%2e%2fapp.py",
    "/static/%252e%252e%252fapp.py",
    "/static/..%5capp.py",
    "/static/..\\app.py",
    "/static//etc/passwd",
    "/static/%2fetc%2fpasswd",
    "/static/.",
    "/static/..",
    "/static/app.js%00.css",
    "/static/",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/../../etc/passwd",
    "/./people",
    "//evil.example/people",
    "/people/",
    "/people//1",
    "/people/%31",
    "/people/1%00",
    "/people/1;x=y",
    "/api/people/%2e%2e/gallery",
    "/api/people/-1",
    "/api/people/1e3",
    "/api/people/0x1",
    "/api/people/\xd9\xa3",  # an Arabic three
    "/api/people/%D9%A3",
    "/api/photos/1/../../../etc/passwd",
    "/api/photos/%2fetc%2fpasswd/image",
    "/api/photos/99999999999999999999/image",
    "/api/photos/" + "9" * 280 + "/image",
    "/api/faces/" + "9" * 5000 + "/image",
    "people",
    "*",
]


@pytest.mark.parametrize("target", _ADDRESSES)
def test_no_address_leads_out_with_a_session_either(user: Client, target: str) -> None:
    given = user.get(target)
    assert given.status in (400, 404, 414)
    assert b"root:" not in given.body
    assert b"Traceback" not in given.body
    assert b"import " not in given.body


def test_a_very_long_address_is_refused(user: Client) -> None:
    assert user.get("/" + "a" * 400).status == 414
    assert user.get("/api/names?q=" + "a" * 5000).status == 414
    assert user.get("/people?" + "a" * 70_000).status in (400, 414, 431)


def test_what_stands_behind_the_question_mark_can_be_anything(user: Client) -> None:
    for query in (
        "first=" + "9" * 4300 + "0",
        "first=%00",
        "n=%ff%fe",
        "list=groups&list=named",
        "a=%",
        "&&==",
        "n=1e400",
    ):
        assert user.get(f"/api/people?{query}"[:4000]).status in (200, 400)


def test_an_answer_is_always_whole(user: Client) -> None:
    whole = user.get("/static/style.css")
    for ranges in ("bytes=0-3", "bytes=0-0,2-3,5-6", "bytes=-1", "bytes=9999999-"):
        given = user.get("/static/style.css", f"Range: {ranges}")
        assert (given.status, given.body) == (200, whole.body)


def test_head_is_answered_without_a_body(user: Client) -> None:
    with user.connection() as connection:
        connection.sendall(head(("HEAD /people HTTP/1.1", f"Host: {user.host}", *user.extra)))
        given = answer(connection, "HEAD")
    assert (given.status, given.body) == (200, b"")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"])
def test_other_methods_are_refused(user: Client, method: str) -> None:
    given = user.get("/api/people", user.origin, method=method)
    assert given.status == 405
    assert given.headers["allow"] == "GET, HEAD, POST"


_FOREIGN = [
    "Origin: http://evil.example",
    "Origin: null",
    "Origin: https://127.0.0.1:{port}",
    "Origin: http://127.0.0.1",
    "Origin: http://127.0.0.1:1",
    "Origin: http://localhost:{port}",  # the same server, and another origin
    "Origin: http://127.0.0.1:{port}.evil.example",
    "Origin: http://127.0.0.1:{port}/",
    "Origin:",
    "Sec-Fetch-Site: cross-site",
    "Sec-Fetch-Site: same-site",
    "Sec-Fetch-Site: Same-Origin",
]


@pytest.mark.parametrize("line", _FOREIGN)
def test_another_site_can_neither_change_nor_read(user: Client, program: Client, line: str) -> None:
    line = line.format(port=user.port)
    own = () if line.startswith("Origin") else (user.origin,)
    for client in (user, program):
        given = client.change(line, *own)
        assert (given.status, json.loads(given.body)["error"]) == (403, "foreign")
        assert client.get("/api/people", line).status == 403
        assert client.get("/people", line).status == 403
    assert json.loads(user.get("/api/people?list=hidden").body)["total"] == 0


def test_a_change_by_the_cookie_needs_the_pages_origin(user: Client) -> None:
    assert user.change().status == 403
    assert user.change(user.origin, "Origin: http://evil.example").status == 400
    assert user.change(user.origin, "Sec-Fetch-Site: same-origin").status == 200
    assert user.change(user.origin, body=b'{"people": [1], "hidden": false}').status == 200


def test_a_program_needs_no_origin(program: Client) -> None:
    assert program.change().status == 200
    assert program.change(program.origin, body=b'{"people": [1], "hidden": false}').status == 200


def test_two_cookies_of_one_name_are_refused(user: Client, cookie: str) -> None:
    name = cookie.removeprefix("Cookie: ").partition("=")[0]
    for tossed in (f"Cookie: {name}=x", f"Cookie: a=b; {name}=x; c=d", cookie):
        given = user.get("/api/people", tossed)
        assert (given.status, json.loads(given.body)["error"]) == (400, "two_cookies")
    assert user.get("/api/people", "Cookie: other=1; other=2").status == 200


def test_a_wrong_cookie_is_none(stranger: Client, cookie: str) -> None:
    name, _, secret = cookie.removeprefix("Cookie: ").partition("=")
    for value in ("", "x", secret[:-1], secret + "x", secret.upper(), f'"{secret}"', "\xe9\xff", "%00"):
        assert stranger.get("/api/people", f"Cookie: {name}={value}").status == 401
    assert stranger.get("/api/people", f"Cookie: {name}x={secret}").status == 401


def test_where_a_token_is_sent_no_cookie_is_read(user: Client, program: Client) -> None:
    for wrong in ("Bearer", "Bearer x", "Basic eDp5", "", program.extra[0].removeprefix("Authorization: ") + "x"):
        given = user.get("/api/people", f"Authorization: {wrong}")
        assert (given.status, given.headers["www-authenticate"]) == (401, "Bearer")
    assert program.get("/api/people", f"Cookie: facesearch-{program.port}=x").status == 200


def test_two_tokens_are_refused(program: Client) -> None:
    assert program.get("/api/people", program.extra[0]).status == 400
    assert program.get("/api/people", "Authorization: Bearer x").status == 400


def test_a_token_in_the_address_or_in_the_referer_is_none(stranger: Client, served: Served, program: Client) -> None:
    token = program.extra[0].rpartition(" ")[2]
    assert stranger.get(f"/api/people?token={token}").status == 401
    assert stranger.get("/api/people", f"Referer: {served.address}").status == 401
    assert stranger.get(f"/enter?token={token}").status == 403


def test_a_body_that_could_be_taken_for_two_requests_is_refused(program: Client) -> None:
    post, host, kind = "POST /api/people/hide HTTP/1.1", f"Host: {program.host}", "Content-Type: application/json"
    hidden = b"0\r\n\r\nGET /api/people HTTP/1.1\r\n\r\n"
    for lines in (
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 40"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: gzip, chunked",),
        ("Content-Length: -1",),
        ("Content-Length: 1 1",),
    ):
        with program.connection() as connection:
            connection.sendall(head((post, host, kind, *program.extra, *lines)) + hidden)
            assert answer(connection).status in (400, 501)
            assert connection.recv(1) == b""  # and what follows is not looked at


def test_a_request_that_reads_has_no_body(user: Client) -> None:
    assert user.get("/api/people", "Content-Length: 2").status == 400
    assert user.get("/api/people", "Transfer-Encoding: chunked").status == 400


def test_no_other_protocol_is_spoken(user: Client) -> None:
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    given = user.get("/api/people", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key)
    assert given.status == 400
    assert user.get("/api/people", "Upgrade: h2c").status == 400


def test_json_is_bounded_and_said_to_be_json(program: Client) -> None:
    given = program.change(body=b'{"people": [' + b"1," * 600_000 + b"1]}")
    assert (given.status, _sentence(given)) == (
        413,
        "This has more than 1 MB, the most that a request may have here; send less.",
    )
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "image/jpeg", ""):
        assert program.post("/api/people/hide", b"{}", kind=kind).status == 415
    assert program.post("/api/people/hide", b"{", kind="application/json; charset=utf-8").status == 400


def test_a_photo_is_bounded_and_said_to_be_one(program: Client) -> None:
    given = program.ask(
        "POST /api/uploads HTTP/1.1",
        f"Host: {program.host}",
        "Content-Type: image/jpeg",
        f"Content-Length: {65 << 20}",
    )
    assert (given.status, _sentence(given)) == (
        413,
        "This has more than 64 MB, the most that a photo may have here; send less.",
    )
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json", ""):
        assert program.post("/api/uploads", b"x", kind=kind).status == 415


def test_what_comes_in_pieces_is_counted(program: Client) -> None:
    for target, kind, most in (("/api/uploads", "image/jpeg", 64), ("/api/people/hide", "application/json", 1)):
        lines = (f"POST {target} HTTP/1.1", f"Host: {program.host}", f"Content-Type: {kind}", *program.extra)
        piece = b"100000\r\n" + b"0" * (1 << 20) + b"\r\n"
        with program.connection() as connection:
            connection.sendall(head((*lines, "Transfer-Encoding: chunked")))
            for _ in range(most + 1):
                connection.sendall(piece)
            assert answer(connection).status == 413


def test_two_hundred_connections_at_once_are_all_answered(user: Client) -> None:
    """Beside many that say nothing."""
    with ExitStack() as silent, ThreadPoolExecutor(200) as threads:
        for _ in range(150):
            silent.enter_context(user.connection())
        answers = list(threads.map(lambda _: user.get("/api/people?list=groups"), range(200)))
    assert [each.status for each in answers] == [200] * 200


def test_many_who_say_nothing_keep_nobody_out(user: Client) -> None:
    with ExitStack() as silent:
        for _ in range(450):
            silent.enter_context(user.connection())
        assert user.get("/people").status == 200


def test_the_server_listens_on_this_machines_own_address_alone(served: Served) -> None:
    others = {str(each[4][0]) for each in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in {*others, "127.0.0.2"} - {"127.0.0.1"}:
        with pytest.raises(OSError, match=r"refused|unreachable"):
            socket.create_connection((address, served.port), 5)


def test_nothing_secret_and_no_traceback_was_said(served: Served, cookie: str, token_file: Path) -> None:
    said = "".join(served.errors)
    assert "Traceback" not in said
    for secret in (cookie.partition("=")[2], token_file.read_text().strip(), served.address.partition("=")[2]):
        assert secret not in said
