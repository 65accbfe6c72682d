"""The cropped Extended Yale B data set: one pose, and light from 64 directions (Georghiades et al. 2001)."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import FaceSearchError
from facesearch.evaluation.pairs import Rows
from facesearch.evaluation.portraits import ExpectedFace
from facesearch.files import printable

# The photos were cropped by hand so that all show the face at one place, too tightly for a detector: the landmarks
# are the medians over those photos in which MTCNN finds a face nevertheless.
EXPECTED_FACE = ExpectedFace(
    "yaleb", ((0.208, 0.236), (0.793, 0.227), (0.480, 0.505), (0.252, 0.807), (0.749, 0.803)), is_aligned=True
)

# The greatest angle between the light and the camera's axis, in degrees, of each of the five usual subsets, which
# have 263, 456, 455, 526 and 714 photos.
SUBSETS = (12, 25, 52, 77, 180)

_NAME = re.compile(r"(yaleB\d+)_P00A([+-]\d{3})E([+-]\d{2})\.pgm")


@dataclass(frozen=True, slots=True)
class YaleB:
    """The photos with one light, by name: who is in each, (n,), and the angle of its light in degrees, (n,)."""

    photos: tuple[str, ...]
    people: tuple[str, ...]
    angles: NDArray[np.float64]

    @property
    def subsets(self) -> NDArray[np.intp]:
        """The number of each photo's subset, 0 to 4."""
        return np.searchsorted(SUBSETS, np.round(self.angles, 3), side="left")

    def enrolled(self) -> Rows:
        """The row of each person's most frontally lit photo."""
        people = np.array(self.people)
        order = np.lexsort((self.angles, people))
        return order[np.unique(people[order], return_index=True)[1]]


def find(data: Path) -> YaleB:
    """All photos under a folder whose names say a light, such as yaleB01_P00A+005E-10.pgm; those with ambient light
    have none. Raises FaceSearchError when there are none."""
    found = []
    for path in sorted(data.rglob("*.pgm")):
        match = _NAME.fullmatch(path.name)
        if match:
            azimuth, elevation = np.deg2rad([int(match[2]), int(match[3])])
            angle = np.rad2deg(np.arccos(np.cos(azimuth) * np.cos(elevation)))
            found.append((str(path), match[1], float(angle)))
    if not found:
        raise FaceSearchError(
            f"There is no photo such as yaleB01_P00A+005E-10.pgm in {printable(str(data))}; give --data the folder "
            "of the cropped Extended Yale B."
        )
    photos, people, angles = zip(*found, strict=True)
    return YaleB(photos, people, np.array(angles))
