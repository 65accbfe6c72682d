"""Questions: are two photos the same person, and who in the gallery is nearest to a face."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facesearch.arrays import Embeddings
from facesearch.errors import FaceSearchError, NoFaceError, Note, PhotoError, UsageError
from facesearch.faces.analyser import Analysed, Analyser
from facesearch.files import printable
from facesearch.gallery.records import Limit, Match, Sighting, Unanswered, Verdict
from facesearch.gallery.vectors import NONE, Searchable
from facesearch.models.cards import default_embedder, detector_card, embedder_card
from facesearch.models.device import Device
from facesearch.photos.pool import Decoders
from facesearch.photos.status import Status
from facesearch.photos.view import Decode, View, read_view

if TYPE_CHECKING:
    from facesearch.gallery.faces_table import Faces

_FIRST_LOOK = 32  # faces asked of the index for a query; more when they turn out to be few people
_WIDER = 4  # times as many at each next look
_WIDEST = 8192  # faces; beyond these an answer of few people would cost a walk through the whole gallery


@dataclass(frozen=True, slots=True)
class Asked:
    """The face of a photo that a question is about, and its embedding, (dim,)."""

    sighting: Sighting
    embedding: Embeddings


def ask(
    analyser: Analyser, paths: Sequence[str], decode: Decode, face: int | None = None
) -> list[Asked | Unanswered]:
    """The face that each photo of a batch is about: the largest, or the `face`-th largest (1 is the largest).
    `decode` decodes the photos. Raises UsageError when a photo has fewer faces than that."""
    views: dict[int, View] = {}
    asked: list[Asked | Unanswered] = []
    for i, path in enumerate(paths):
        try:
            views[i] = read_view(path, analyser.max_side, decode)
        except PhotoError as error:
            asked.append(Unanswered(path, Status(error.status), error.reason))
        else:
            asked.append(Unanswered(path, Status.NO_FACE, "no face was found"))
    try:
        results = analyser.analyse(list(views.values()))
    except PhotoError as error:
        if len(paths) == 1:
            return [Unanswered(paths[0], Status(error.status), error.reason)]
        return [answer for path in paths for answer in ask(analyser, [path], decode, face)]
    for i, found in zip(views, results, strict=True):
        if found.faces:
            asked[i] = _chosen(paths[i], found, face)
    return asked


def ask_one(analyser: Analyser, path: str, decode: Decode, face: int | None = None) -> Asked:
    """As `ask`, for one photo. Raises FaceSearchError when it cannot be read and NoFaceError when it has no face."""
    (asked,) = ask(analyser, [path], decode, face)
    if isinstance(asked, Asked):
        return asked
    if asked.status == Status.NO_FACE:
        raise NoFaceError(f"There is no face in {printable(path)}; try a larger or clearer photo.")
    raise FaceSearchError(f"{printable(path)} cannot be used: {asked.reason}.")


def verify(
    a: str | Path,
    b: str | Path,
    *,
    model: str | None = None,
    detector: str | None = None,
    threshold: float | None = None,
    device: Device = "cpu",
    note: Note = lambda _: None,
) -> Verdict:
    """Whether the largest faces of two photos show one person, by the card's threshold or by the given one; without
    either, how similar they are. Raises FaceSearchError when a photo cannot be read, NoFaceError when it shows no
    face, ModelError for an unknown model."""
    card = embedder_card(model or default_embedder())
    known = Limit(card.threshold.similarity, card.threshold.far) if card.threshold else None
    limit = Limit(threshold, None) if threshold is not None else known
    return compare(
        lambda: Analyser.load(detector_card(detector or card.detector), card, device, note=note), a, b, limit
    )


def compare(load: Callable[[], Analyser], a: str | Path, b: str | Path, limit: Limit | None) -> Verdict:
    """How similar the largest faces of two photos are, and whether that reaches the limit, where there is one. The
    networks are loaded while a decoder starts. Raises as `verify`."""
    with Decoders(1) as decoders:
        decoders.start_one()
        analyser = load()
        first, second = (ask_one(analyser, os.fspath(photo), decoders.decode) for photo in (a, b))
    similarity = float(np.clip(first.embedding @ second.embedding, -1, 1))
    seen = analyser.embedder.card.name, first.sighting, second.sighting
    if limit is None:
        return Verdict(None, similarity, None, None, *seen)
    return Verdict(similarity >= limit.similarity, similarity, limit.similarity, limit.far, *seen, limit.learned)


def identify(
    faces: "Faces", index: Searchable, queries: Embeddings, k: int, group: bool, threshold: float = -1.0
) -> list[tuple[Match, ...]]:
    """For each query, (m, dim), the k nearest people with a similarity of at least `threshold`, nearest first: one
    match for each named person (the best face) and one for each unnamed face (of copies of a photo, one), all
    among the 8,192 nearest faces. With `group` off, the k nearest faces."""
    answers: list[tuple[Match, ...]] = [()] * len(queries)
    open_rows = list(range(len(queries)))
    wanted = max(_FIRST_LOOK, k)
    widest = min(max(_WIDEST, k), len(index))
    while open_rows:
        similarities, ids = index.search(queries[open_rows], wanted)
        for row, found, of in zip(open_rows, similarities, ids, strict=True):
            near = {int(i): float(np.clip(s, -1, 1)) for s, i in zip(found, of, strict=True) if i != NONE}
            answers[row] = _grouped(faces.matches(near), k, group, threshold)
        # A row is settled when it has its k, when the index is exhausted or when the rest is below the threshold.
        open_rows = [
            row
            for row, found in zip(open_rows, similarities, strict=True)
            if len(answers[row]) < k and wanted < widest and found[-1] >= threshold
        ]
        wanted = min(wanted * _WIDER, widest)
    return answers


def _chosen(path: str, found: Analysed, face: int | None) -> Asked:
    count = len(found.faces)
    if face is not None and not 1 <= face <= count:
        raise UsageError(
            f"{printable(path)} shows {count} face{'s' if count > 1 else ''}; --face takes a number up to {count}."
        )
    by_size = sorted(range(count), key=lambda i: -found.faces[i].box.area)
    i = by_size[(face or 1) - 1]
    chosen = found.faces[i]
    return Asked(Sighting(path, chosen.box, chosen.score, count), found.embeddings[i])


def _grouped(matches: Iterable[tuple[Match, bytes]], k: int, group: bool, threshold: float) -> tuple[Match, ...]:
    chosen: dict[object, Match] = {}
    for match, digest in matches:
        key = match.face_id if not group else match.person or (digest, match.box)
        if match.similarity >= threshold and len(chosen) < k:
            chosen.setdefault(key, match)
    return tuple(chosen.values())
