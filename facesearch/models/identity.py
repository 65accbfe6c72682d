"""Which network made an embedding, as one digest: two are comparable where it agrees, whatever a model's name."""

import hashlib
from typing import Any

import msgspec

from facesearch.models.cards import BoxAlignment, DetectorCard, EmbedderCard, ModelCard
from facesearch.models.weight_files import digest_of, refuse_missing


def identity_of(embedder: EmbedderCard, detector: DetectorCard) -> str:
    """The SHA-256 of the weights of both and of all facts that decide an embedding: not of title, threshold, accuracy
    or place. Raises FaceSearchError when a file of weights that must be read cannot be, ModelError when it is
    not there."""
    facts: dict[str, Any] = {
        "network": embedder.network,
        "weights": _weights(embedder),
        "dim": embedder.dim,
        "chip_px": embedder.chip_px,
        "channels": embedder.channels,
        "mirrored": embedder.mirrored,
        "pixels": "whitened" if embedder.whitened else [*map(float, embedder.mean), float(embedder.scale)],
        "alignment": _alignment(embedder, detector),
        "detector": {"network": detector.network, "weights": _weights(detector)},
    }
    return hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()


def _weights(card: ModelCard) -> list[str]:
    digests = [digest_of(weights, card.name) for weights in card.weights]
    if not all(digests):
        refuse_missing(card)
    return digests


def _alignment(embedder: EmbedderCard, detector: DetectorCard) -> list[Any]:
    how = embedder.alignment
    if isinstance(how, BoxAlignment):
        return ["box", float(how.margin)]
    template = how.templates.get(detector.name, ())
    return ["landmarks", [[float(x), float(y)] for x, y in template], [float(weight) for weight in how.weights]]
