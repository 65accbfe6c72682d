"""Questions: are two photos the same person, and who in the gallery is nearest to a face."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facesearch import limits
from facesearch.arrays import Embeddings
from facesearch.errors import FaceSearchError, NoFaceError, PhotoError, UsageError
from facesearch.faces.analyser import Analysed, Analyser
from facesearch.faces.choosing import by_size
from facesearch.faces.quality import can_tell
from facesearch.files import printable
from facesearch.flow import stages
from facesearch.flow.pace import Pace
from facesearch.gallery.judging import Judge
from facesearch.gallery.records import ActiveThreshold, Match, Sighting, Unanswered, Verdict
from facesearch.gallery.vectors import NONE, Searchable, distinct
from facesearch.geometry.face import Box
from facesearch.photos.file import PhotoFile
from facesearch.photos.pool import Decoders
from facesearch.photos.status import Status
from facesearch.photos.view import Decode, load_any, read_view

if TYPE_CHECKING:
    from facesearch.gallery.faces_table import Faces

# Faces asked of the index for a query, which are judged again; more when they turn out to be few people.
_FIRST_LOOK = 256
_WIDER = 4  # times as many at each next search
_WIDEST = 8192  # faces; beyond these an answer of few people would cost a walk through the whole gallery


@dataclass(frozen=True, slots=True)
class Probe:
    """The face of a photo that a question is about, and its embedding, (dim,)."""

    sighting: Sighting
    embedding: Embeddings


def embed_probes(
    paths: Iterable[str], load_analyser: Callable[[], Analyser], max_side: int
) -> Iterator[list[Probe | Unanswered]]:
    """The largest face of each photo, in order, a batch at a time. A photo that cannot be read or shows no face is
    said to be so in its place. `max_side` is the detector's."""

    def analysis() -> stages.Analyse[str, Analysed]:
        analyser = load_analyser()
        return lambda photos: analyser.analyse([photo.view for photo in photos])

    jobs = (stages.Job(path, _file_of(path)) for path in paths)
    work = stages.Work(analysis, Pace.of_machine("cpu"), max_side=max_side, read=load_any)
    rows: list[stages.Found[str, Analysed] | stages.Failed[str]]
    for rows in stages.run(jobs, work):
        yield [_probe_or_reason(row) for row in rows]


def _file_of(path: str) -> PhotoFile:
    """The file with its size, 0 where that is not known, as of a pipe."""
    try:
        return PhotoFile(path, os.stat(path).st_size, 0)
    except (OSError, ValueError):  # to read it will say why
        return PhotoFile(path, 0, 0)


def _probe_or_reason(row: stages.Found[str, Analysed] | stages.Failed[str]) -> Probe | Unanswered:
    if isinstance(row, stages.Failed):
        return Unanswered(row.key, Status(row.error.status), row.error.reason)
    if not row.result.faces:
        return Unanswered(row.key, Status.NO_FACE, "no face was found")
    return _chosen(row.key, row.result, None)


def embed_probe(analyser: Analyser, path: str, decode: Decode, face: int | None = None) -> Probe:
    """The face that a photo is asked about: the largest, or the `face`-th largest (1 is the largest). `decode` is the
    pool's. Raises FaceSearchError when the photo cannot be read, NoFaceError when it has no face, UsageError when it
    has fewer than that."""
    try:
        (found,) = analyser.analyse([read_view(path, analyser.max_side, decode)])
    except PhotoError as error:
        raise FaceSearchError(f"{printable(path)} cannot be used: {error.reason}.") from error
    if not found.faces:
        raise NoFaceError(f"There is no face in {printable(path)}; try a larger or clearer photo.")
    return _chosen(path, found, face)


