"""What the routes of one page share: the gallery, whose networks are loaded once, and what makes pictures of it."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from threading import Lock

from facesearch.errors import GalleryLockedError
from facesearch.gallery.gallery import Gallery
from facesearch.models.device import Device, Precision
from facesearch.photos.pool import Decoders
from facesearch.web.once import Once
from facesearch.web.pictures import Pictures
from facesearch.web.run import Runs
from facesearch.web.state import State
from facesearch.web.uploads import Uploads

_UPLOAD_SECONDS = 20.0  # that a dropped photo may take: the next one waits for it
_PICTURE_SECONDS = 20.0  # that a photo may take to be shown
_PATIENCE = 1.0  # seconds: a command that names somebody writes for 50 ms
_WRITE_SECONDS = 5.0  # that a request waits for those before it
_DECODERS = 2  # a page asks for a few pictures at once, and the machine has other work


@dataclass(frozen=True, slots=True)
class Service:
    """Lives as long as the page."""

    gallery: Gallery
    decoders: Decoders
    pictures: Pictures
    uploads: Uploads
    state: State
    runs: Runs
    once: Once = field(default_factory=Once)
    _one_writes: Lock = field(default_factory=Lock)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """What writes the gallery does so inside: two requests of this page wait for each other. Raises
        GalleryLockedError where that takes long, as while all faces are grouped."""
        if not self._one_writes.acquire(timeout=_WRITE_SECONDS):
            raise GalleryLockedError("What was asked for before is still being done; try again when it is.")
        try:
            yield
        finally:
            self._one_writes.release()


@contextmanager
def served(gallery: Gallery, device: Device = "auto", precision: Precision = "auto") -> Iterator[Service]:
    """The service of a gallery; `device` and `precision` are those of runs of indexing. Raises GalleryError where
    there is no such gallery."""
    with gallery.reading():
        pass
    gallery.patience = _PATIENCE
    with ExitStack() as stack:
        decoders, of_uploads = (
            stack.enter_context(Decoders(_DECODERS, seconds=_PICTURE_SECONDS)),
            stack.enter_context(Decoders(1, seconds=_UPLOAD_SECONDS)),
        )
        pictures = stack.enter_context(Pictures(gallery, decoders))
        state = stack.enter_context(closing(State(gallery)))
        state.read_ahead()
        runs = stack.enter_context(closing(Runs(gallery, device, precision)))
        yield Service(gallery, decoders, pictures, Uploads(gallery, of_uploads), state, runs)
