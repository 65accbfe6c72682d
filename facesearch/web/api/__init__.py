"""The JSON interface, a module for each of its subjects."""

from facesearch.web.api import images, people, photos, search
from facesearch.web.operations import Operation

OPERATIONS: tuple[Operation, ...] = (
    *people.OPERATIONS,
    *photos.OPERATIONS,
    *images.OPERATIONS,
    *search.OPERATIONS,
)
