"""What finds faces."""

from collections.abc import Sequence
from typing import Protocol

from facesearch.arrays import Pixels
from facesearch.geometry.face import Face
from facesearch.models.cards import DetectorCard


class Detector(Protocol):
    """Finds faces in photos."""

    @property
    def card(self) -> DetectorCard: ...

    def detect(self, photos: Sequence[Pixels]) -> list[list[Face]]:
        """The faces of each photo, surest first."""
        ...
