"""What the commands of `people` print with `--json`. The keys are promises; programs read them."""

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from facesearch.gallery.records.people import Change, Done, FaceOf, Grouped, PersonFacts, Question

Json: TypeAlias = dict[str, Any]


def person(record: "PersonFacts") -> Json:
    """Somebody in a gallery, or a group without a name."""
    return {
        "id": record.id,
        "name": record.name,
        "label": record.label,
        "kind": record.kind,
        "hidden": record.hidden,
        "made_by": record.made_by,
        "photos": record.photos,
        "faces": record.faces,
        "unsure": record.unsure,
        "cover": record.cover,
        "first": record.first,
        "last": record.last,
    }


def grouped(record: "Grouped") -> Json:
    """What a grouping found."""
    return {
        "mode": record.mode,
        "faces": record.faces,
        "people": record.people,
        "groups": record.groups,
        "alone": record.alone,
        "questions": record.questions,
        "moved": record.moved,
        "whole": record.is_whole,
        "dry_run": record.is_dry,
        "seconds": round(record.seconds, 2),
    }


def face(record: "FaceOf") -> Json:
    """A face, and whose it is."""
    return {
        "face_id": record.face_id,
        "photo_id": record.photo_id,
        "photo": record.photo,
        "box": [round(edge, 1) for edge in record.box],
        "person": record.person,
        "label": record.label,
        "named_by": record.named_by,
        "margin": record.margin and round(record.margin, 4),
        "unsure": record.is_unsure,
        "quality": record.quality and round(record.quality, 2),
        "taken": record.taken,
    }


def question(number: int, record: "Question") -> Json:
    """What is asked, with its number on the sheet."""
    return {
        "number": number,
        "kind": record.kind,
        "margin": round(record.margin, 4),
        "a": face(record.a),
        "b": face(record.b),
        "person_a": record.person_a and person(record.person_a),
        "person_b": record.person_b and person(record.person_b),
    }


def change(record: "Change") -> Json:
    """A change in the log."""
    return {
        "change": record.id,
        "at": record.at,
        "verb": record.verb,
        "words": record.words,
        "undone_at": record.undone_at,
        "made_by": record.made_by,
    }


def done(record: "Done") -> Json:
    """What a command did."""
    return {
        "change": record.change and record.change.id,
        "words": record.change and record.change.words,
        "person": record.person,
        "faces": record.faces,
        "people": record.people,
        "notes": list(record.notes),
    }
