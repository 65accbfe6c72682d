"""Whether a model has seen in its training the people that it is measured on: such figures say nothing of others."""

import json
from collections.abc import Iterable

from facesearch.files import write_whole
from facesearch.home import model_dir
from facesearch.models.card import PEOPLE
from facesearch.people import names


def plain_name(name: str) -> str:
    """A person's name without what differs between data sets: case, underscores, spaces."""
    return " ".join(name.replace("_", " ").split()).casefold()


def person_of(photo: str) -> str:
    """Who is in a photo of a folder for each person, by plain name."""
    return plain_name(names.of_folder(photo))


def keep_people(model: str, names: Iterable[str]) -> None:
    """Writes down whom a model was trained on, beside its weights. Raises OSError."""
    write_whole(model_dir(model) / PEOPLE, json.dumps(sorted({plain_name(name) for name in names})).encode())


def trained_on(model: str) -> frozenset[str]:
    """The plain names of those whom a model was trained on here; none of a model that came from elsewhere."""
    path = model_dir(model) / PEOPLE
    return frozenset(json.loads(path.read_text())) if path.is_file() else frozenset()


def warning(seen: int, people: int, name: str) -> str:
    """The first line of a report on people of whom some were trained on."""
    return (
        f"train = test: {seen:,} of the {people:,} people of {name} were trained on; the figures do not tell how "
        "strangers are recognised."
    )
