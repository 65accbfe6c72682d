"""What a run of indexing is asked for."""

from dataclasses import dataclass, field

from facesearch import limits
from facesearch.gallery.thumbnails import Thumbnails
from facesearch.photos.exclusions import Exclusions
from facesearch.photos.file import MAX_MEGAPIXELS
from facesearch.photos.pool import SECONDS


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """What a run does with the photos that it meets. `name_level` says after which folder a photo's person is
    named: 0, its own; n, the n-th below the root; None, after none.
    `retry_failed` looks again at those that failed before, `again_forgotten` at those that were forgotten. A photo of
    more than `max_megapixels` is not decoded, and none for longer than so many `seconds`. What the
    `exclusions` leave out is not met. Small pictures of the faces are kept in `thumbnails`; None: none are made."""

    name_level: int | None = None
    retry_failed: bool = False
    again_forgotten: bool = False
    max_megapixels: float = MAX_MEGAPIXELS
    seconds: float = SECONDS
    exclusions: Exclusions = field(default_factory=Exclusions)
    thumbnails: Thumbnails | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for a number that is out of range."""
        limits.check("max_megapixels", self.max_megapixels, limits.MEGAPIXELS)
