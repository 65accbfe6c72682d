"""What a user says about people: names, who is the same and who is not, what is no face; questions, and undo."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from facesearch.errors import UsageError
from facesearch.gallery.decisions import verbs
from facesearch.gallery.decisions.acts import STRANGER, Acts
from facesearch.gallery.decisions.asking import questions
from facesearch.gallery.decisions.undoing import UNDO, Undoing
from facesearch.gallery.decisions.verbs import Decision
from facesearch.gallery.records.people import Change, Done, FaceOf, PersonFacts, Question, Reply
from facesearch.gallery.references import References, WhichFace, WhichPhoto, Who
from facesearch.gallery.storage import Storage
from facesearch.home import gallery_words
from facesearch.people import names
from facesearch.people.decisions import PersonState

_SHOWN = 20  # changes of a log, and questions: a screen


class Deciding(Storage):
    """A gallery whose people are listed, named and corrected. Each verb is one change, stored whole or not at all,
    that `undo` takes back. Who is meant is typed as `@17`, a name, `photo.jpg` or `photo.jpg#2`, or is a person's id.
    All verbs raise GalleryError where there is no gallery, GalleryLockedError while another process writes it, and
    the errors of `references` where it is not clear who is meant."""

    # What is known

    def people(self) -> list[PersonFacts]:
        """Everybody who has a name or a face, hidden people and strangers too; those with a name first, then who has
        most faces."""
        with self.reading() as (db, _), db.snapshot():
            return db.people_list.all()

    def person(self, who: Who) -> PersonFacts:
        """One of them."""
        with self.reading() as (db, _), db.snapshot():
            person = References(db, self.name).person(who)
            return db.people_list.some([person])[person]

    def faces_of(self, who: Who) -> list[FaceOf]:
        """The faces of a person, the least sure last; a face that is nobody's alone."""
        with self.reading() as (db, _), db.snapshot():
            found = References(db, self.name).who(who)
            if found.person is None:
                return list(db.people_list.faces([found.face or 0]).values())
            return db.people_list.faces_of(found.person)

    def questions(self, n: int = _SHOWN) -> list[Question]:
        """The n questions whose answers tell most, the most likely first."""
        with self.reading() as (db, _), db.snapshot():
            return questions(db, n)

    def log(self, n: int = _SHOWN, before: int | None = None) -> list[Change]:
        """The n newest changes, the newest first; with `before` those with lower ids."""
        with self.reading() as (db, _), db.snapshot():
            return verbs.readable(db, db.changes.newest(n, before))

    # What is said

    def name_person(self, who: Who, name: str, *, same: bool = False, other: bool = False) -> Done:
        """Names a person, or a face that is nobody's. Where somebody else has that name, `same` joins the two, and
        `other` makes them two people who share it. Raises NameTakenError without either, AmbiguousNameError where
        several have it and `same` is asked for, UsageError for a name that is none."""
        name = names.checked(name)
        with self._deciding("name") as decision:
            return verbs.name(decision, decision.references.who(who), name, same, other)

    def name_face(self, face: int, name: str, *, same: bool = False, other: bool = False) -> Done:
        """As `name_person`, for whom the face with this id stands: its person, or itself where it is nobody's."""
        name = names.checked(name)
        with self._deciding("name") as decision:
            return verbs.name(decision, decision.references.of_face(face), name, same, other)

    def join(self, whos: Sequence[Who], into: Who | None = None, *, anyway: bool = False) -> Done:
        """Makes several people one: the one of `into`, or else the one who has a name, or most faces. What was said
        about each is said about that one, and the ids of the others stand for them from now on. Raises TwoNamesError
        where their names differ and `into` is not given; NotSameError where the user said that two of them are not
        the same, which `anyway` takes back."""
        with self._deciding("join") as decision:
            meant = [decision.references.who(who) for who in whos]
            return verbs.join(decision, meant, None if into is None else decision.references.who(into), anyway)

    def part(self, who: Who, faces: Sequence[WhichFace] = (), photos: Sequence[str] = ()) -> Done:
        """Takes faces, or all that are in some photos, from a person; no computation will give them back. Raises
        UsageError for a face that is not theirs."""
        with self._deciding("part") as decision:
            person = decision.references.person(who)
            wanted = verbs.of_person(decision, person, faces, photos)
            decision.acts.part(person, wanted)
            decision.recorder.say(f"{verbs.count(len(wanted), 'face')} out of @{person}")
            return decision.done(person, 1)

    def ignore(
        self, whos: Sequence[Who] = (), *, faces: Sequence[int] = (), unnamed_below: int | None = None
    ) -> Done:
        """Makes strangers of people, and of those for whom faces stand, by the ids of these: they are found as before
        and never asked about; with `unnamed_below`, of all without a name who have fewer faces. To name one of them
        takes that back."""
        if not whos and not faces and unnamed_below is None:
            raise UsageError("Nobody is named; say who is to be ignored, or below how many faces all without a name.")
        with self._deciding("ignore") as decision:
            meant = [decision.references.who(who) for who in whos]
            meant += [decision.references.of_face(face) for face in faces]
            people = {decision.acts.as_person(who, PersonState(kind=STRANGER)) for who in dict.fromkeys(meant)}
            if unnamed_below is not None:
                people.update(decision.db.people_list.unnamed_below(unnamed_below))
            ignored = decision.acts.ignore(sorted(people))
            decision.recorder.say(verbs.named_or_counted(people))
            return decision.done(min(people) if len(people) == 1 else None, ignored)

    def hide(self, whos: Sequence[Who], hidden: bool = True) -> Done:
        """Leaves people out of lists that do not ask for them, or shows them again."""
        with self._deciding("hide" if hidden else "show") as decision:
            people = {decision.references.person(who) for who in whos}
            changed = 0
            for person in sorted(people):
                state = decision.acts.state(person)
                changed += decision.recorder.person(person, state.decided()._replace(hidden=int(hidden)))
            decision.recorder.say(verbs.named_or_counted(people))
            return decision.done(None, changed)

    def not_a_face(self, faces: Sequence[WhichFace]) -> Done:
        """Says that these are no faces: they take part in nothing any more."""
        with self._deciding("not-a-face") as decision:
            wanted = {decision.references.face(face) for face in faces}
            decision.acts.not_a_face(wanted)
            decision.recorder.say(verbs.count(len(wanted), "face"))
            return decision.done()

    def collage(self, photos: Sequence[WhichPhoto]) -> Done:
        """Says that one person may be in each of these photos more than once, as in a collage or a mirror."""
        with self._deciding("collage") as decision:
            decision.acts.collage(decision.references.photo(photo) for photo in photos)
            decision.recorder.say(verbs.count(len(photos), "photo"))
            return decision.done()

    def cover(self, who: Who, face: WhichFace) -> Done:
        """Chooses the face that stands for a person. Raises UsageError for one that is not theirs."""
        with self._deciding("cover") as decision:
            person = decision.references.person(who)
            (wanted,) = verbs.of_person(decision, person, [face], [])
            state = decision.acts.state(person)
            decision.recorder.person(person, state.decided()._replace(cover_face=wanted))
            decision.acts.anchor([person], wanted)
            decision.recorder.say(f"of @{person}")
            return decision.done(person, 1)

    def answer(self, question: Question, reply: Reply, *, into: Who | None = None) -> Done:
        """Does what the answer to a question says: `yes`, `no`, `not_a_face` (of the question's first face), or
        `stranger` (of the one who has no name: never ask about them). It is about the people whose faces these are
        now. Raises as `join`, and UnknownFaceError where a face is gone."""
        with self._deciding("answer") as decision:
            target = None if into is None else decision.references.who(into)
            return verbs.answer(decision, question, reply, target)

    def undo(self, change: int | None = None) -> Done:
        """Takes back the newest change that holds, or the one with this id; to undo an undo makes its change hold
        again. Raises NothingToUndoError, and InTheWayError where another change has to be undone first."""
        with self._deciding(UNDO) as decision:
            undone = Undoing(decision.db, self._option).undo(change)
            notes = [f"{verbs.count(undone.lost, 'row')} of it are gone from the gallery and stay so."] * bool(
                undone.lost
            )
            (readable,) = verbs.readable(decision.db, [undone.added])
            return Done(readable, None, undone.faces, 0, tuple(notes))

    @contextmanager
    def _deciding(self, verb: str) -> Iterator[Decision]:
        """The database for writing, in one transaction, and what writes the change."""
        with self.reading():
            pass
        with self.writing() as db, db.transaction():
            recorder = db.changes.recorder(verb)
            yield Decision(db, recorder, Acts(db, recorder), References(db, self.name))

    @property
    def _option(self) -> str:
        return gallery_words(self.name)
