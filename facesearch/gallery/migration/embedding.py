"""Embeds faces that a gallery knows from their photos, by the boxes and landmarks that are stored: no detector looks
at the photos again."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from facesearch.arrays import Embeddings
from facesearch.errors import PhotoError
from facesearch.faces.analyser import cut_out
from facesearch.faces.embedder import Embedder
from facesearch.flow import stages
from facesearch.flow.pace import Pace
from facesearch.gallery.tables.known_faces import KnownFaces
from facesearch.photos.file import MAX_MEGAPIXELS, PhotoFile
from facesearch.photos.pool import SECONDS
from facesearch.photos.status import Status

LoadEmbedder: TypeAlias = Callable[[], Embedder]
Embedded: TypeAlias = stages.Found[KnownFaces, Embeddings] | stages.Failed[KnownFaces]
_Read: TypeAlias = stages.Loaded[KnownFaces] | stages.Failed[KnownFaces]


@dataclass(frozen=True, slots=True)
class Effort:
    """How photos are read to embed their faces: at which pace, decoded with which longest side in pixels (0: their
    own; the gallery's, so that chips are those that `index` would cut), how large one may be, and how many seconds
    its decoder may take."""

    pace: Pace
    max_side: int
    max_megapixels: float = MAX_MEGAPIXELS
    seconds: float = SECONDS


def embed_known(
    photos: Iterable[KnownFaces], load_embedder: LoadEmbedder, effort: Effort
) -> Iterator[list[Embedded]]:
    """Yields, a batch at a time and in order, the embeddings of each photo's faces, (faces, dim), or why there are
    none: the photo cannot be read, or its content is not the one in which these faces were found."""
    work: stages.Work[KnownFaces, Embeddings] = stages.Work(
        lambda: _analysis(load_embedder()),
        effort.pace,
        effort.max_side,
        effort.max_megapixels,
        effort.seconds,
        keeps_begun=True,
    )
    jobs = (stages.Job(known, PhotoFile(known.path, known.size, 0)) for known in photos)
    rows: Iterator[list[Any]] = stages.run(jobs, work, _unchanged)
    yield from rows


def _analysis(embedder: Embedder) -> stages.Analyse[KnownFaces, Embeddings]:
    def embed(photos: Sequence[stages.Decoded[KnownFaces]]) -> list[Embeddings]:
        chips = [cut_out(photo.view, photo.key.faces, embedder.aligner) for photo in photos]
        ends = np.cumsum([len(each) for each in chips])
        return np.split(embedder.embed(np.concatenate(chips)), ends[:-1])

    return embed


def _unchanged(items: Iterator[_Read]) -> Iterator[_Read]:
    """A failure in place of each photo whose content is another one now."""
    for item in items:
        if isinstance(item, stages.Loaded) and item.photo.digest != item.key.digest:
            changed = PhotoError(Status.UNREADABLE, "its content has changed since its faces were found")
            yield stages.Failed(item.key, item.photo.file, item.photo.digest, changed)
        else:
            yield item
