"""Similarities of a gallery's faces as they are judged, and what is stored for that."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from facesearch.arrays import Embeddings
from facesearch.errors import Note
from facesearch.gallery.records.settings import ActiveThreshold, GallerySettings
from facesearch.gallery.tables.cohort import CohortStamp
from facesearch.models.cards import Threshold, embedder_card
from facesearch.people.cohort import (
    MOST,
    MOST_GROUPED,
    UNNAMED,
    JudgedFaces,
    OwnThresholds,
    Shifts,
    distinct,
    has_facts,
)

if TYPE_CHECKING:
    from facesearch.gallery.database import Database

_WORTH_A_NOTE = 200_000  # faces: some seconds
_CANDIDATES = 20_000  # faces drawn at random, among which distinct people are looked for
_OF_ITS_OWN = -(2**40)  # below the ids of all groups
_LIFT = 2  # units of the card


class Judge:
    """What the similarities of one gallery mean."""

    def __init__(self, db: "Database", settings: GallerySettings) -> None:
        """Reads the gallery's threshold and its cohort."""
        card = embedder_card(settings.model).threshold
        self._db, self.dim, self.gallery = db, settings.dim, db.gallery
        self.threshold = active_threshold(db, card)
        self._of_card = card.similarity if card else None
        self._unit = card.unit if card else 0.0
        self._own: OwnThresholds | None = None
        stamp = db.cohort.stamp()
        if card and has_facts(card) and stamp and self.threshold and self.threshold.judges:
            # Who asks waits for the cohort to be read, and 8,000 people find nobody more surely than 2,000.
            self._own = OwnThresholds(_cohort(db, settings.dim, MOST), card)
            self._least = stamp.least_shift

    @property
    def similarity(self) -> float | None:
        """From which similarity on two faces are one person, by the model's card; None where that is not known."""
        return self._of_card

    @property
    def lift(self) -> float:
        """How much higher than by their best face somebody may well be judged by all of their faces."""
        return _LIFT * self._unit

    @property
    def cohort(self) -> int:
        """By how many people own thresholds were measured; 0 where judged values are similarities."""
        return len(self._own.cohort) if self._own else 0

    def shifts(self, embeddings: Embeddings) -> Shifts:
        """How much higher the own thresholds of faces lie that are asked about, (n,) for (n, dim)."""
        if self._own is None:
            return np.zeros(len(embeddings), np.float32)
        return self._own.shifts(JudgedFaces.strange(embeddings))

    def shifts_of(self, faces: Sequence[int]) -> Mapping[int, float]:
        """Those of faces of the gallery, by id. Of faces that no run has measured yet they are measured now."""
        if self._own is None:
            return dict.fromkeys(faces, 0.0)
        known = self._db.cohort.shifts_of(faces)
        new = self._db.faces.known_of([face for face in faces if face not in known], self.dim)
        return known | dict(zip(new.ids.tolist(), self._own.shifts(new).tolist(), strict=True))

    def highest(self, similarity: float, shift: float) -> float:
        """The highest judged value that any face of this similarity to a face with that shift can have."""
        return similarity - (shift + (self._least if self._own else 0.0)) / 2


def active_threshold(db: "Database", card: Threshold | None) -> ActiveThreshold | None:
    """From which judged value on two faces are one person: as learned from the gallery, or else as the card says."""
    return db.calibration.read() or (ActiveThreshold(card.similarity, card.far) if card else None)


def keep_up(db: "Database", settings: GallerySettings, note: Note = lambda _: None) -> None:
    """Measures the own thresholds of the faces that are new, or of all where the people or the faces have doubled
    since the cohort was chosen, which is then chosen again. A gallery whose model's card has no facts on them gets
    none."""
    card = embedder_card(settings.model).threshold
    if card is None or not has_facts(card):
        return
    with db.transaction():
        stamp = CohortStamp(0, db.people.with_faces(), db.faces.count(), 0.0)
        if _has_outgrown(db.cohort.stamp(), stamp, len(db.cohort.ids())):
            if stamp.faces > _WORTH_A_NOTE:
                note(f"Measuring the own thresholds of {stamp.faces:,} faces.")
            _choose(db, settings.dim, card, stamp)
        if db.cohort.newest() == db.faces.newest() and db.cohort.count() == stamp.faces:
            return
        own = OwnThresholds(_cohort(db, settings.dim), card)
        for faces in db.faces.known(settings.dim, db.cohort.newest()):
            db.cohort.add(faces.ids, own.shifts(faces))
        if db.cohort.count() < stamp.faces:  # some came back that had been set aside, with their old ids
            for faces in db.faces.known(settings.dim):
                there = db.cohort.shifts_of(faces.ids.tolist())
                faces = faces[np.array([face not in there for face in faces.ids.tolist()], bool)]
                db.cohort.add(faces.ids, own.shifts(faces))


def _has_outgrown(before: CohortStamp | None, now: CohortStamp, size: int) -> bool:
    """Whether a cohort, of which `size` people are still there, no longer stands for the gallery."""
    if before is None:
        return now.faces > 0
    has_more_people = now.people >= 2 * before.people and now.people > before.people
    return has_more_people or now.faces >= 2 * before.faces > 0 or 2 * size < before.size


def _choose(db: "Database", dim: int, card: Threshold, stamp: CohortStamp) -> None:
    """One face of each person with a name first, then of all others and those that are nobody's, drawn at random."""
    rng = np.random.default_rng(0)
    named = rng.permutation(np.array(db.faces.largest_of_people(with_name=True), np.int64))
    others = np.array([*db.faces.largest_of_people(with_name=False), *db.faces.of_nobody()], np.int64)
    drawn = rng.permutation(others)[:_CANDIDATES]
    if db.groupings.stamp():
        some = db.faces.known_of([*named.tolist(), *drawn.tolist()][:MOST_GROUPED], dim)
        cohort = distinct(some, some[:0], card, MOST_GROUPED)
    else:  # who of those without a name is one person is not known
        cohort = distinct(db.faces.known_of(named[:MOST].tolist(), dim), db.faces.known_of(drawn.tolist(), dim), card)
    db.cohort.replace(np.sort(cohort.ids), CohortStamp(len(cohort), stamp.people, stamp.faces, 0.0))


def _cohort(db: "Database", dim: int, most: int | None = None) -> JudgedFaces:
    """The faces of the cohort, or at most so many, evenly over all. Where faces were grouped, each that is nobody's
    is somebody of its own. Measured on LFW by benchmarks/by_person.py: the DIR at FAR 0.01 is 0.780 by one face of
    each group, 0.722 where those that look alike are taken for one, and 0.785 by one face of each person, as names
    say it; 0.676 without a cohort. Of `retail-0095` they are 0.920, 0.928, 0.922 and 0.907."""
    ids = db.cohort.ids()
    if most is not None and len(ids) > most:
        ids = [ids[i * len(ids) // most] for i in range(most)]
    cohort = db.faces.known_of(ids, dim)
    if not db.groupings.stamp():
        return cohort
    return replace(cohort, people=np.where(cohort.people == UNNAMED, _OF_ITS_OWN - cohort.ids, cohort.people))
