"""Which of a gallery's photos a question is about: those in a folder, and those of some time."""

import re
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from facesearch.errors import UsageError
from facesearch.files import printable
from facesearch.gallery.tables.sqlite import BELOW, below, columns, to_sql
from facesearch.photos.addresses import absolute

_WITH_FACES = "status = 'ok'"
THERE = "status IN ('ok', 'no_face')"
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")


@dataclass(frozen=True, slots=True)
class Scope:
    """The photos below `folder` (absolute), or the one photo that it is, taken from `since` to `until`: years, months
    or days, such as 2024, 2024-07 or 2024-07-31, both included. What is None leaves nothing out. A photo whose date
    is not known is left out where a date is asked for."""

    folder: str | None = None
    since: str | None = None
    until: str | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for what is no date, and for an end before the beginning."""
        for option, date in (("since", self.since), ("until", self.until)):
            if date is not None and not _is_date(date):
                raise UsageError(
                    f"--{option} must be a date such as 2024, 2024-07 or 2024-07-31, not {printable(date)}."
                )
        if self.since and self.until and self.since[: len(self.until)] > self.until:
            raise UsageError(f"No photo was taken since {self.since} and until {self.until}; exchange the two.")
        if self.folder is not None:
            object.__setattr__(self, "folder", absolute(self.folder))

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return (self.folder, self.since, self.until) == (None, None, None)

    @property
    def has_dates(self) -> bool:
        """Whether a date is asked for."""
        return self.since is not None or self.until is not None

    def of_folder(self, which: str = _WITH_FACES) -> tuple[str, list[Any]]:
        """The condition on a row of `photos` that the folder makes, and its values, for photos of `which` status."""
        if self.folder is None:
            return which, []
        return f"{which} AND (path = ? OR {BELOW})", [to_sql(self.folder), *below(self.folder)]

    def condition(self, conn: sqlite3.Connection, which: str = _WITH_FACES) -> tuple[str, list[Any]]:
        """The whole condition on a row of `photos`, and its values, for photos of `which` status."""
        where, values = self.of_folder(which)
        if self.has_dates and "taken" not in columns(conn, "photos"):
            return "0", []  # an earlier facesearch's tables, which may not be written now
        if self.since:
            where, values = f"{where} AND taken >= ?", [*values, self.since]
        if self.until:
            where = f"{where} AND taken != '' AND substr(taken, 1, ?) <= ?"
            values = [*values, len(self.until), self.until]
        return where, values


WHOLE = Scope()  # all photos


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        datetime.strptime(f"{text}-01-01"[:10] if len(text) < 10 else text, "%Y-%m-%d")
    except ValueError:
        return False
    return True
