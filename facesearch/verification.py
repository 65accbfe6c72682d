"""Whether two photos show one person, by a model's own threshold or by a gallery's."""

from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

from facesearch.errors import Note, UsageError
from facesearch.faces.analyser import Analyser
from facesearch.gallery.records.answers import Verdict
from facesearch.gallery.records.settings import ActiveThreshold
from facesearch.gallery.search import answers
from facesearch.gallery.search.answers import LARGEST, FacesToCompare
from facesearch.models.cards import DetectorCard, EmbedderCard, default_embedder, detector_card, embedder_card
from facesearch.models.device import Device, Precision
from facesearch.photos.given import GivenPhoto
from facesearch.photos.pool import Decoders

if TYPE_CHECKING:
    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.search.judging import Judge

__all__ = ["LARGEST", "FacesToCompare", "Verifier", "verify"]


def verify(
    a: GivenPhoto,
    b: GivenPhoto,
    *,
    model: str | None = None,
    detector: str | None = None,
    gallery: str | None = None,
    threshold: float | None = None,
    faces: FacesToCompare = LARGEST,
    device: Device = "cpu",
    note: Note = lambda _: None,
    precision: Precision = "auto",
) -> Verdict:
    """Whether two photos show one person, by their largest faces or by those that `faces` says. What decides is the
    threshold of the model's card, what a gallery has learned where one is named (which then says the models), or
    `threshold`, -1..1. Of a model whose threshold nobody knows it gives the similarity alone. A photo is a path, the
    bytes of a file, a picture of Pillow's or an array, uint8 RGB.

    Raises FaceSearchError when a photo cannot be read, NoFaceError when it shows no face, ModelError for an unknown
    model, GalleryError for an unknown gallery, UsageError for words that do not fit together."""
    _check(threshold)
    _refuse_both(gallery, model, detector)
    if gallery is not None:
        return _opened(gallery, device, note, precision).verify(a, b, threshold=threshold, faces=faces)
    card = embedder_card(model or default_embedder())
    finder = detector_card(detector or card.detector)
    known = _threshold(threshold, card)
    load = partial(Analyser.load, finder, card, device, note=note, precision=precision)
    return answers.compare(load, a, b, known, chosen=faces)


_Running: TypeAlias = "tuple[Analyser, Decoders, ActiveThreshold | None, Judge | None]"


class Verifier:
    """Compares many pairs of photos: its networks and its decoder run from the first call until it is closed. Use it
    in a `with` block, from one thread at a time."""

    def __init__(
        self,
        *,
        model: str | None = None,
        detector: str | None = None,
        gallery: str | None = None,
        device: Device = "cpu",
        note: Note = lambda _: None,
        precision: Precision = "auto",
    ) -> None:
        """The words are those of `verify`. Nothing is loaded yet. A gallery's people and threshold are read with the
        first pair. Raises as `verify` does for words that do not fit together, and for an unknown model."""
        _refuse_both(gallery, model, detector)
        self._gallery = None if gallery is None else _opened(gallery, device, note, precision)
        self._device, self._note, self._precision = device, note, precision
        self._cards: tuple[DetectorCard, EmbedderCard] | None = None
        if gallery is None:
            card = embedder_card(model or default_embedder())
            self._cards = detector_card(detector or card.detector), card
        self._open = ExitStack()
        self._running: _Running | None = None

    def __enter__(self) -> "Verifier":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends its decoder and lets its networks go; the next call starts them again."""
        self._running = None
        self._open.close()

    def verify(
        self, a: GivenPhoto, b: GivenPhoto, *, threshold: float | None = None, faces: FacesToCompare = LARGEST
    ) -> Verdict:
        """As the function `verify`. Raises as it does."""
        _check(threshold)
        if self._running is None:
            self._running = self._started()
        analyser, decoders, known, judge = self._running
        known = known if threshold is None else ActiveThreshold(threshold, None)
        return answers.compare_by(analyser, decoders, (a, b), known, judge, faces)

    def _started(self) -> _Running:
        with ExitStack() as stack:
            decoders = stack.enter_context(Decoders(1))
            decoders.start_one()
            if self._cards is None:
                assert self._gallery is not None
                analyser, judge = stack.enter_context(self._gallery.judging())
                running: _Running = analyser, decoders, judge.threshold, judge
            else:
                analyser = Analyser.load(*self._cards, self._device, note=self._note, precision=self._precision)
                running = analyser, decoders, _threshold(None, self._cards[1]), None
            self._open = stack.pop_all()
        return running


def _opened(gallery: str, device: Device, note: Note, precision: Precision) -> "Gallery":
    from facesearch.gallery.gallery import Gallery  # with its database, which this alone needs

    return Gallery.open(gallery, device, note, precision)


def _check(threshold: float | None) -> None:
    if threshold is not None and not -1 <= threshold <= 1:
        raise UsageError(f"A threshold of {threshold:g} is not possible; similarities are from -1 to 1.")


def _refuse_both(gallery: str | None, model: str | None, detector: str | None) -> None:
    if gallery is not None and (model is not None or detector is not None):
        raise UsageError(f"The gallery '{gallery}' says which model and detector it takes; leave --model out.")


def _threshold(given: float | None, card: EmbedderCard) -> ActiveThreshold | None:
    """The given threshold, else the card's, where it has one."""
    if given is not None:
        return ActiveThreshold(given, None)
    return ActiveThreshold(card.threshold.similarity, card.threshold.far) if card.threshold else None
