"""What a user's words about people do to the rows: each verb's part that is the same wherever it is said.

A decision about a person holds to that person's faces: naming and joining fix all faces that the person has then, for
these are what the user saw, and whoever is told from somebody keeps at least one face that is fixed, the anchor. So
no later grouping can carry the decision to somebody else."""

from collections.abc import Iterable, Sequence

from facesearch.errors import UsageError
from facesearch.gallery.database import Database
from facesearch.gallery.references import Referent
from facesearch.gallery.tables.changes import Recorder
from facesearch.gallery.tables.row_images import APART, MARKS, REPEATS, STRANGERS, face_states, faces_of_people
from facesearch.people.decisions import NOT_A_FACE, FaceState, PersonState, best_anchor

STRANGER = "stranger"


class NameTakenError(UsageError):
    """Somebody else has that name: it has to be said whether they are the same. `people` are the ids of all who have
    it."""

    def __init__(self, message: str, people: Sequence[int]) -> None:
        super().__init__(message)
        self.people = tuple(people)


class TwoNamesError(UsageError):
    """People with different names are to be joined, and nobody said which name stays. `people` are their ids."""

    def __init__(self, message: str, people: Sequence[int]) -> None:
        super().__init__(message)
        self.people = tuple(people)


class NotSameError(UsageError):
    """People are to be joined of whom the user said that they are not the same."""


