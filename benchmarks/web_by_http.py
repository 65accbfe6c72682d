"""The page's interface without a browser: how long its calls take, and how many faces a second it sends."""

import http.client
import json
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from tests.web.trial import Served

_TIMES = 15  # each call, after a first one
_FACES = 240  # pictures
_AT_ONCE = 6  # connections, as a browser opens to one host


class Client:
    """One connection with a session of its own."""

    def __init__(self, served: Served, cookie: str = "") -> None:
        self.host = urlsplit(served.origin).netloc
        self.connection = http.client.HTTPConnection(self.host, timeout=60)
        self.cookie = cookie or self._entered(served.address)

    def _entered(self, address: str) -> str:
        parts = urlsplit(address)
        self.connection.request("GET", f"{parts.path}?{parts.query}")
        answer = self.connection.getresponse()
        answer.read()
        return (answer.getheader("set-cookie") or "").split(";")[0]

    def get(self, path: str) -> bytes:
        """What is there. Raises RuntimeError where the server refuses it."""
        return self._asked("GET", path, None)

    def post(self, path: str, body: object) -> bytes:
        """What the server says to it. Raises RuntimeError where it refuses."""
        return self._asked("POST", path, json.dumps(body).encode())

    def _asked(self, method: str, path: str, body: bytes | None) -> bytes:
        headers = {"Cookie": self.cookie, "Origin": f"http://{self.host}", "Content-Type": "application/json"}
        self.connection.request(method, path, body, headers if body else {"Cookie": self.cookie})
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:200]!r}")
        return data


def measure_http(served: Served, round_: int) -> Iterator[tuple[str, float]]:
    """What was measured, and its figure; of a server that has just started."""
    client = Client(served)
    first = "/api/people?list=groups&first=0&n=100"
    yield "first 100 groups, the server's first answer, ms", _milliseconds(client, first)
    groups = json.loads(client.get(first))["people"]
    largest = groups[0]["id"]
    for what, path in (
        ("first 100 groups", first),
        ("100 groups from the 20,000th on", "/api/people?list=groups&first=20000&n=100"),
        ("the state of everything, polled", "/api/state"),
        ("100 faces of the largest group", f"/api/people/{largest}/faces?first=0&n=100"),
        ("names for a group, the likeliest first", f"/api/names?person={largest}"),
        ("what the gallery holds", "/api/gallery"),
    ):
        yield f"{what}, ms", statistics.median(_milliseconds(client, path) for _ in range(_TIMES))
    yield (
        "a name, ms",
        statistics.median(_named(client, each["id"], f"{round_}-{i}") for i, each in enumerate(groups[40:60])),
    )
    yield "first 100 groups after that, ms", _milliseconds(client, first)
    faces = range(1 + round_ * _FACES, 1 + (round_ + 1) * _FACES)
    for state in ("faces from photos, a second", "faces from the cache, a second"):
        yield state, _faces_a_second(served, client.cookie, faces)


def _milliseconds(client: Client, path: str) -> float:
    started = time.perf_counter()
    client.get(path)
    return 1000 * (time.perf_counter() - started)


def _named(client: Client, group: int, name: str) -> float:
    started = time.perf_counter()
    client.post(f"/api/people/{group}/name", {"name": f"Person {name}"})
    return 1000 * (time.perf_counter() - started)


def _faces_a_second(served: Served, cookie: str, faces: range) -> float:
    clients = [Client(served, cookie) for _ in range(_AT_ONCE)]

    def fetch(i: int) -> None:
        for face in faces[i::_AT_ONCE]:
            clients[i].get(f"/api/faces/{face}/image?side=112")

    started = time.perf_counter()
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(fetch, range(_AT_ONCE)))
    return len(faces) / (time.perf_counter() - started)
