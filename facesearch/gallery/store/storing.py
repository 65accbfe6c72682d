"""What a gallery can be told about a vector store beside it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from facesearch.cluster.milvus import IndexKind
from facesearch.gallery.records.store import StoreFacts
from facesearch.gallery.storage import Storage

if TYPE_CHECKING:
    from facesearch.gallery.store.sync import Synced

OnProgress = Callable[[int, int], None]


class Storing(Storage):
    """A gallery that may have a vector store."""

    def add_store(self, address: str, index: IndexKind = "hnsw", replace: bool = False) -> "Synced":
        """Adds a vector store, `milvus://HOST:19530/NAME`, and sends all faces there. With `replace` a collection of
        that name that facesearch made before is dropped. Raises as stores.add and stores.sync."""
        from facesearch.gallery.store import stores

        stores.add(self, address, index, replace)
        return stores.sync(self)

    def sync_store(self, *, again: bool = False, on_progress: OnProgress = lambda done, total: None) -> "Synced":
        """Brings the store in step, with `again` from the first face on. `on_progress` hears how many faces, of how
        many, are sent. Raises as stores.sync."""
        from facesearch.gallery.store import stores

        return stores.sync(self, again, on_progress)

    def store_facts(self) -> StoreFacts:
        """What the gallery knows of its store, and what its server says. Raises UsageError where it has none."""
        from facesearch.gallery.store import stores

        return stores.facts(self)

    def drop_store(self, *, keep_there: bool = False) -> bool:
        """Drops the store; with `keep_there` only the gallery forgets it. Returns whether its collection is gone.
        Raises as stores.drop."""
        from facesearch.gallery.store import stores

        return stores.drop(self, keep_there)
