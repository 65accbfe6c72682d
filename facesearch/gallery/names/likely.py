"""Names that are proposed to whoever types one: first those of whom somebody resembles most, then all others.

How alike somebody is to a person is judged as `by_person` does it: by the mean of all of that person's faces. These
means are kept, and of them only those are computed anew of whose people something was said since."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from facesearch.arrays import Embeddings
from facesearch.gallery.database import Database
from facesearch.gallery.records.people import PersonFacts
from facesearch.gallery.records.settings import ActiveThreshold, GallerySettings
from facesearch.gallery.references import References
from facesearch.gallery.search.by_person import SHARE
from facesearch.gallery.search.judging import Judge
from facesearch.gallery.storage import Storage
from facesearch.gallery.tables.scope import WHOLE

_LIKELY = 8  # proposals by likeness, before the alphabet begins
_FACES_OF_EACH = 64  # of a person, evenly over all of theirs


@dataclass(frozen=True, slots=True)
class LikelyName:
    """Somebody with a name, and how alike they are to who is asked about: their judged value, and whether that
    reaches the threshold; both None where that is not known."""

    person: PersonFacts
    judged: float | None = None
    same: bool | None = None


@dataclass(frozen=True, slots=True)
class _Mean:
    """The mean of somebody's embeddings, (dim,), and of how much higher their own thresholds lie."""

    embedding: Embeddings
    shift: float


