"""How SQLite was told to make a gallery's tables, indexes and triggers: the text that it keeps of each, and obeys. In
a damaged database that may be another one than the migrations of facesearch gave it."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import astuple, dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, TypeAlias

from facesearch.gallery.tables.schema import migrations
from facesearch.gallery.tables.sqlite import OF_SQLITE

_MIGRATIONS = "_sqlite_migrations"  # the table of sqlite_utils, which makes it in a way of its own
_THEIR_COLUMNS = {"migration_set": "TEXT", "name": "TEXT", "applied_at": "TEXT"}  # and "id", but in the oldest form
# A comment, a space, a text, a name in one of SQLite's three kinds of quotes, a word, or any other character. What
# SQLite takes for a space is less than what Python does.
_PIECES = re.compile(
    r"""--[^\n\0]*|[ \t\n\f\r]+|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^]]*\]|\w+|.""", re.DOTALL
)
_QUOTED_NAME = re.compile(r"""(["`\[])(\w+)["`\]]""")
_ALIKE = 0.6  # of the text of two definitions, where one is the other with a few bytes damaged


@dataclass(frozen=True, slots=True)
class Definition:
    """A row of sqlite_master, but where the rows of its table lie: "table", "index" or "trigger", its name, its
    table's, and the statement that made it, which an index that belongs to a condition lacks."""

    kind: str
    name: str
    table: str
    statement: str | None

    @property
    def meaning(self) -> tuple[object, ...]:
        """What is the same for two that differ in spaces, comments and quoted names alone: SQLite quotes the name of
        a table that was renamed, and statements keep the indentation of the source that they stood in."""
        return self.kind, self.name, self.table, None if self.statement is None else _words(self.statement)

    @property
    def _text(self) -> str:
        return "\n".join(map(str, astuple(self)))

    def likeness(self, other: "Definition") -> float:
        """How much of their text is the same, 0 to 1."""
        return SequenceMatcher(None, self._text, other._text, autojunk=False).ratio()


_Definitions: TypeAlias = dict[str, Definition]  # by name


def _words(statement: str) -> tuple[str, ...]:
    pieces = _PIECES.findall(statement)
    return tuple(
        _QUOTED_NAME.sub(r"\2", piece) if piece[0] in '"`[' else piece
        for piece in pieces
        if not piece.startswith("--") and piece[0] not in " \t\n\f\r"
    )


def faults_of_definitions(conn: sqlite3.Connection) -> Iterator[str]:
    """Half a sentence for each table, index and trigger that is not there or not as the migrations which the database
    has had make it, and for triggers of others. What else others have made is no fault: it does nothing by itself."""
    conn.execute("BEGIN")  # all of one moment, while somebody may bring it up to date
    try:
        applied = migrations.applied(conn)
        there = {each.name: each for _, each in _stored(conn)}
        theirs = {row[1]: row[2] for row in conn.execute(f"PRAGMA table_info({_MIGRATIONS})")}
    finally:
        conn.rollback()
    made = _made_by_migrations()
    expected = next((definitions for names, definitions in made if names == applied), None)
    if (
        expected is None
        or theirs not in (_THEIR_COLUMNS, {"id": "INTEGER"} | _THEIR_COLUMNS)
        or (there.keys() - expected.keys()) & made[-1][1].keys()  # what only later ones make
    ):
        yield "its list of migrations does not fit its tables"
        return
    for name, definition in expected.items():
        if name not in there:
            yield f"the {definition.kind} {name} is not there"
        elif there[name].meaning != definition.meaning:
            yield f"the definition of the {definition.kind} {name} is not as it was made"
    for name, definition in there.items():
        if name not in expected and definition.kind == "trigger":
            yield f"the trigger {name} is not one of a gallery"


def are_damaged(path: Path) -> bool:
    """Whether `mend_definitions` would change something."""
    with suppress(*OF_SQLITE), closing(_lenient(path)) as conn:
        return bool(_changes(conn))
    return False


def mend_definitions(path: Path) -> None:
    """Gives tables, indexes and triggers of a damaged database, which is to be a copy, the definitions that they were
    made with, so that their rows can be read. Where even the page on which these stand cannot be read or written, it
    stays as it is."""
    with suppress(*OF_SQLITE), closing(_lenient(path)) as conn, conn:
        for row, definition in _changes(conn).items():
            conn.execute(
                "UPDATE sqlite_master SET type = ?, name = ?, tbl_name = ?, sql = ? WHERE rowid = ?",
                (*astuple(definition), row),
            )


def _lenient(path: Path) -> sqlite3.Connection:
    """A connection that lets definitions be read and written which SQLite cannot obey."""
    conn = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
    conn.text_factory = lambda text: text.decode(errors="replace")
    conn.execute("PRAGMA writable_schema = ON")
    return conn


def _changes(conn: sqlite3.Connection) -> dict[int, Definition]:
    """What the definitions that are damaged should be, by their rows' numbers in sqlite_master."""
    rows = dict(_stored(conn))
    expected = _expected(conn, rows)
    found = {expected[each.name]: row for row, each in rows.items() if each.name in expected}
    # What has another name now is the one that is most like it.
    nameless = {row: each for row, each in rows.items() if each.name not in expected}
    for definition in expected.values():
        if definition not in found and nameless:
            likeness, row = max((definition.likeness(each), row) for row, each in nameless.items())
            if likeness >= _ALIKE:
                found[definition] = row
                del nameless[row]
    return {row: each for each, row in found.items() if each.meaning != rows[row].meaning}


def _expected(conn: sqlite3.Connection, rows: Mapping[int, Definition]) -> _Definitions:
    """The definitions that the migrations made which a damaged database says that it has had, or where that cannot be
    read, those that agree with most of its own."""
    made = _made_by_migrations()
    with suppress(*OF_SQLITE, TypeError, ValueError):
        applied = migrations.applied(conn)
        for names, definitions in made[1:]:
            if names == applied:
                return definitions
    there = {each.meaning for each in rows.values()}
    newest_first = [definitions for _, definitions in reversed(made)]
    return max(newest_first, key=lambda each: len(there.intersection(one.meaning for one in each.values())))


def _made_by_migrations() -> list[tuple[set[str], _Definitions]]:
    """The names of the first migrations, from none of them to all, and what these make."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        return [
            (names, {each.name: each for _, each in _stored(fresh)}) for names in migrations.one_after_another(fresh)
        ]


def _stored(conn: sqlite3.Connection) -> Iterator[tuple[int, Definition]]:
    """Each definition with the number of its row, but those of the migrations' own table."""
    statement = "SELECT rowid, type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid"
    for row, kind, name, table, made_by in conn.execute(statement):
        definition = Definition(_text(kind), _text(name), _text(table), None if made_by is None else _text(made_by))
        if _MIGRATIONS not in (definition.name, definition.table):
            yield row, definition


def _text(value: Any) -> str:
    """Of a damaged row a value may be of any kind."""
    return value if isinstance(value, str) else repr(value)
