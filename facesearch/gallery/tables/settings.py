"""The tables of one row in a gallery's database: its settings, its learned threshold, the stamp of its vectors."""

import dataclasses
import json
import sqlite3
import zlib
from pathlib import Path

from facesearch.errors import UsageError
from facesearch.gallery.records.settings import ActiveThreshold, Calibration, GallerySettings, IndexStamp
from facesearch.gallery.tables.sqlite import columns, complete, explained, first_row, has_table, now
from facesearch.photos.exclusions import Exclusions


class Settings:
    """What was fixed when the gallery was made, and which networks made its embeddings."""

    def __init__(self, conn: sqlite3.Connection, path: Path) -> None:
        self._conn, self._path = conn, path

    def read(self) -> GallerySettings | None:
        """The settings; None in a database that is still empty. Raises GalleryError when they are damaged."""
        with explained(self._path):
            there = columns(self._conn, "settings")
            fields = dataclasses.fields(GallerySettings)
            names = [field.name for field in fields if field.name in there]
            if any(field.default is dataclasses.MISSING and field.name not in there for field in fields) and names:
                raise sqlite3.DatabaseError("its settings are not as they were stored")
            row = self._conn.execute(f"SELECT {', '.join(names)} FROM settings").fetchone() if names else None
            if row is None:
                return None
            whole = complete(row, "what was fixed when it was made")
            found = GallerySettings(**dict(zip(names, whole, strict=True)))
            # Where no face is stored nothing must be comparable.
            (has_faces,) = self._conn.execute("SELECT EXISTS (SELECT 1 FROM faces)").fetchone()
        return dataclasses.replace(found, identity=_unsealed(found.identity) if has_faces else "")

    def write(self, settings: GallerySettings) -> None:
        """Fixes the settings; what `change_model` does not change stays for good."""
        self._conn.execute(
            "INSERT INTO settings (only, model, detector, dim, min_face_px, max_side, identity) "
            "VALUES (1, ?, ?, ?, ?, ?, ?)",
            dataclasses.astuple(dataclasses.replace(settings, identity=_sealed(settings.identity))),
        )

    def change_model(self, settings: GallerySettings) -> None:
        """From now on the embeddings are of this model. That they are is for the caller to see to."""
        values = (settings.model, settings.dim, _sealed(settings.identity))
        self._conn.execute("UPDATE settings SET model = ?, dim = ?, identity = ?", values)

    def write_identity(self, identity: str) -> None:
        """Notes which networks make the embeddings, in a gallery that does not know it or has none. That they are the
        same as before is for the caller to check."""
        self._conn.execute("UPDATE settings SET identity = ?", (_sealed(identity),))


class LeftOut:
    """What a user wants left out of the gallery's folders."""

    def __init__(self, conn: sqlite3.Connection, path: Path) -> None:
        self._conn, self._path = conn, path

    def read(self) -> Exclusions:
        """What was said last; the usual where nothing was. Raises GalleryError when it is damaged."""
        if not has_table(self._conn, self._path, "exclusions"):  # an earlier facesearch's
            return Exclusions()
        row = first_row(self._conn, self._path, "SELECT patterns, defaults FROM exclusions")
        with explained(self._path):
            try:
                return Exclusions(tuple(json.loads(row[0])), bool(row[1])) if row else Exclusions()
            except (TypeError, ValueError, AttributeError, UsageError) as error:
                raise sqlite3.DatabaseError("what it leaves out is not as it was stored") from error

    def write(self, exclusions: Exclusions) -> None:
        """From now on the gallery leaves this out."""
        values = (json.dumps(exclusions.patterns), exclusions.defaults)  # of ASCII, whatever bytes a pattern has
        self._conn.execute("INSERT OR REPLACE INTO exclusions VALUES (1, ?, ?)", values)


class Calibrations:
    """The threshold that was learned from this gallery."""

    def __init__(self, conn: sqlite3.Connection, path: Path) -> None:
        self._conn, self._path = conn, path

    def read(self) -> ActiveThreshold | None:
        """The learned threshold; None where none was learned."""
        if not has_table(self._conn, self._path, "calibration"):
            return None
        judged = "judged" if "judged" in columns(self._conn, "calibration") else "0"
        row = first_row(self._conn, self._path, f"SELECT similarity, far, {judged} FROM calibration")
        row = complete(row, "its learned threshold")
        return ActiveThreshold(row[0], row[1], learned=True, judges=bool(row[2])) if row else None

    def write(self, learned: Calibration) -> None:
        """Keeps a learned threshold in place of the one before. It is one of judged values."""
        self.delete()
        values = (learned.threshold, learned.far, learned.strangers, now())
        columns_of = "only, similarity, far, strangers, learned_at, judged"
        self._conn.execute(f"INSERT INTO calibration ({columns_of}) VALUES (1, ?, ?, ?, ?, 1)", values)

    def delete(self) -> None:
        """Forgets the learned threshold."""
        self._conn.execute("DELETE FROM calibration")


class Stamp:
    """Which file of vectors belongs to the database."""

    def __init__(self, conn: sqlite3.Connection, path: Path) -> None:
        self._conn, self._path = conn, path

    def read(self) -> IndexStamp | None:
        """What the file of vectors must be; None before the first."""
        removed = "removed" if "removed" in columns(self._conn, "index_stamp") else "NULL"
        statement = (
            f"SELECT recipe, model, count, newest_id, size, mtime_ns, sha256, recall, {removed} FROM index_stamp"
        )
        row = first_row(self._conn, self._path, statement)
        return IndexStamp(*row) if row and complete(row[:-2], "the stamp of its vectors") else None

    def write(self, stamp: IndexStamp) -> None:
        """Notes a new file of vectors."""
        self._conn.execute(
            "INSERT OR REPLACE INTO index_stamp (only, recipe, model, count, newest_id, size, mtime_ns, sha256, "
            "recall, removed) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            dataclasses.astuple(stamp),
        )

    def delete(self) -> None:
        """From now on no file of vectors belongs to the database."""
        self._conn.execute("DELETE FROM index_stamp")


def _sealed(identity: str) -> str:
    """The identity with its checksum at its end: nothing follows from a damaged one."""
    return f"{identity}{zlib.crc32(identity.encode()):08x}" if identity else ""


def _unsealed(stored: object) -> str:
    """The identity, empty where it is not as it was stored."""
    return stored[:-8] if isinstance(stored, str) and stored == _sealed(stored[:-8]) else ""
