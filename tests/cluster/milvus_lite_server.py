"""A Milvus in this process, in pure Python: the package milvus-lite, which answers as the real one does."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def lite(folder: Path) -> Iterator[str]:
    """Its address without the name of a collection; what it stores lies in `folder`."""
    if os.environ.get("FACESEARCH_TEST_CLUSTER") != "must":
        pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    server, database, port = start_server_in_thread(str(folder / "lite.db"))
    try:
        yield f"milvus://127.0.0.1:{port}"
    finally:
        server.stop(grace=0).wait()
        database.close()
