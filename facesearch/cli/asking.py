"""`facesearch people ask`: the most telling questions, answered by a key each, or by numbers on a sheet."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli import delivery, keys, show
from facesearch.cli.options import GalleryName, Json
from facesearch.cli.people import words_of
from facesearch.cli.people_sheet import label, picture_of_questions, place, prepared, sides, write
from facesearch.cli.terminal_faces import FaceStrip, TerminalFaces, can_show
from facesearch.errors import ExitCode, FaceSearchError, UsageError
from facesearch.files import printable
from facesearch.forms import people_forms
from facesearch.home import gallery_words

if TYPE_CHECKING:
    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.records.people import Question, Reply

_MOST = 500  # questions on a sheet; the comment of a JPEG holds the ids of more than twice as many
_STILL_OPEN = 1_000  # questions that are looked through for one that was asked before
_REPLIES: dict[str, "Reply"] = {"y": "yes", "n": "no", "f": "not_a_face", "i": "stranger"}
_ANSWER = re.compile(r"(\d{1,6})\s*[:=]?\s*([ynsfi])", re.IGNORECASE)


def ask(
    most: Annotated[int, typer.Option("--n", "-n", help="How many questions.", min=1, max=_MOST)] = 20,
    sheet: Annotated[
        Path | None, typer.Option(help="Draw the questions, numbered, as a picture.", metavar="FILE.jpg")
    ] = None,
    open_sheet: Annotated[bool, typer.Option("--open", help="Draw the questions as a picture and show it.")] = False,
    answers: Annotated[
        str | None,
        typer.Option(help="Answers to the questions of the last sheet, or of --sheet: '1y 2n'.", metavar="ANSWERS"),
    ] = None,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Ask the most telling questions: are these the same person? Each answer is a key, stored at once; u takes it
    back. Without a terminal the questions are drawn and printed, and --answers answers them."""
    from facesearch.gallery.gallery import Gallery

    opened = Gallery.open(gallery, "cpu", show.note)
    if answers is not None:
        return _take(opened, answers, sheet, json)
    with opened.reading():
        target = prepared(sheet, opened, "--sheet")
    questions = opened.questions(most)
    if json:
        show.as_json([people_forms.question(number, each) for number, each in enumerate(questions, 1)])
    elif not questions:
        show.note("Nothing is to be asked.")
    asks = keys.is_terminal() and not json
    draws = sheet is not None or open_sheet or not (asks and can_show())
    if questions and (draws or json):
        picture = picture_of_questions(opened, questions)
        write(picture, target, sheet is None, _comment(gallery, questions))
        if open_sheet or (asks and sheet is None):
            delivery.open_picture(target)
    if json or not questions:
        return ExitCode.DONE
    if asks:
        return _Session(opened, questions, draws).run()
    _show_list(questions, sheet, gallery)
    return ExitCode.DONE


def _show_list(questions: "Sequence[Question]", sheet: Path | None, gallery: str) -> None:
    for number, question in enumerate(questions, 1):
        show.say(f"{number:>3}  {words(question)}")
    where = f" --sheet {printable(str(sheet))}" if sheet else ""
    show.note(f'Answer them with: facesearch people ask{where} --answers "1y 2n"{gallery_words(gallery)}')


def words(question: "Question") -> str:
    """The question as a sentence."""
    if question.kind == "stray":
        return f"Is the face on the left {label(question.person_b)}?"
    if not question.person_a and not question.person_b:
        return "Are these two faces of the same person?"
    if question.person_a and question.person_b:
        return f"Are {label(question.person_a)} and {label(question.person_b)} the same person?"
    side = "left" if question.person_b else "right"
    return f"Is the face on the {side} {label(question.person_a or question.person_b)}?"


class _Session:
    """Questions that are asked one after the other."""

    def __init__(self, opened: "Gallery", questions: "Sequence[Question]", are_drawn: bool) -> None:
        self._opened, self._questions, self._are_drawn = opened, questions, are_drawn
        self._answered: list[tuple[int, int]] = []  # the number of a question, and the change that its answer was
        self._faces: TerminalFaces | None = None

    def run(self) -> ExitCode:
        """Asks them all, or until the user has enough."""
        if self._are_drawn:
            self._ask_all()
        else:
            with TerminalFaces(len(self._questions), self._strip, sides=2) as self._faces:
                self._ask_all()
        show.say(f"{show.count(len(self._answered), 'question')} answered.")
        return ExitCode.DONE

    def _strip(self, number: int) -> FaceStrip:
        first, second = sides(self._opened, self._questions[number], 2)
        return FaceStrip(tuple(map(place, first)), tuple(map(place, second)))

    def _ask_all(self) -> None:
        number = 0
        while number < len(self._questions):
            question = self._questions[number]
            if not is_open(self._opened, question):  # an answer before has answered it, too
                number += 1
                continue
            if self._faces:
                self._faces.show(number)
            pressed = self._pressed(number, question)
            if pressed == "q":
                return
            if pressed == "u":
                number = self._undone(number)
                continue
            if pressed == "s" or self._is_answered(number, question, _REPLIES[pressed]):
                number += 1

    def _pressed(self, number: int, question: "Question") -> str:
        undo = " [u]ndo" if self._answered else ""
        more = "[f] left is no face, [i]gnore"
        prompt = f"{number + 1} of {len(self._questions)}  {words(question)}"
        show.warn(f"{prompt}\n  [y]es [n]o [s]kip{undo} [q]uit; {more}")
        return keys.key("  >", "ynsfiu" if self._answered else "ynsfi", default="s")

    def _is_answered(self, number: int, question: "Question", reply: "Reply") -> bool:
        """Stores an answer; where that cannot be, says why, and the question is asked again."""
        try:
            done = self._opened.answer(question, reply, into=self._which_name(question) if reply == "yes" else None)
        except FaceSearchError as error:  # such as a join that another decision forbids, or a gallery being written
            show.warn(f"  {error}")
            return False
        if done.change:
            self._answered.append((number, done.change.id))
            show.warn(f"  {words_of(done)}")
        for text in done.notes:
            show.note(f"  {text}")
        return True

    def _which_name(self, question: "Question") -> int | None:
        """Whose name stays where both have one: the one that the user chooses."""
        a, b = question.person_a, question.person_b
        if not (a and b and a.name and b.name and a.name != b.name and question.kind == "same"):
            return None
        pressed = keys.key(f"  Who is it: [1] {a.name} or [2] {b.name}?", "12", default="1")
        if pressed == "q":
            raise UsageError("Nothing was joined.")
        return b.id if pressed == "2" else a.id

    def _undone(self, number: int) -> int:
        """Takes the last answer back; the number of its question, which is asked again."""
        if not self._answered:
            return number
        before, change = self._answered[-1]
        try:
            self._opened.undo(change)
        except FaceSearchError as error:
            show.warn(f"  {error}")
            return number
        self._answered.pop()
        show.warn("  Taken back.")
        return before


