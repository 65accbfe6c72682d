"""The networks of a gallery's models, loaded when they are first needed."""

from facesearch.errors import Note
from facesearch.faces.analyser import Analyser
from facesearch.gallery.agreement import current_identity, detector_of
from facesearch.gallery.records import GallerySettings
from facesearch.models.cards import embedder_card
from facesearch.models.device import Device


class Analysers:
    """Loads the networks of the gallery with this name, and keeps them."""

    def __init__(self, gallery: str, device: Device, note: Note) -> None:
        self._gallery, self._device, self._note = gallery, device, note
        self._loaded: dict[int, Analyser] = {}  # by threads

    def load(self, settings: GallerySettings, threads: int = 0) -> Analyser:
        """The networks of the gallery's models. `threads` is how many cores a call may use, 0 for all. Raises
        ModelError where a model is missing or is another one than before."""
        current_identity(self._gallery, settings)
        if threads not in self._loaded:
            card = embedder_card(settings.model)
            loaded = Analyser.load(detector_of(settings), card, self._device, threads, self._note)
            self._loaded[threads] = loaded
        return self._loaded[threads]
