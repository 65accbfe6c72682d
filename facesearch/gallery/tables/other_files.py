"""How many files of a gallery's folders are no photos, by kind: so that `info` can say what was left out."""

import os
import sqlite3
from collections import Counter
from collections.abc import Mapping

from facesearch.gallery.tables.sqlite import columns, from_sql, to_sql


class OtherFilesCounts:
    """Reads and writes counts through an open connection; writes inside of the caller's transactions. Those of a root
    go with it."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def counts(self) -> dict[str, int]:
        """How many files of each kind lay under the roots, each when it was last indexed."""
        if not columns(self._conn, "other_files"):  # an earlier facesearch's
            return {}
        total: Counter[str] = Counter()
        stored = self._conn.execute("SELECT root, kind, files FROM other_files").fetchall()
        roots = {from_sql(root) for root, *_ in stored}
        for root, kind, files in stored:
            if not any(_is_inside(from_sql(root), other) for other in roots):  # it was counted with that one
                total[kind] += files
        return dict(total)

    def replace(self, root: str, counts: Mapping[str, int]) -> None:
        """Notes what lies under a root now."""
        self._conn.execute("DELETE FROM other_files WHERE root = ?", (to_sql(root),))
        self._conn.executemany(
            "INSERT INTO other_files SELECT path, ?, ? FROM roots WHERE path = ?",
            [(kind, files, to_sql(root)) for kind, files in counts.items()],
        )


def _is_inside(path: str, folder: str) -> bool:
    return path != folder and path.startswith(os.path.join(folder, ""))
