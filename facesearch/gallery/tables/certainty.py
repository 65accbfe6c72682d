"""From which margin on it is sure where a computation has put a face."""

import sqlite3

from facesearch.errors import ModelError
from facesearch.models.cards import embedder_card
from facesearch.people.decisions import UNSURE_UNITS


def unsure_below(conn: sqlite3.Connection) -> float:
    """The margin, as a difference of similarities of the gallery's model, below which a face is unsure; 0 where the
    model's card is not there or does not say what a difference means."""
    row = conn.execute("SELECT model FROM settings").fetchone()
    try:
        threshold = embedder_card(row[0]).threshold if row else None
    except ModelError:
        return 0.0
    return UNSURE_UNITS * (threshold.unit or 0.0) if threshold else 0.0
