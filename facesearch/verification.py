"""Whether two photos show one person, by a model's own threshold or by a gallery's."""

from pathlib import Path

from facesearch.errors import Note, UsageError
from facesearch.faces.analyser import Analyser
from facesearch.gallery import answers
from facesearch.gallery.records import ActiveThreshold, Verdict
from facesearch.models.cards import EmbedderCard, default_embedder, detector_card, embedder_card
from facesearch.models.device import Device, Precision


def verify(
    a: str | Path,
    b: str | Path,
    *,
    model: str | None = None,
    detector: str | None = None,
    gallery: str | None = None,
    threshold: float | None = None,
    device: Device = "cpu",
    note: Note = lambda _: None,
    precision: Precision = "auto",
) -> Verdict:
    """Whether the largest faces of two photos show one person: by the threshold of the model's card, by what a
    gallery has learned where one is named (which then says the models), or by `threshold`, -1..1. Of a model whose
    threshold nobody knows it gives the similarity alone.

    Raises FaceSearchError when a photo cannot be read, NoFaceError when it shows no face, ModelError for an unknown
    model, GalleryError for an unknown gallery, UsageError for words that do not fit together."""
    if threshold is not None and not -1 <= threshold <= 1:
        raise UsageError(f"A threshold of {threshold:g} is not possible; similarities are from -1 to 1.")
    if gallery is not None:
        if model is not None or detector is not None:
            raise UsageError(f"The gallery '{gallery}' says which model and detector it takes; leave --model out.")
        from facesearch.gallery.gallery import Gallery  # with its database, which this alone needs

        return Gallery.open(gallery, device, note, precision).verify(a, b, threshold=threshold)
    card = embedder_card(model or default_embedder())
    finder = detector_card(detector or card.detector)
    return answers.compare(
        lambda: Analyser.load(finder, card, device, note=note, precision=precision), a, b, _chosen(threshold, card)
    )


def _chosen(threshold: float | None, card: EmbedderCard) -> ActiveThreshold | None:
    """The given threshold, else the card's, where it has one."""
    if threshold is not None:
        return ActiveThreshold(threshold, None)
    return ActiveThreshold(card.threshold.similarity, card.threshold.far) if card.threshold else None