def compare(
    load_analyser: Callable[[], Analyser],
    a: str | Path,
    b: str | Path,
    threshold: ActiveThreshold | None,
    judge: Judge | None = None,
) -> Verdict:
    """How similar the largest faces of two photos are, and whether that reaches the threshold, where there is one; as
    a gallery's `judge` judges it, where one is given. The networks are loaded while a decoder starts. Raises
    FaceSearchError when a photo cannot be read, NoFaceError when it shows no face, ModelError for a model that is
    missing."""
    with Decoders(1) as decoders:
        decoders.start_one()
        analyser = load_analyser()
        first, second = (embed_probe(analyser, os.fspath(photo), decoders.decode) for photo in (a, b))
    similarity = float(np.clip(first.embedding @ second.embedding, -1, 1))
    shifts = judge.shifts(np.stack([first.embedding, second.embedding])) if judge else np.zeros(2)
    judged = min(similarity - float(shifts.mean()), 1.0)
    cohort = judge.cohort if judge else 0
    seen = analyser.embedder.card.name, first.sighting, second.sighting
    if threshold is None:
        return Verdict(None, similarity, judged, None, None, *seen, cohort=cohort)
    least = threshold.similarity
    tells = threshold.far is None or can_tell(first.sighting.box, second.sighting.box)
    same = judged >= least if tells else None
    return Verdict(same, similarity, judged, least, threshold.far, *seen, threshold.learned, cohort)


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """How many people are wanted: the `k` nearest whose judged value is at least `threshold`, one match for each
    named person (the best face) and one for each unnamed face (of copies of a photo, one); with `group` off, the k
    nearest faces."""

    k: int = 5
    group: bool = True
    threshold: float = -1.0
    min_quality: float = 0.0  # faces whose quality is known and lower are left out

    def __post_init__(self) -> None:
        """Raises UsageError for a number that is out of range."""
        limits.check("k", self.k, limits.MATCHES)
        limits.check("threshold", self.threshold, limits.SIMILARITY)
        limits.check("min_quality", self.min_quality, limits.QUALITY)


def identify(
    faces: "Faces", index: Searchable, judge: Judge, probes: Sequence[Probe], options: QueryOptions
) -> list[tuple[Match, ...]]:
    """For each probe the nearest people, highest judged value first, all among the 8,192 most similar
    faces."""
    answers: list[tuple[Match, ...]] = [()] * len(probes)
    if not probes:
        return answers
    queries = np.stack([probe.embedding for probe in probes])  # (m, dim)
    shifts = judge.shifts(queries)
    open_rows = list(range(len(queries)))
    wanted = max(_FIRST_LOOK, options.k)
    widest = min(max(_WIDEST, options.k), len(index))
    while open_rows:
        similarities, ids = index.search(queries[open_rows], wanted)
        of_faces = judge.shifts_of(distinct(ids))
        for row, found, of in zip(open_rows, similarities, ids, strict=True):
            near = {int(i): float(np.clip(s, -1, 1)) for s, i in zip(found, of, strict=True) if i != NONE}
            shift = float(shifts[row])
            judged = {i: min(s - (shift + of_faces.get(i, 0.0)) / 2, 1.0) for i, s in near.items()}
            found_matches = faces.matches(near, judged)
            answers[row] = _grouped(found_matches, options, judge.threshold, probes[row].sighting.box)
        # A row is settled when it has its k, when the index is exhausted or when the rest is below the threshold.
        open_rows = [
            row
            for row, found in zip(open_rows, similarities, strict=True)
            if len(answers[row]) < options.k
            and wanted < widest
            and judge.highest(float(found[-1]), float(shifts[row])) >= options.threshold
        ]
        wanted = min(wanted * _WIDER, widest)
    return answers


def _chosen(path: str, found: Analysed, face: int | None) -> Probe:
    count = len(found.faces)
    if face is not None and not 1 <= face <= count:
        raise UsageError(
            f"{printable(path)} shows {count} face{'s' if count > 1 else ''}; --face takes a number up to {count}."
        )
    i = by_size(found.faces)[(face or 1) - 1]
    chosen = found.faces[i]
    return Probe(Sighting(path, chosen.box, chosen.score, count, chosen.quality), found.embeddings[i])


def _grouped(
    matches: Iterable[tuple[Match, bytes]], options: QueryOptions, threshold: ActiveThreshold | None, asked: Box
) -> tuple[Match, ...]:
    chosen: dict[object, Match] = {}
    for match, digest in matches:
        key = match.face_id if not options.group else match.person or (digest, match.box)
        is_good = match.quality is None or match.quality >= options.min_quality
        if is_good and match.judged >= options.threshold and len(chosen) < options.k and key not in chosen:
            tells = threshold is not None and can_tell(asked, match.box)
            chosen[key] = replace(match, same=match.judged >= threshold.similarity if tells and threshold else None)
    return tuple(chosen.values())
