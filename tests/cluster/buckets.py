"""A real S3 on this machine, moto's, behind a gate that counts what is asked, and refuses or hangs up when it is told
to."""

import os
import re
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

_DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


@dataclass(slots=True)
class Gate:
    """What goes in front of the server. Requests are written as "GET /bucket/key", and a list of objects as
    "LIST /bucket"."""

    app: Any
    asked: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)  # all of them that are no questions
    denies: Callable[[str], bool] = lambda request: False
    hangs_up: Callable[[str], bool] = lambda request: False

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        request = _request(environ)
        self.asked.append(request)
        if not request.startswith(("GET ", "HEAD ", "LIST ")):
            self.writes.append(request)
        if self.hangs_up(request):
            start("200 OK", [])
            environ["werkzeug.socket"].shutdown(2)
            return []
        if self.denies(request):
            start("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(_DENIED)))])
            return [] if request.startswith("HEAD") else [_DENIED]
        answer: Iterable[bytes] = self.app(environ, start)
        return answer

    def lists(self) -> list[str]:
        """The requests for lists until now."""
        return [each for each in self.asked if each.startswith("LIST")]

    def read(self) -> list[str]:
        """Which objects were read until now, and forgets that."""
        asked, self.asked = self.asked, []
        return [each[4:] for each in asked if each.startswith("GET ")]


def _request(environ: dict[str, Any]) -> str:
    path = environ["PATH_INFO"].encode("latin-1").decode()
    is_list = "list-type=2" in environ.get("QUERY_STRING", "")
    return f"LIST /{path.split('/')[1]}" if is_list else f"{environ['REQUEST_METHOD']} {path}"


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Says nothing: pytest would show all of it."""


class Server:
    """The S3, on a port that was free."""

    def __init__(self) -> None:
        self.gate = Gate(DomainDispatcherApplication(create_backend_app))
        self._server = make_server("127.0.0.1", 0, self.gate, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.port = self._server.port
        self.address = f"http://127.0.0.1:{self.port}"
        self.client = boto3.client(
            "s3", endpoint_url=self.address, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
        )

    @property
    def settings(self) -> dict[str, str]:
        """The environment with which a process reaches it, and nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def stop(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket of it."""

    name: str
    server: Server

    @property
    def gate(self) -> Gate:
        """What is in front of its server."""
        return self.server.gate

    def put(self, key: str, data: bytes) -> str:
        """Stores an object; its address."""
        self.server.client.put_object(Bucket=self.name, Key=key, Body=data)
        return f"s3://{self.name}/{key}"

    def fill(self, folder: Path, prefix: str) -> str:
        """Stores all that is in a folder; its address."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return f"s3://{self.name}/{prefix}"

    def delete(self, *keys: str) -> None:
        """Deletes these objects, or without any all of them and the bucket."""
        client = self.server.client
        there = client.list_objects_v2(Bucket=self.name).get("Contents", ())
        for key in keys or [each["Key"] for each in there]:
            client.delete_object(Bucket=self.name, Key=key)
        if not keys:
            client.delete_bucket(Bucket=self.name)


def made(server: Server, test: str) -> Bucket:
    """A new bucket that is named after a test."""
    name = re.sub(r"[^a-z0-9]+", "-", test.lower())[-50:].strip("-")
    server.client.create_bucket(Bucket=name)
    return Bucket(name, server)


def opened_gate(gate: Gate) -> None:
    """Makes it let all through again."""
    with suppress(AttributeError):
        gate.asked = []
        gate.denies = gate.hangs_up = lambda request: False
