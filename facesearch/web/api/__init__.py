"""The JSON interface, a module for each of its subjects."""

from facesearch.web.api import (
    compare,
    faces,
    gallery,
    grouping,
    images,
    index,
    log,
    names,
    people,
    photos,
    questions,
    search,
)
from facesearch.web.operations import Operation

OPERATIONS: tuple[Operation, ...] = (
    *gallery.OPERATIONS,
    *people.OPERATIONS,
    *grouping.OPERATIONS,
    *faces.OPERATIONS,
    *photos.OPERATIONS,
    *images.OPERATIONS,
    *names.OPERATIONS,
    *questions.OPERATIONS,
    *log.OPERATIONS,
    *search.OPERATIONS,
    *compare.OPERATIONS,
    *index.OPERATIONS,
)
