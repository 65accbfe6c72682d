"""`facesearch people name`: one person by a name, or the largest groups one after the other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch import limits
from facesearch.cli import completion, delivery, keys, show
from facesearch.cli.options import GalleryName, Json
from facesearch.cli.people import opened_gallery, show_done, words_of
from facesearch.cli.people_list import unnamed_groups
from facesearch.cli.people_sheet import picture_of_groups, place, spread, write
from facesearch.cli.terminal_faces import FaceStrip, TerminalFaces, can_show
from facesearch.errors import ExitCode, FaceSearchError, UsageError
from facesearch.files import printable
from facesearch.home import gallery_words

if TYPE_CHECKING:
    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.records.people import Done, PersonFacts

_AT_ONCE = 20  # groups on a sheet: what fits on a screen
_FACES = 6  # of a group that are shown in the terminal, at most
_LOOKED_THROUGH = 1_000  # questions, for whom a group may be
_HELP = """\
  a name         names the group; Tab completes the names that are known
  @12            the group is one person with @12
  Enter          goes to the next group
  =              takes the name that is proposed
  -              a stranger, who is not asked about any more
  <              takes the last answer back
  Ctrl-D or .    ends"""


def name(
    who: Annotated[
        str | None,
        typer.Argument(
            help="A name, an id such as @17, or a photo; without it you are asked about the largest groups.",
            metavar="WHO",
            show_default=False,
            autocompletion=completion.who,
        ),
    ] = None,
    new: Annotated[
        str | None,
        typer.Argument(help="The name.", metavar="NAME", show_default=False, autocompletion=completion.people),
    ] = None,
    same: Annotated[bool, typer.Option("--same", help="It is the person who has that name already.")] = False,
    other: Annotated[bool, typer.Option("--other", help="It is another person of the same name.")] = False,
    most: Annotated[
        int,
        typer.Option(
            "--n", "-n", help="How many groups are asked about.", min=limits.ROWS.least, max=limits.ROWS.most
        ),
    ] = _AT_ONCE,
    open_sheet: Annotated[bool, typer.Option("--open", help="Show the groups as a picture.")] = False,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Give a person a name. Without arguments the largest groups without a name are shown, one after the other, and
    you type who each is.

    Exit code 2: somebody has that name already, and neither --same nor --other says whether it is the same person."""
    if same and other:
        raise UsageError("--same and --other exclude each other; leave one out.")
    opened = opened_gallery(gallery)
    if who is None:
        keys.must_be_terminal(f"say who it is: facesearch people name @17 Ann{gallery_words(gallery)}")
        return _name_largest(opened, most, open_sheet)
    if new is None:
        command = f"facesearch people name {printable(who)} Ann{gallery_words(gallery)}"
        keys.must_be_terminal(f"say the name, too: {command}")
        return _name_one(opened, who, open_sheet)
    done = _named(opened, who, new, same, other)
    if done is None:
        show.note("Nothing was named.")
        return ExitCode.NO
    return show_done(done, gallery, json)


def _named(opened: "Gallery", who: str | int, new: str, same: bool = False, other: bool = False) -> "Done | None":
    """Gives the name. Where somebody has it already, the user is asked in a terminal whether it is the same person;
    None where there is no answer."""
    from facesearch.gallery.decisions.acts import NameTakenError

    try:
        return opened.name_person(who, new, same=same, other=other)
    except NameTakenError as error:
        if not keys.is_terminal():
            raise
        show.warn(str(error))
        pressed = keys.key("Is it the same person? [y]es [n]o [q]uit", "yn", default="y")
    return None if pressed == "q" else opened.name_person(who, new, same=pressed == "y", other=pressed == "n")


def _name_one(opened: "Gallery", who: str, open_sheet: bool) -> ExitCode:
    return _Session(opened, [opened.person(who)], open_sheet).run()


def _name_largest(opened: "Gallery", most: int, open_sheet: bool) -> ExitCode:
    groups = unnamed_groups(opened)
    if not groups:
        show.note("No group is without a name.")
        return ExitCode.DONE
    code = _Session(opened, groups[:most], open_sheet).run()
    if len(groups) > most:
        more = len(unnamed_groups(opened))
        show.note(f"{show.count(more, 'group has', 'groups have')} no name yet; run it again to go on.")
    return code


