"""Photos of a gallery that cannot be reached at the moment and may only be away, as on a disk that is not mounted."""

from collections.abc import Iterator

from facesearch.flow.stream import chunks
from facesearch.gallery.database import Database
from facesearch.photos.addresses import folder_of
from facesearch.photos.whereabouts import Away, is_gone, whereabouts, why_away

_AT_ONCE = 10_000  # photos


def unreachable(db: Database) -> list[Away]:
    """The folders that cannot be seen, each with the reason and how many photos that were there when they were last
    looked for. Unlike for `index`, which may find a folder's photos at another place, this is so too of a folder that
    has vanished: a disk that is pulled out leaves nothing behind."""
    found: dict[str, Away] = {}
    for each in (each for root in db.roots.paths() for each in _under(db, root)):
        known = found.get(each.folder)  # of a root in that folder, whose photos are among the folder's
        if known is None or known.photos < each.photos:
            found[each.folder] = each
    return list(found.values())


def _under(db: Database, root: str) -> Iterator[Away]:
    folder = folder_of(root) if db.photos.known([root]) else root  # a photo may have been named itself
    reason = "is not there" if is_gone(folder) else why_away(folder)
    if reason:
        yield Away(folder, reason, len(db.removal.under(root)))
        return
    for part in chunks(db.photos.present(root), _AT_ONCE):
        yield from whereabouts(part, root).away
