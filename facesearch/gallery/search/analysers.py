"""The networks of a gallery's models, loaded when they are first needed."""

import threading

from facesearch.errors import Note
from facesearch.faces.analyser import Analyser, load_embedder
from facesearch.faces.embedder import Embedder
from facesearch.gallery.agreement import current_identity, detector_of
from facesearch.gallery.records.settings import GallerySettings
from facesearch.models.cards import embedder_card
from facesearch.models.device import Device, Precision


class Analysers:
    """Loads the networks of the gallery with this name, and keeps them. Threads may call it at the same time."""

    def __init__(self, gallery: str, device: Device, precision: Precision, note: Note) -> None:
        self._gallery, self._device, self._precision, self._note = gallery, device, precision, note
        self._loading = threading.Lock()
        self._loaded: dict[tuple[str, int], Analyser] = {}  # by the networks' identity, which may change, and threads

    def load(self, settings: GallerySettings, threads: int = 0) -> Analyser:
        """The networks of the gallery's models. `threads` is how many cores a call may use, 0 for all. Raises
        ModelError where a model is missing or is another one than before."""
        key = current_identity(self._gallery, settings), threads
        with self._loading:
            if key not in self._loaded:
                card = embedder_card(settings.model)
                self._loaded[key] = Analyser.load(
                    detector_of(settings), card, self._device, threads, self._note, self._precision
                )
            return self._loaded[key]

    def load_embedder(self, settings: GallerySettings) -> Embedder:
        """The embedder alone, for many faces: each core takes whole batches, so a call uses one."""
        return load_embedder(
            embedder_card(settings.model), settings.detector, self._device, 1, self._note, self._precision
        )