class Acts:
    """Writes through a recorder, inside of the caller's transaction."""

    def __init__(self, db: Database, recorder: Recorder) -> None:
        self._db, self._recorder = db, recorder

    def as_person(self, who: Referent, state: PersonState | None = None) -> int:
        """The person who is meant; a face that is nobody's becomes a person of its own."""
        if who.person is not None:
            return who.person
        if who.face is None:
            raise ValueError("neither a person nor a face is meant")
        person = self._recorder.add_person(state or PersonState())
        self._recorder.faces({who.face: self._state(who.face).fixed(person)})
        return person

    def name(self, person: int, name: str) -> None:
        """Gives a person a name, and fixes their faces. Somebody with a name is asked about, and shown."""
        state = self.state(person)
        self._recorder.person(person, state.decided()._replace(name=name, kind="person", hidden=0))
        self.fix([person])

    def fix(self, people: Iterable[int]) -> None:
        """From now on the faces of these people are theirs because the user said so."""
        faces = self._faces(people)
        self._recorder.faces({face: s.fixed(s.person) for face, s in faces.items() if s.person}, faces)

    def adopt(self, faces: Iterable[int], person: int, anyway: bool = False) -> None:
        """Faces that were nobody's are this person's. Raises NotSameError where the user said that one is not, which
        is taken back with `anyway`."""
        wanted = list(faces)
        for face, other in self._db.decisions.apart_of(wanted):
            if other == person:
                self._take_back_differences({person}, [(face, person)], anyway)
        states = face_states(self._recorder.conn, wanted)
        self._recorder.faces({face: state.fixed(person) for face, state in states.items()})

    def join(self, people: Sequence[int], into: int, anyway: bool = False) -> list[int]:
        """All faces of these people become the one person's, and their ids stand for that one from now on. All that
        was said about them stays, with that person; the faces that were parted from them and that only a
        computation has put among the others stay out, and are returned. Raises NotSameError where the user said
        of two of them that they are not the same, which is taken back with `anyway`."""
        everybody = {*people, into}
        faces = self._faces(everybody)
        apart = [(face, person) for face, person in self._db.decisions.apart_from(everybody) if face in faces]
        parted = [face for face, _ in apart if faces[face].is_computed]
        self._take_back_differences(everybody, [pair for pair in apart if not faces[pair[0]].is_computed], anyway)
        out = set(parted)
        after = {face: FaceState() if face in out else state.fixed(into) for face, state in faces.items()}
        self._recorder.faces(after, faces)
        for person in sorted(everybody - {into}):
            self._carry_over(person, into)
        self._end(sorted(everybody - {into}), into)
        return parted

    def _take_back_differences(self, people: set[int], apart: Sequence[tuple[int, int]], anyway: bool) -> None:
        strangers = [pair for pair in self._db.decisions.strangers_of(people) if people.issuperset(pair)]
        if (strangers or apart) and not anyway:
            (a, b), face = (strangers[0], None) if strangers else ((apart[0][1], 0), apart[0][0])
            what = f"face {face} is not {self.label(a)}'s" if face else f"{self.label(a)} and {self.label(b)} differ"
            raise NotSameError(f"You said that {what}; join them with --anyway if that was wrong.")
        for pair in strangers:
            self._recorder.drop(STRANGERS, pair)
        for pair in apart:
            self._recorder.drop(APART, pair)

    def _carry_over(self, person: int, into: int) -> None:
        """What was said about a person is said about the one into whom they are joined."""
        decisions = self._db.decisions
        for face, _ in decisions.apart_from([person]):
            self._recorder.drop(APART, (face, person))
            self._recorder.put(APART, (face, into))
        for a, b in decisions.strangers_of([person]):
            other = b if a == person else a
            self._recorder.drop(STRANGERS, (a, b))
            self._recorder.put(STRANGERS, (min(other, into), max(other, into)))
        for (mark,) in decisions.marks_of([person]):
            row = MARKS.read(self._recorder.conn, (mark,))
            if row:
                self._recorder.put(MARKS, (*row[:-1], into))

    def _end(self, people: Sequence[int], into: int) -> None:
        """The ids of these people stand for another one. Their names stay with them, so that a folder or a photo
        that still says such a name speaks of that one."""
        states = [self.state(person) for person in people]
        for person, state in zip(people, states, strict=True):
            self._recorder.person(person, state.decided()._replace(joined_into=into))
        kept = self.state(into).decided()
        is_known = kept.kind == "person" or any(state.kind == "person" for state in states)
        self._recorder.person(into, kept._replace(kind="person" if is_known else STRANGER))

    def part(self, person: int, faces: Iterable[int]) -> None:
        """These faces are not this person's, and never will be by a computation."""
        parted = list(faces)
        self.anchor([person], but=parted)
        self._recorder.faces({face: FaceState() for face in parted})
        for face in parted:
            self._recorder.put(APART, (face, person))

    def differ(self, a: Referent, b: Referent) -> None:
        """Two faces, and the people for whom they stand, are not the same."""
        if a.person is None:
            a, b = b, a
        if a.person is None:
            a = Referent(self.as_person(a), a.face)
        if a.person is None:
            raise ValueError("nobody is meant")
        self.anchor([a.person], a.face)
        if b.person is None:
            if b.face is not None:
                self._recorder.put(APART, (b.face, a.person))
            return
        self.anchor([b.person], b.face)
        self._recorder.put(STRANGERS, (min(a.person, b.person), max(a.person, b.person)))

    def ignore(self, people: Iterable[int]) -> int:
        """These people are not to be asked about; how many of them were so far."""
        ignored = 0
        for person in people:
            state = self.state(person)
            if state.kind != STRANGER:
                self._recorder.person(person, state.decided()._replace(kind=STRANGER))
                ignored += 1
        self.anchor(people)
        return ignored

    def not_a_face(self, faces: Iterable[int]) -> int:
        """These are no faces; how many of them were so far."""
        gone = list(faces)
        states = face_states(self._recorder.conn, gone)
        self.keep_anchors({state.person for state in states.values() if state.person}, gone)
        return self._recorder.faces(dict.fromkeys(gone, NOT_A_FACE))

    def collage(self, photos: Iterable[int]) -> int:
        """In these photos one person may be there twice; how many were not known as such."""
        return sum(self._recorder.put(REPEATS, (photo,)) for photo in photos)

    def keep_anchors(self, people: Iterable[int], but: Sequence[int]) -> None:
        """Those of these people about whom something was decided have an anchor other than these faces."""
        wanted = set(people)
        decided = {person for pair in self._db.decisions.strangers_of(wanted) for person in pair}
        decided |= {person for _, person in self._db.decisions.apart_from(wanted)}
        self.anchor(wanted & decided, but=but)

    def anchor(self, people: Iterable[int], face: int | None = None, but: Sequence[int] = ()) -> None:
        """Each of these people has a face that the user said is theirs, other than those of `but`, and is kept by
        every computation: `face` if it is theirs, or else the surest."""
        wanted = list(people)
        faces = self._faces(wanted)
        of_person: dict[int, dict[int, FaceState]] = {person: {} for person in wanted}
        for each, state in faces.items():
            if each not in but and state.person:
                of_person[state.person][each] = state
        fixed = {}
        for person, theirs in of_person.items():
            self._recorder.person(person, self.state(person).decided())
            chosen = face if face in theirs else best_anchor(theirs)
            if chosen is not None:  # one that is fixed already is said again, so that it stays so
                fixed[chosen] = theirs[chosen].fixed(person)
        self._recorder.faces(fixed, faces)

    def label(self, person: int) -> str:
        """A name with its id, as `Ann (@17)`, or the id alone."""
        name = self.state(person).name
        return f"{name} (@{person})" if name else f"@{person}"

    def state(self, person: int) -> PersonState:
        """A person's row."""
        return self._db.people.state(person) or PersonState()

    def _faces(self, people: Iterable[int]) -> dict[int, FaceState]:
        return faces_of_people(self._recorder.conn, people)

    def _state(self, face: int) -> FaceState:
        return face_states(self._recorder.conn, [face]).get(face, FaceState())
