"""An answer of `facesearch query` as a table and as CSV."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from facesearch.cli import delivery, show
from facesearch.home import gallery_words

if TYPE_CHECKING:
    from facesearch.gallery.records.answers import Answer, Match

COLUMNS = (
    *("asked", "face", "person", "judged", "similarity", "same", "quality", "photo", "taken"),
    *("left", "top", "right", "bottom", "face_id", "alike", "person_id", "stranger", "faces"),
)
_UNBROKEN = 4096  # characters of a line, where no terminal sets them


def csv_rows(answer: "Answer") -> Iterator[Sequence[object]]:
    """A row of CSV for each match."""
    asked = answer.person or answer.query.photo
    for match in answer.matches:
        values = f"{match.judged:.4f}", f"{match.similarity:.4f}", _yes_or_no(match, "")
        quality = "" if match.quality is None else f"{match.quality:.2f}"
        box = (f"{edge:.1f}" for edge in match.box)
        where = match.photo, match.taken, *box
        whose = match.person_id, "yes" if match.is_stranger else "", match.faces
        row = asked, answer.query.number, match.person, *values, quality, *where, match.face_id, len(match.alike)
        yield *row, *whose


def show_table(answer: "Answer", gallery: str, is_chosen: bool, every: bool) -> None:
    """Shows an answer as a table. `is_chosen` says that the user has said which face is meant, `every` that all
    photos are wanted."""
    from facesearch.files import printable

    if answer.query.faces > 1 and not is_chosen and answer.person is None:
        show.note(
            f"{answer.query.photo} shows {answer.query.faces} faces; the largest was taken (--face 2 takes the next, "
            "--face all every one)."
        )
    out = show.console(_UNBROKEN)
    out.print(printable(_title(answer, is_chosen)))
    if not answer.matches:  # a note says why
        return
    is_judged = bool(answer.cohort) or any(match.faces > 1 for match in answer.matches)
    names = ["judged", "similarity"] if is_judged else ["similarity"]
    labels = _labels(answer)
    made = show.table(*names, "same", "person", "photo", right=names)
    rows, ends = [], []
    for match, label in zip(answer.matches, labels, strict=True):
        values = [f"{match.judged:.3f}"] * is_judged + [f"{match.similarity:.3f}"]
        photo = delivery.in_its_folder(match.photo, answer.roots)
        rows.append([*values, _yes_or_no(match, "-"), label, photo])
        ends.append(delivery.and_alike(match.alike))
    show.add_rows(made, out, rows, ends)
    out.print(made)
    if every:
        out.print(f"{show.count(sum(len(match.photos) for match in answer.matches), 'photo')}.")
    out.print(_meaning(answer, gallery))
    if answer.threshold is not None and any(match.same is None for match in answer.matches):
        show.note("same: - where both faces are too small to tell.")


def _title(answer: "Answer", is_chosen: bool) -> str:
    """Who was asked about."""
    if answer.person is not None:
        return f"{answer.person}, by {show.count(1 + len(answer.also), 'face')} of the gallery"
    if answer.also:
        return f"{answer.query.photo} and {len(answer.also):,} more, as one person"
    if is_chosen and answer.query.faces > 1:
        return f"{answer.query.photo}, face {answer.query.number} of {answer.query.faces}"
    return answer.query.photo


def _labels(answer: "Answer") -> list[str]:
    """How whoever is in each row is called; of people who share a name with their ids."""
    people = {(match.person, match.person_id) for match in answer.matches if match.person}
    names = [name for name, _ in people]
    shared = {name for name in names if names.count(name) > 1}
    return [
        ("stranger " if match.is_stranger else "")
        + (f"{match.person} @{match.person_id}" if match.person in shared else match.label or "-")
        for match in answer.matches
    ]


def _yes_or_no(match: "Match", unknown: str) -> str:
    return unknown if match.same is None else "yes" if match.same else "no"


def _meaning(answer: "Answer", gallery: str) -> str:
    """What the column `same` says."""
    if answer.threshold is None or answer.far is None:
        command = f"facesearch calibrate{gallery_words(gallery)}"
        return f"same: not known of {answer.model}; {command} may learn it from the gallery"
    by_chance = f"expect {answer.far * answer.compared:,.1f} among {show.count(answer.compared, 'face')}"
    by = f"; own thresholds by {show.count(answer.cohort, 'person', 'people')}" if answer.cohort else ""
    return f"same: judged from {answer.threshold:.3f} on ({show.odds(answer.far, answer.learned)}: {by_chance}){by}"