class _Session:
    """Groups that are shown, and named, one after the other."""

    def __init__(self, opened: "Gallery", groups: "Sequence[PersonFacts]", open_sheet: bool) -> None:
        self._opened, self._groups, self._open_sheet = opened, groups, open_sheet
        self._names = sorted({each.name for each in opened.people() if each.name})
        self._proposed = _proposed(opened)
        self._done: list[tuple[int, int]] = []  # the number of a group, and the change that it was named by
        self._gone: dict[int, int] = {}  # groups that another one was joined with, and by which change
        self._faces: TerminalFaces | None = None

    def run(self) -> ExitCode:
        """Asks about all of them, or until the user has enough."""
        if self._open_sheet or not can_show():
            self._draw()
            self._ask_all()
        else:
            with TerminalFaces(len(self._groups), self._strip) as self._faces:
                self._ask_all()
        show.say(f"{show.count(len(self._done), 'group')} named.")
        return ExitCode.DONE

    def _draw(self) -> None:
        picture = picture_of_groups(self._opened, self._groups, "Who is it?")
        write(picture, self._opened.sheet, is_own=True)
        delivery.open_picture(self._opened.sheet)

    def _strip(self, number: int) -> FaceStrip:
        return FaceStrip(tuple(map(place, spread(self._opened.faces_of(self._groups[number].id), _FACES))))

    def _ask_all(self) -> None:
        number, is_new = 0, True
        show.note("Type who it is; Enter goes on, ? explains more.")
        while number < len(self._groups):
            group = self._groups[number]
            if group.id in self._gone:
                number += 1
                continue
            if self._faces and is_new:
                self._faces.show(number)
            typed = keys.line(self._prompt(number), self._names)
            if typed is None or typed == ".":
                return
            before = number
            number = self._after(number, typed)
            is_new = number != before

    def _prompt(self, number: int) -> str:
        group = self._groups[number]
        perhaps = f" {self._proposed[group.id]}? (=)" if group.id in self._proposed else ""
        return f"{number + 1} of {len(self._groups)}  {group.label}, {show.count(group.photos, 'photo')}:{perhaps}"

    def _after(self, number: int, typed: str) -> int:
        """Does what was typed; the number of the group that comes next."""
        if typed == "?":
            show.warn(_HELP)
            return number
        if typed == "<":
            return self._undone(number)
        if not typed:
            return number + 1
        try:
            done = self._decided(self._groups[number], typed)
        except FaceSearchError as error:  # such as a name that is none: the user can type another one
            show.warn(f"  {error}")
            return number
        if done is None:
            return number
        if done.change:
            self._done.append((number, done.change.id))
            show.warn(f"  {words_of(done)}")
        for text in done.notes:
            show.note(f"  {text}")
        return number + 1

    def _decided(self, group: "PersonFacts", typed: str) -> "Done | None":
        who = group.id
        if typed == "-":
            return self._opened.ignore([who])
        if typed == "=":
            if group.id not in self._proposed:
                raise UsageError("Nobody is proposed for this group; type a name.")
            return self._opened.name_person(who, self._proposed[group.id], same=True)
        if typed.startswith("@"):
            done = self._opened.join([typed, who])
            if done.change:
                self._gone |= dict.fromkeys(self._ids(typed), done.change.id)
            return done
        named = _named(self._opened, who, typed)
        if named is not None and typed not in self._names:
            self._names = sorted([*self._names, typed])
        return named

    def _ids(self, typed: str) -> list[int]:
        return [each.id for each in self._groups if each.label == typed]

    def _undone(self, number: int) -> int:
        """Takes the last answer back; the number of its group, which is asked about again."""
        if not self._done:
            show.warn("  There is nothing to take back.")
            return number
        before, change = self._done[-1]
        try:
            self._opened.undo(change)
        except FaceSearchError as error:
            show.warn(f"  {error}")
            return number
        self._done.pop()
        self._gone = {group: by for group, by in self._gone.items() if by != change}
        show.warn("  Taken back.")
        return before


def _proposed(opened: "Gallery") -> dict[int, str]:
    """Who a group may be, by its id: the nearest person with a name of whom it is to be asked."""
    found: dict[int, str] = {}
    for question in opened.questions(_LOOKED_THROUGH):
        pair = question.person_a, question.person_b
        for group, person in (pair, pair[::-1]):
            if group and person and group.name is None and person.name is not None and question.kind == "same":
                found.setdefault(group.id, person.name)
    return found
