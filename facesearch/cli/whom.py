"""Who is meant by what was typed, where several people have one name: asked in a terminal, and refused elsewhere."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from facesearch.cli import show

if TYPE_CHECKING:
    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.references import AmbiguousNameError


def settled(opened: "Gallery", typed: Sequence[str]) -> list[str | int]:
    """What was typed, with ids in place of names that several have, of whom the user has chosen one. Raises
    AmbiguousNameError where there is nobody to ask, and as `Gallery.person` for who is not known."""
    return [_one(opened, each) for each in typed]


def _one(opened: "Gallery", typed: str) -> str | int:
    from facesearch.gallery.references import AmbiguousNameError

    try:
        opened.person(typed)
    except AmbiguousNameError as error:
        return chosen_of(opened, error)
    return typed


def chosen_of(opened: "Gallery", error: "AmbiguousNameError") -> int:
    """Whom the user chooses of people who share a name, by id. Raises the error where there is nobody to ask, and for
    an answer that is none of them."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise error
    people = [opened.person(person) for person in error.people]
    show.warn(str(error))
    for each in people:
        when = f", {each.first[:10]} to {each.last[:10]}" if each.first and each.last else ""
        show.warn(f"  @{each.id}: {show.count(each.photos, 'photo')}{when}")
    answer = typer.prompt("Who", err=True).strip().lstrip("@")
    if not answer.isdecimal() or int(answer) not in error.people:
        raise error
    return int(answer)