class LikelyNames:
    """Proposes the names of one gallery. May be asked from any thread; what it has read is kept for the next time."""

    def __init__(self, storage: Storage) -> None:
        self._storage, self._lock = storage, Lock()
        self._read_of: tuple[object, ...] = ()
        self._row = 0  # of the log up to which the means hold
        self._means: dict[int, _Mean] = {}
        self._similarity = 0.0  # from which on two faces are one person, by the model's card
        self._threshold: ActiveThreshold | None = None
        self._has_shifts = False

    def like(self, typed: str, most: int, *, person: int | None = None, face: int | None = None) -> list[LikelyName]:
        """At most so many people with a name in which what was typed occurs, whatever the case and the accents: those
        whom the person, or whose the face is, resembles most, without those of whom the user said that they are not
        the same; then the others by the alphabet, first those whose name begins so. Raises the errors of
        `references` where there is no such person or face."""
        with self._lock, self._storage.reading() as (db, settings), db.snapshot():
            asked = _asked(db, References(db, self._storage.name), person, face)
            typed = folded(typed)
            called = {who: folded(name) for who, name in db.people.named() if who != asked.person}
            wanted = [who for who, name in called.items() if typed in name]
            judged = self._judged(db, settings, wanted, asked)
            likely = sorted(judged.keys() - asked.not_the_same, key=lambda who: (-judged[who], who))[:_LIKELY]
            others = sorted(
                set(wanted).difference(likely),
                key=lambda who: (not called[who].startswith(typed), called[who], who),
            )
            chosen = [*likely, *others][:most]
            facts = db.people_list.some(chosen)
            return [self._proposal(facts[who], judged.get(who)) for who in chosen if who in facts]

    def _proposal(self, person: PersonFacts, judged: float | None) -> LikelyName:
        limit = self._threshold.similarity if self._threshold else None
        return LikelyName(person, judged, None if judged is None or limit is None else judged >= limit)

    def _keep_up(self, db: Database, settings: GallerySettings) -> None:
        """Brings the means up to date: all where anything was found or measured anew, or else what was said."""
        stamps = (
            db.faces.stamp(),
            db.cohort.stamp(),
            db.groupings.stamp(),
            db.groupings.made_at(),
            db.calibration.read(),
        )
        newest = db.changes.newest_row()
        if (settings, *stamps) != self._read_of or newest < self._row:
            judge = Judge(db, settings)
            self._similarity, self._threshold = judge.similarity or 0.0, judge.threshold
            self._has_shifts = judge.cohort > 0
            self._means = self._means_of(db, settings, [who for who, _ in db.people.named()])
            self._read_of = (settings, *stamps)
        elif newest > self._row:
            people = db.changes.people_since(self._row)
            named = people.intersection(who for who, _ in db.people.named())
            for who in people:
                self._means.pop(who, None)
            self._means |= self._means_of(db, settings, sorted(named))
        self._row = newest

    def _means_of(self, db: Database, settings: GallerySettings, people: Sequence[int]) -> dict[int, _Mean]:
        found = db.faces.of_people(people, WHOLE, 0.0, settings.dim, most=_FACES_OF_EACH)
        order = np.argsort(found.people, kind="stable")
        whose, first = np.unique(found.people[order], return_index=True)
        shifts = self._shifts(db, found.ids.tolist())
        return {
            int(who): _mean(found.embeddings[rows], found.ids[rows].tolist(), shifts)
            for who, rows in zip(
                whose, np.split(order, first[1:]), strict=False
            )  # of nobody, np.split makes one part
        }

    def _judged(
        self, db: Database, settings: GallerySettings, people: Sequence[int], asked: "_Asked"
    ) -> dict[int, float]:
        """The judged values of those of these people who have faces to compare with: the means over all faces that
        are asked about."""
        if not people or asked.is_nobody:
            return {}
        self._keep_up(db, settings)
        mean = self._mean_of_asked(db, settings, asked)
        there = [who for who in people if who in self._means]
        if mean is None or not there:
            return {}
        means = np.stack([self._means[who].embedding for who in there])
        lengths = np.maximum(np.linalg.norm(means, axis=1), 1e-6)
        nearer_to_all = self._similarity * (1 / lengths - 1)
        shifts = np.array([self._means[who].shift for who in there])
        values = means @ mean.embedding / lengths - SHARE * nearer_to_all - (shifts + mean.shift) / 2
        return dict(zip(there, np.minimum(values, 1.0).tolist(), strict=True))

    def _mean_of_asked(self, db: Database, settings: GallerySettings, asked: "_Asked") -> _Mean | None:
        if asked.face is None:
            person = asked.person or 0
            return self._means_of(db, settings, [person]).get(person)
        ids, embeddings = db.faces.embeddings_of([asked.face], settings.dim)
        return _mean(embeddings, ids.tolist(), self._shifts(db, ids.tolist())) if len(ids) else None

    def _shifts(self, db: Database, faces: Sequence[int]) -> Mapping[int, float]:
        return db.cohort.shifts_of(faces) if self._has_shifts else {}


@dataclass(frozen=True, slots=True)
class _Asked:
    """For whom a name is looked for, a person or a face; and who it is not, as the user said, or is already."""

    person: int | None
    face: int | None
    not_the_same: frozenset[int]

    @property
    def is_nobody(self) -> bool:
        """Whether names are only listed."""
        return self.person is None and self.face is None


def _asked(db: Database, references: References, person: int | None, face: int | None) -> _Asked:
    if face is not None:
        known = references.face(face)
        others = {who for _, who in db.decisions.apart_of([known])} | {db.people.person_of(known) or 0}
        return _Asked(None, known, frozenset(others))
    if person is None:
        return _Asked(None, None, frozenset())
    who = references.person(person)
    return _Asked(who, None, frozenset(each for pair in db.decisions.strangers_of([who]) for each in pair))


def folded(name: str) -> str:
    """A name without case, accents and invisible signs, so that `emile` finds Émile, and `strasse` finds Straße."""
    signs = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return "".join(sign for sign in signs if not unicodedata.combining(sign) and unicodedata.category(sign) != "Cf")


def _mean(embeddings: Embeddings, faces: Sequence[int], shifts: Mapping[int, float]) -> _Mean:
    own = [shifts.get(face, 0.0) for face in faces]
    return _Mean(embeddings.mean(axis=0), float(np.mean(own)))
