"""The JSON interface, a module for each of its subjects."""

from facesearch.web.api import images, people
from facesearch.web.operations import Operation

OPERATIONS: tuple[Operation, ...] = (*people.OPERATIONS, *images.OPERATIONS)
