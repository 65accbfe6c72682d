"""Which galleries need a model."""

from facesearch.errors import FaceSearchError
from facesearch.gallery.database import Database
from facesearch.home import home


def galleries_with(model: str) -> list[str]:
    """The galleries of this home that a model or detector found faces for, and those that cannot be read and may be
    among them."""
    found = []
    for database in sorted((home() / "indexes").glob("*/faces.db")):
        try:
            with Database.open(database) as db:
                settings = db.settings.read()
        except FaceSearchError:
            found.append(f"{database.parent.name} (which cannot be read)")
            continue
        if settings and model in (settings.model, settings.detector):
            found.append(database.parent.name)
    return found
