"""What the routes of one page share: the gallery, whose networks are loaded once, and what decodes its photos."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from threading import Lock

from facesearch.gallery.gallery import Gallery
from facesearch.photos.pool import Decoders
from facesearch.web.state import State
from facesearch.web.uploads import Uploads

_DECODERS = 2  # a page asks for a few pictures at once, and the machine has other work


@dataclass(frozen=True, slots=True)
class Service:
    """Lives as long as the page."""

    gallery: Gallery
    decoders: Decoders
    uploads: Uploads
    state: State
    _one_writes: Lock = field(default_factory=Lock)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """What writes the gallery does so inside: two requests of this page wait for each other, and are refused only
        while another process writes."""
        with self._one_writes:
            yield


@contextmanager
def served(gallery: Gallery) -> Iterator[Service]:
    """The service of a gallery. Raises GalleryError where there is no such gallery."""
    with gallery.reading():
        pass
    with Decoders(_DECODERS) as decoders, Decoders(1) as of_uploads, closing(State(gallery)) as state:
        yield Service(gallery, decoders, Uploads(gallery, of_uploads), state)
