"""How far the file of vectors may be behind its database."""

from pathlib import Path

from facesearch.gallery.database import Database
from facesearch.models.cards import index_recipes

_FEW = 1_000  # newer faces cost a query less than a millisecond; so many that are gone make it look as much further


def may_lag(db: Database, vectors: Path, is_one_of_many: bool = False) -> bool:
    """Whether the file may lack what is new and hold what is gone: so few faces that queries can look at them one by
    one, where another pass follows, or where the file is one of very many faces, so that to write it takes longer."""
    stamp = db.stamp.read()
    if stamp is None or not (is_one_of_many or stamp.recipe != index_recipes()[0].name):
        return False
    if db.faces.newest() - stamp.newest_id >= _FEW or not vectors.exists():
        return False
    return stamp.removed is not None and len(db.removed.after(stamp.removed)) < _FEW


def has_followed(db: Database, vectors: Path) -> bool:
    """Whether the file may lag, and holds nothing that is gone."""
    stamp = db.stamp.read()
    return may_lag(db, vectors) and stamp is not None and stamp.removed == db.removed.newest()
