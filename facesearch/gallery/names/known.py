"""The names of galleries, and of the people in one, for who needs them at once: nothing is checked or made."""

import sqlite3
from contextlib import closing
from pathlib import Path

from facesearch.errors import UsageError
from facesearch.gallery.contents import DATABASE, LOGS
from facesearch.home import gallery_dir, home, valid_name

_MOST = 10_000  # names: more than anybody looks through
_MOST_GROUPS = 200


def gallery_names() -> list[str]:
    """The names of the galleries of this home, in order."""
    found = (path.parent.name for path in (home() / "indexes").glob(f"*/{DATABASE}"))
    return sorted(name for name in found if _is_name(name))


def people_names(gallery: str, begin: str = "") -> list[str]:
    """The names of a gallery's people that begin so, in order; none where the gallery cannot be read. Reading
    makes no file: only where a log is there, SQLite is asked to use it."""
    database = gallery_dir(gallery) / DATABASE
    try:
        with closing(sqlite3.connect(_address(database), uri=True, timeout=0)) as conn:
            statement = f"SELECT DISTINCT name FROM people WHERE substr(name, 1, ?) = ? ORDER BY name LIMIT {_MOST}"
            return [name for (name,) in conn.execute(statement, (len(begin), begin))]
    except (sqlite3.Error, UnicodeError):
        return []


def groups(gallery: str) -> list[str]:
    """The ids of a gallery's groups without a name, such as @17, the largest first; none where the gallery cannot be
    read."""
    database = gallery_dir(gallery) / DATABASE
    try:
        with closing(sqlite3.connect(_address(database), uri=True, timeout=0)) as conn:
            rows = conn.execute(
                "SELECT person_id FROM faces JOIN people ON people.id = person_id WHERE name IS NULL "
                f"GROUP BY person_id ORDER BY count(*) DESC, person_id LIMIT {_MOST_GROUPS}"
            )
            return [f"@{person}" for (person,) in rows]
    except sqlite3.Error:
        return []


def _address(database: Path) -> str:
    has_log = any(database.with_name(log).exists() for log in LOGS)
    return f"{database.absolute().as_uri()}?mode=ro{'' if has_log else '&immutable=1'}"


def _is_name(name: str) -> bool:
    try:
        return valid_name(name, "gallery") == name
    except UsageError:
        return False
