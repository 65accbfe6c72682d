"""What the routes of one page share: the gallery, whose networks are loaded once, and what decodes its photos."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from facesearch.gallery.gallery import Gallery
from facesearch.photos.pool import Decoders

_DECODERS = 2  # a page asks for a few pictures at once, and the machine has other work


@dataclass(frozen=True, slots=True)
class Service:
    """Lives as long as the page."""

    gallery: Gallery
    decoders: Decoders


@contextmanager
def served(gallery: Gallery) -> Iterator[Service]:
    """The service of a gallery. Raises GalleryError where there is no such gallery."""
    with gallery.reading():
        pass
    with Decoders(_DECODERS) as decoders:
        yield Service(gallery, decoders)
