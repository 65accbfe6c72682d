"""Names that are proposed to whoever types one: those of whom somebody resembles most, then all others."""

import unicodedata
from dataclasses import dataclass

from facesearch.gallery.database import Database
from facesearch.gallery.people_records import PersonFacts


@dataclass(frozen=True, slots=True)
class LikelyName:
    """Somebody with a name, and how alike they are to who is asked about: their judged value, and whether that
    reaches the threshold; both None where that was not computed."""

    person: PersonFacts
    judged: float | None = None
    same: bool | None = None


def folded(name: str) -> str:
    """A name without case, accents and signs that join, so that `emile` finds Émile, and `strasse` finds Straße."""
    parts = unicodedata.normalize("NFKD", name.casefold())
    return "".join(sign for sign in parts if not unicodedata.combining(sign) and unicodedata.category(sign) != "Cf")


def names(db: Database, typed: str, most: int) -> list[LikelyName]:
    """At most so many people who are called so, in the order of the alphabet."""
    wanted = folded(typed)
    called = {person: folded(name) for person, name in db.people.named()}
    found = [person for person, name in called.items() if wanted in name]
    found.sort(key=lambda person: (not called[person].startswith(wanted), called[person], person))
    facts = db.people_list.some(found[:most])
    return [LikelyName(facts[person]) for person in found[:most]]
