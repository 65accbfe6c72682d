"""The lists of people that the page shows, in order, and brought up to date a person at a time."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias, get_args

from facesearch.gallery.records.people import PersonFacts
from facesearch.gallery.tables.people_list import place

WhichPeople: TypeAlias = Literal["named", "groups", "strangers", "hidden"]


class PeopleLists:
    """Of all people of a gallery."""

    def __init__(self, people: Iterable[PersonFacts]) -> None:
        """`people` are in order, as the gallery lists them."""
        self._people = {each.id: each for each in people}
        self._lists: dict[WhichPeople, list[PersonFacts]] = {which: [] for which in get_args(WhichPeople)}
        for each in self._people.values():
            self._lists[which_list(each)].append(each)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PeopleLists) and self._people == other._people

    __hash__ = None  # type: ignore[assignment]  # they change

    def part(self, which: WhichPeople, first: int, n: int) -> tuple[int, Sequence[PersonFacts]]:
        """How many people a list has, and n of them from the one with this number, counted from 0."""
        found = self._lists[which]
        return len(found), found[first : first + n]

    def update(self, people: Mapping[int, PersonFacts | None]) -> None:
        """These people, by id, are so now; None for who is listed no longer."""
        for person, facts in people.items():
            before = self._people.pop(person, None)
            if before is not None:
                rows = self._lists[which_list(before)]
                del rows[bisect_left(rows, place(before), key=place)]
            if facts is not None:
                self._people[person] = facts
                insort(self._lists[which_list(facts)], facts, key=place)


def which_list(person: PersonFacts) -> WhichPeople:
    """Where somebody is listed."""
    if person.hidden:
        return "hidden"
    if person.kind == "stranger":
        return "strangers"
    return "named" if person.name else "groups"
