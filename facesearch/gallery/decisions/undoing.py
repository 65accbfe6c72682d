"""Which change is taken back, and what the log says of it then."""

from dataclasses import dataclass

from facesearch.errors import ExitCode, FaceSearchError
from facesearch.gallery.database import Database
from facesearch.gallery.decisions.restoring import Restoring
from facesearch.gallery.records.people import Change
from facesearch.gallery.tables.row_images import CHANGES

UNDO, REDO = "undo", "redo"


class NothingToUndoError(FaceSearchError):
    """There is no such change, or it is undone already."""

    exit_code = ExitCode.NO


@dataclass(frozen=True, slots=True)
class Undone:
    """What was done: the change whose rows were written, and the one that was added to the log; whether that change
    holds no longer, or again; how many faces changed; and how many rows are gone and stayed so."""

    change: Change
    added: Change
    is_undo: bool
    faces: int
    lost: int


class Undoing:
    """Undoes one change of a gallery whose database is open for writing, inside of the caller's transaction. `option`
    is what selects the gallery on the command line."""

    def __init__(self, db: Database, option: str = "") -> None:
        self._db, self._option = db, option

    def undo(self, wanted: int | None) -> "Undone":
        """Undoes the change with this id, or the newest that holds; to undo an undo makes its change hold again.
        Raises NothingToUndoError, and InTheWayError where another change stands in the way."""
        asked = self._asked(wanted)
        change, is_undo = self._base(asked)
        if (change.undone_at is not None) == is_undo:
            self._refuse_twice(change, is_undo)
        recorder = self._db.changes.recorder(UNDO if is_undo else REDO)
        recorder.note_undone(asked.id)
        recorder.say(str(change.id))
        since = self._db.changes.holding_since(change, is_undo, recorder.change or 0)
        restoring = Restoring(self._db, change, since, is_undo, self._option)
        restoring.write()
        self._db.changes.mark_turned(change.id, but=recorder.change or 0)
        self._db.changes.mark(change.id, undone=is_undo)
        added = self._db.changes.get(recorder.change or 0)
        return Undone(change, added or change, is_undo, restoring.faces, restoring.lost)

    def _asked(self, wanted: int | None) -> Change:
        found = self._db.changes.to_undo() if wanted is None else self._db.changes.get(wanted)
        if found is None:
            raise NothingToUndoError(
                "There is nothing to undo: no change holds that a user made."
                if wanted is None
                else f"There is no change {wanted}; list them with: facesearch people log{self._option}."
            )
        if found.made_by == "auto":
            raise NothingToUndoError(
                f"Change {found.id} was computed and is no decision; group again with: "
                f"facesearch people group --again{self._option}."
            )
        if wanted is not None and found.verb in (UNDO, REDO) and found.undone_at is not None:
            raise NothingToUndoError(f"Change {found.id} is undone already.")
        return found

    def _base(self, change: Change) -> tuple[Change, bool]:
        """The change that an undo, or an undo of an undo, is about, and whether it is to hold no longer."""
        undone = True
        while change.verb in (UNDO, REDO):
            row = next(self._db.changes.rows(change.id), None)
            following = self._db.changes.get(row.key[0]) if row and row.table == CHANGES else None
            if following is None:
                raise NothingToUndoError(f"What change {change.id} was about is no longer known.")
            change, undone = following, not undone
        return change, undone

    def _refuse_twice(self, change: Change, is_undo: bool) -> None:
        if not is_undo:
            raise NothingToUndoError(f"Change {change.id} holds; there is nothing to make undone.")
        by = self._db.changes.undo_of(change.id)
        again = f"; make it hold again with: facesearch people undo {by}{self._option}." if by else "."
        raise NothingToUndoError(f"Change {change.id} is undone already{again}")
