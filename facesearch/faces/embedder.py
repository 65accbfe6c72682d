"""Chips to embeddings."""

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Chips, Embeddings
from facesearch.errors import ModelError, PhotoError
from facesearch.faces.reporting import report
from facesearch.geometry.chips import Aligner, ByBox, ByLandmarks
from facesearch.models.cards import BoxAlignment, EmbedderCard
from facesearch.models.engines import Engine, Network
from facesearch.photos.status import Status

_BATCH = 32  # chips in one call on a processor


class Embedder:
    """Turns chips into rows of unit length. Safe to use from several threads at once."""

    def __init__(self, network: Network, card: EmbedderCard, detector: str) -> None:
        """`detector` is the name of that whose faces are aligned. Raises ModelError when the card does not say where
        its landmarks belong."""
        report(card.name, network)
        self._network = network
        self.card = card
        self.aligner = aligner_of(card, detector)

    @property
    def engine(self) -> Engine:
        """What embeds."""
        return self._network.engine

    def embed(self, chips: Chips) -> Embeddings:
        """(n, chip_px, chip_px, 3) to (n, dim), each row of unit length; where the card says so the mean of a
        chip's and its mirror image's embedding. Raises ModelError when the network gives no usable numbers, and
        PhotoError when it does so for these chips alone."""
        batch = _BATCH * self._network.breadth
        rows = [self._embed(chips[start : start + batch]) for start in range(0, len(chips), batch)]
        if not rows:
            return np.empty((0, self.card.dim), np.float32)
        return np.concatenate(rows)

    def _embed(self, chips: Chips) -> Embeddings:
        raw = self._raw(chips)
        lengths = np.linalg.norm(raw.astype(np.float64), axis=1, keepdims=True)
        if not _have_length(lengths):
            self._refuse_to_be_broken()
            raise PhotoError(Status.CRASHED, f"'{self.card.name}' gives an embedding without length or number")
        return np.asarray(raw / lengths, np.float32)

    def _raw(self, chips: Chips) -> NDArray[np.float32]:
        raw = self._run(chips)
        if self.card.mirrored:
            raw = raw + self._run(np.ascontiguousarray(chips[:, :, ::-1]))
        if raw.shape != (len(chips), self.card.dim):
            raise ModelError(
                f"The model '{self.card.name}' gives arrays of {raw.shape} for {len(chips)} chips, and its card says "
                f"{self.card.dim} numbers each; correct the card, or install the model again."
            )
        return raw

    def _refuse_to_be_broken(self) -> None:
        """Raises ModelError when a chip without fault has no embedding either."""
        side = self.card.chip_px
        shades = np.linspace(0, 255, side).astype(np.uint8)
        chip = np.broadcast_to(shades[:, None, None], (1, side, side, 3))
        if not _have_length(np.linalg.norm(self._raw(np.ascontiguousarray(chip)), axis=1)):
            raise ModelError(
                f"The model '{self.card.name}' gives embeddings without length or number; "
                "run facesearch doctor, and install the model again if it agrees."
            )

    def _run(self, chips: Chips) -> NDArray[np.float32]:
        (raw,) = self._network(chips)
        return raw


def _have_length(lengths: NDArray[np.floating]) -> bool:
    return bool(np.isfinite(lengths).all() and lengths.all())


def aligner_of(card: EmbedderCard, detector: str) -> Aligner:
    """How chips are cut for an embedder from what a detector found. Raises ModelError when its card does not say."""
    how = card.alignment
    if isinstance(how, BoxAlignment):
        return ByBox(how.margin, card.chip_px)
    if detector not in how.templates:
        raise ModelError(
            f"The card of '{card.name}' does not say where the landmarks of '{detector}' belong; use "
            f"{' or '.join(how.templates)} as the detector."
        )
    template, weights = (np.asarray(facts, np.float64) for facts in (how.templates[detector], how.weights))
    return ByLandmarks(template, weights, card.chip_px)