def is_open(opened: "Gallery", question: "Question") -> bool:
    """Whether a question still waits."""
    return any(_key(each) == _key(question) for each in opened.questions(_STILL_OPEN))


def _key(question: "Question") -> tuple[str, int, int]:
    return question.kind, question.a.face_id, question.b.face_id


# A sheet says in a comment which questions it shows, so that numbers mean those of that very picture, however much
# was answered meanwhile.


def _comment(gallery: str, questions: "Sequence[Question]") -> str:
    asked = ";".join(f"{each.kind} {each.a.face_id} {each.b.face_id}" for each in questions)
    return f"facesearch asks in {gallery}: {asked}."


@dataclass(frozen=True, slots=True)
class _OnSheet:
    """What a sheet asks: of which gallery, and the key of each question."""

    gallery: str
    keys: tuple[tuple[str, int, int], ...]


def _read_sheet(path: Path, gallery: str) -> _OnSheet:
    """Raises UsageError for a picture that asks nothing."""
    from facesearch.pictures.output import comment_of

    comment = comment_of(path) if path.exists() else ""
    found = re.search(r"facesearch asks in ([\w.-]+): ([a-z0-9 ;]*)\.", comment)
    asked = re.findall(r"(same|stray) (\d{1,18}) (\d{1,18})(?:;|$)", found[2]) if found else []
    if not found or not asked:
        raise UsageError(
            f"{printable(str(path))} is no sheet of questions; draw one with: facesearch people ask --sheet "
            f"q.jpg{gallery_words(gallery)}"
        )
    return _OnSheet(found[1], tuple((kind, int(a), int(b)) for kind, a, b in asked))


def _take(opened: "Gallery", text: str, sheet: Path | None, json: bool) -> ExitCode:
    """Answers questions of a sheet. All answers are looked at before the first is stored."""
    with opened.reading():
        on_sheet = _read_sheet(sheet or opened.sheet, opened.name)
    if on_sheet.gallery != opened.name:
        raise UsageError(f"That sheet is of the gallery '{on_sheet.gallery}'; add --gallery {on_sheet.gallery}.")
    wanted = _parsed(text, len(on_sheet.keys))
    taken = []
    for number, pressed in wanted.items():
        waiting = {_key(each): each for each in opened.questions(_STILL_OPEN)}
        question = waiting.get(on_sheet.keys[number - 1])
        if question is None:
            show.note(f"{number}: this is no longer asked, and was left as it is.")
            continue
        done = opened.answer(question, _REPLIES[pressed])
        taken.append({"number": number} | people_forms.done(done))
        if not json:
            show.say(f"{number}: {words_of(done)}")
        for each in done.notes:
            show.note(f"{number}: {each}")
    if json:
        show.as_json(taken)
    return ExitCode.DONE if taken or not wanted else ExitCode.NO


def _parsed(text: str, most: int) -> dict[int, str]:
    """The letter of each number; skipped ones are left out. Raises UsageError for what is no answer."""
    wanted: dict[int, str] = {}
    rest = _ANSWER.sub("", text).strip(" ,;\t\n")
    if rest or not text.strip():
        raise UsageError(
            f"'{printable(rest[:30])}' is no answer; write them as '1y 2n 3s': yes, no, skip, f for no face, i for "
            "somebody to be ignored."
        )
    for number, letter in _ANSWER.findall(text):
        if not 1 <= int(number) <= most:
            raise UsageError(f"There is no question {number} on the sheet; its questions are 1 to {most}.")
        if wanted.get(int(number), letter.lower()) != letter.lower():
            raise UsageError(f"Question {number} has two answers; leave one out.")
        wanted[int(number)] = letter.lower()
    return {number: letter for number, letter in wanted.items() if letter in _REPLIES}
