"""What a gallery fixed when it was made, and whether what is asked of it now agrees with that."""

from dataclasses import dataclass, replace
from typing import NoReturn

import msgspec

from facesearch import limits
from facesearch.errors import FaceSearchError, ModelError, UsageError
from facesearch.gallery.records.settings import GallerySettings
from facesearch.home import gallery_words, home
from facesearch.models.cards import (
    DetectorCard,
    LandmarkAlignment,
    default_embedder,
    detector_card,
    embedder_card,
)
from facesearch.models.identity import identity_of
from facesearch.models.weight_files import refuse_missing


@dataclass(frozen=True, slots=True)
class RequestedSettings:
    """What a user asks of a gallery; None for what the gallery, or a new one's default, decides. `min_face_px` is the
    smallest face's side and `max_side` the longest side of a photo in which faces are searched for, in pixels."""

    model: str | None = None
    detector: str | None = None
    min_face_px: float | None = None
    max_side: int | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for a number that is out of range."""
        limits.check("min_face_px", self.min_face_px, limits.MIN_FACE_PX)
        limits.check("max_side", self.max_side, limits.MAX_SIDE_PX)


def agreed_settings(name: str, settings: GallerySettings | None, requested: RequestedSettings) -> GallerySettings:
    """The settings of the gallery with this name, or those of a new one where it has none yet. Raises ModelError or
    UsageError when others are requested, and ModelError where the weights for a new one are missing."""
    if settings is None:
        return _settings_of_a_new_one(requested)
    _refuse_others(name, settings, requested)
    return replace(settings, identity=current_identity(name, settings))


def _settings_of_a_new_one(requested: RequestedSettings) -> GallerySettings:
    card = embedder_card(requested.model or default_embedder())
    finder = detector_card(requested.detector or card.detector)
    for each in (card, finder):  # before a gallery is made that could hold no other model's embeddings
        refuse_missing(each)
    smallest = requested.min_face_px or finder.min_face_px
    side = finder.max_side if requested.max_side is None else requested.max_side
    return GallerySettings(card.name, finder.name, card.dim, smallest, side, identity_of(card, finder))


def _refuse_others(name: str, settings: GallerySettings, requested: RequestedSettings) -> None:
    if requested.model is not None and requested.model != settings.model:
        embedder_card(requested.model)
        raise ModelError(
            f"The gallery '{name}' holds embeddings of {settings.model}, which {requested.model} cannot be compared "
            "with; leave --model out, choose another --gallery, or change its model with: "
            f"{_migrate(name, requested.model)}"
        )
    if requested.detector is not None and requested.detector != settings.detector:
        detector_card(requested.detector)
        raise ModelError(
            f"The gallery '{name}' holds faces that {settings.detector} found; leave --detector out, or "
            "choose another --gallery."
        )
    if requested.min_face_px not in (None, settings.min_face_px):
        raise UsageError(
            f"The gallery '{name}' was made with faces from {settings.min_face_px:g} pixels; leave "
            "--min-face out, or choose another --gallery."
        )
    if requested.max_side not in (None, settings.max_side):
        how = f"in at most {settings.max_side} pixels a side" if settings.max_side else "in their own size"
        raise UsageError(
            f"The gallery '{name}' was made with faces searched for {how}; leave --max-side out, or choose "
            "another --gallery."
        )


def current_identity(name: str, settings: GallerySettings) -> str:
    """Which networks have the names of the gallery's models now. Raises ModelError where its embeddings were made by
    others: the embeddings of both must not be compared."""
    card = embedder_card(settings.model)
    identity = identity_of(card, detector_card(settings.detector))
    if settings.identity not in ("", identity) or card.dim != settings.dim:
        _refuse_other_networks(name, settings)
    return identity


def refuse_other_networks(name: str, settings: GallerySettings | None) -> None:
    """Raises ModelError where the gallery's embeddings were made by other networks than have these names now. What
    cannot be told, as of an absent model, is left to who needs it."""
    if settings is None:
        return
    try:
        card = embedder_card(settings.model)
        identity = identity_of(card, detector_card(settings.detector))
    except FaceSearchError:
        return
    if settings.identity not in ("", identity) or card.dim != settings.dim:
        _refuse_other_networks(name, settings)


def _refuse_other_networks(name: str, settings: GallerySettings) -> NoReturn:
    raise ModelError(
        f"The gallery '{name}' holds embeddings of another network than today's '{settings.model}' "
        f"(with '{settings.detector}'): weights or cards of these names have changed, and both cannot be "
        f"compared. Bring the earlier ones back to {home() / 'models'}, or embed the gallery's faces anew with: "
        f"{_migrate(name, settings.model)}"
    )


def _migrate(name: str, model: str) -> str:
    which = gallery_words(name)
    return f"facesearch migrate --model {model}{which}"


def settings_with_model(name: str, settings: GallerySettings, model: str) -> GallerySettings:
    """The settings of the gallery with this name once its faces have embeddings of another model; the detector that
    found them stays. Raises ModelError for a model that is missing, and for one that cannot be given what it
    found."""
    card, finder = embedder_card(model), detector_card(settings.detector)
    how = card.alignment
    if isinstance(how, LandmarkAlignment) and finder.name not in how.templates:
        raise ModelError(
            f"The card of '{card.name}' does not say where the landmarks of '{finder.name}' belong, which found the "
            f"faces of the gallery '{name}'; index the photos into another --gallery."
        )
    return replace(settings, model=card.name, dim=card.dim, identity=identity_of(card, finder))


def detector_of(settings: GallerySettings) -> DetectorCard:
    """The detector's card with what the gallery fixed when it was made. Who wants photos looked at in a larger size
    wants smaller faces: they are proposed in a larger one, too."""
    card = detector_card(settings.detector)
    larger = max(settings.max_side / card.max_side, 1) if card.max_side and settings.max_side else 0
    return msgspec.structs.replace(
        card,
        min_face_px=settings.min_face_px,
        max_side=settings.max_side,
        proposal_side=card.proposal_side * larger,
    )
