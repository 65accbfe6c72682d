"""What a gallery fixed when it was made, the threshold that counts, and the stamp of its file of vectors."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class IndexStamp:
    """What a file of vectors must be to belong to its database. A file whose size and time agree is taken
    for unchanged, else its SHA-256 decides. `recall` is recall@1 against exact search, measured when an
    approximate index was built. `removed` is the number of the last deletion (of `Removed`) that the file has
    followed; None in a stamp of an earlier facesearch, which did not number them."""

    recipe: str
    model: str
    count: int
    newest_id: int
    size: int
    mtime_ns: int
    sha256: str
    recall: float | None
    removed: int | None = None


@dataclass(frozen=True, slots=True)
class GallerySettings:
    """What is fixed when a gallery is made, so that all its embeddings are comparable."""

    model: str
    detector: str
    dim: int
    min_face_px: float
    max_side: int = 0
    identity: str = (
        ""  # of both models (see `facesearch.models.identity`); empty in a gallery of an earlier facesearch
    )


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold learned from a gallery's own photos: `far` of its `strangers` (pairs of faces that share one of
    `photos`) reach it; with 95 % confidence no more than `far_at_most` of all such pairs do. `likely_accepted` is the
    share of the `likely` pairs of one person that reach it, None where there are none; `card_far` is the share of
    the strangers that reach the threshold of the model's card, where that has one."""

    model: str
    threshold: float
    far: float
    far_at_most: float
    strangers: int
    photos: int
    likely: int
    likely_accepted: float | None
    card_threshold: float | None
    card_far: float | None


@dataclass(frozen=True, slots=True)
class ActiveThreshold:
    """The judged value from which two faces count as one person, the share of pairs of strangers that reach it (None
    where that is not known, as of one that the user gave), and whether it was learned from the gallery. One that
    was learned from similarities `judges` nothing else."""

    similarity: float
    far: float | None
    learned: bool = False
    judges: bool = True
