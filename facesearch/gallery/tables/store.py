"""The vector store beside a gallery, as its database knows it: where it is, and how far it has followed."""

import dataclasses
import secrets
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

from facesearch.cluster.addresses import StoreAddress
from facesearch.errors import UsageError
from facesearch.gallery.records.store import StoreStamp
from facesearch.gallery.tables.sqlite import OF_SQLITE, columns, complete, first_row, has_table

_COLUMNS: Final = "address, kind, model, dim, state, token, next_token, count, newest_id, removed"
_LEAST_TOKEN = 1 << 40  # a mark is a face with the id -token, which no face has
_MOST_TOKEN = 1 << 62


def new_token() -> int:
    """A mark that no other sync of whichever gallery has."""
    return _LEAST_TOKEN + secrets.randbelow(_MOST_TOKEN - _LEAST_TOKEN)


def is_mark(face: int) -> bool:
    """Whether this id of a face is that of a mark."""
    return -_MOST_TOKEN - 1 <= face <= -_LEAST_TOKEN


class Stores:
    """Reads and writes the stamp; writes inside of the caller's transactions."""

    def __init__(self, conn: sqlite3.Connection, path: Path) -> None:
        self._conn, self._path = conn, path

    def read(self) -> StoreStamp | None:
        """The stamp; None where the gallery has no store, or one whose address is none, so that nothing is sent
        there."""
        if not has_table(self._conn, self._path, "store"):  # an earlier facesearch's
            return None
        row = first_row(self._conn, self._path, f"SELECT {_COLUMNS} FROM store")
        if not row:
            return None
        stamp = StoreStamp(*complete(row, "what it knows of its vector store"))
        with suppress(UsageError):
            return dataclasses.replace(stamp, address=str(StoreAddress.parse(stamp.address)))
        return None

    def write(self, stamp: StoreStamp) -> None:
        """Notes it in place of the one before."""
        values = dataclasses.astuple(stamp)
        marks = ", ".join("?" * len(values))
        self._conn.execute(f"INSERT OR REPLACE INTO store (only, {_COLUMNS}) VALUES (1, {marks})", values)

    def reached(self, newest_id: int) -> None:
        """Notes how far a sync is."""
        self._conn.execute("UPDATE store SET newest_id = ?", (newest_id,))

    def delete(self) -> None:
        """From now on the gallery has no store."""
        self._conn.execute("DELETE FROM store")

    def empty(self) -> None:
        """From now on all that the store holds is wrong, as after a change of the model."""
        self._conn.execute("UPDATE store SET state = 'empty'")

    def lack(self, first: int) -> None:
        """Faces from this id on are there that the store may lack, though it has followed further."""
        self._conn.execute("UPDATE store SET newest_id = min(newest_id, ?)", (first - 1,))


def keep_store(conn: sqlite3.Connection, into: sqlite3.Connection) -> None:
    """A database that is made of a damaged one knows where the store is, and that it is to be filled anew."""
    with suppress(*OF_SQLITE, TypeError, ValueError):
        if not columns(conn, "store"):
            return
        row = conn.execute(f"SELECT {_COLUMNS} FROM store").fetchone()
        if row and all(type(value) is type(usual) for value, usual in zip(row, _USUAL, strict=True)):
            Stores(into, Path()).write(dataclasses.replace(StoreStamp(*row), state="empty"))


_USUAL = dataclasses.astuple(StoreStamp("", "hnsw"))
