"""Migrations: what was done to a database, by name, and what is still to be done."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from facesearch.gallery.tables.sqlite import columns
from facesearch.libraries import hidden

if TYPE_CHECKING:
    import sqlite_utils

Step: TypeAlias = "Callable[[sqlite_utils.Database], None]"


class Migrations:
    """Migrations in their order. sqlite_utils, which applies them, is imported when there is something to write: to
    import it takes a tenth of the time of a query."""

    def __init__(self, name: str) -> None:
        self._name, self._steps = name, list[Step]()

    def __call__(self) -> Callable[[Step], Step]:
        """A decorator that adds a function as the next migration, which has its name."""

        def add(step: Step) -> Step:
            self._steps.append(step)
            return step

        return add

    @property
    def names(self) -> set[str]:
        """Of all migrations that this facesearch knows."""
        return {step.__name__ for step in self._steps}

    def applied(self, conn: sqlite3.Connection) -> set[str]:
        """The names of those that a database has had."""
        if not columns(conn, "_sqlite_migrations"):
            return set()
        # From the table itself, with all its columns, so that one that is damaged is noticed.
        statement = "SELECT name, * FROM _sqlite_migrations NOT INDEXED WHERE migration_set = ?"
        return {row[0] for row in conn.execute(statement, (self._name,))}

    def apply(self, conn: sqlite3.Connection) -> None:
        """Applies those that it has not had, each in a transaction of its own."""
        with hidden("pandas"):
            from sqlite_utils import Database
            from sqlite_utils import Migrations as Applied

        known = Applied(self._name)
        for step in self._steps:
            known()(step)
        known.apply(Database(conn))

    def one_after_another(self, empty: sqlite3.Connection) -> Iterator[set[str]]:
        """Does all of them to an empty database, which does not note them; gives the names of those that it has had
        before the first one and after each."""
        with hidden("pandas"):
            from sqlite_utils import Database

        db, names = Database(empty), set[str]()
        yield set()
        for step in self._steps:
            step(db)
            names.add(step.__name__)
            yield set(names)
