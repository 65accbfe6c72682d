"""What a worker needs of the driver's home: the files of the networks. No node needs TensorFlow or weights for them,
but for a GPU, on which Keras reads the weights."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from facesearch.errors import FaceSearchError
from facesearch.models.cards import DetectorCard, EmbedderCard, ModelCard
from facesearch.models.export import exported_to
from facesearch.models.weight_files import checked_path, digest_of

_Card = TypeVar("_Card", DetectorCard, EmbedderCard)


def settled(card: _Card) -> _Card:
    """The card with the digests of all its weights in it, which need then not be there to be known."""
    weights = [msgspec.structs.replace(each, sha256=digest_of(each, card.name)) for each in card.weights]
    return msgspec.structs.replace(card, weights=tuple(weights))


def packed(cards: Sequence[ModelCard], with_weights: bool) -> dict[str, bytes]:
    """The files by their paths under a home. The networks must have been prepared. Raises FaceSearchError for a file
    that cannot be read, ModelError for weights that are not there."""
    files: dict[str, bytes] = {}
    try:
        for card in cards:
            folder = exported_to(card)
            if folder.is_dir():
                files |= {
                    f"models/{card.name}/{folder.name}/{path.name}": path.read_bytes() for path in folder.iterdir()
                }
            if with_weights:
                files |= {
                    f"models/{card.name}/{each.path}": checked_path(each, card).read_bytes()
                    for each in card.weights
                    if not each.package
                }
    except OSError as error:
        raise FaceSearchError(f"{error.filename} cannot be read: {error.strerror}.") from error
    return files
