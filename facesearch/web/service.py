"""What the routes of one page share: the gallery, whose networks are loaded once, and what decodes its photos."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from facesearch.gallery.gallery import Gallery
from facesearch.photos.pool import Decoders
from facesearch.web.uploads import Uploads

_DECODERS = 2  # a page asks for a few pictures at once, and the machine has other work


@dataclass(frozen=True, slots=True)
class Service:
    """Lives as long as the page."""

    gallery: Gallery
    decoders: Decoders
    uploads: Uploads


@contextmanager
def served(gallery: Gallery) -> Iterator[Service]:
    """The service of a gallery. Raises GalleryError where there is no such gallery."""
    with gallery.reading():
        pass
    with Decoders(_DECODERS) as decoders, Decoders(1) as of_uploads:
        yield Service(gallery, decoders, Uploads(gallery, of_uploads))
