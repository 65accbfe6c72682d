"""What `query`, `verify` and `find` print with `--json`. The keys are promises; programs read them."""

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from facesearch.gallery.records.answers import (
        Answer,
        PhotoOfPeople,
        PhotosOfPeople,
        Sighting,
        Unanswered,
        Verdict,
    )
    from facesearch.geometry.face import Box

Json: TypeAlias = dict[str, Any]


def verdict(record: "Verdict") -> Json:
    """The answer of `verify`."""
    return {
        "same": record.same,
        "similarity": round(record.similarity, 4),
        "judged": round(record.judged, 4),
        "cohort": record.cohort,
        "threshold": record.threshold,
        "model": record.model,
        "pairs": record.pairs,
        "chance": None if record.chance is None else round(record.chance, 6),
        "a": _sighting(record.a) | {"face": record.a.number},
        "b": _sighting(record.b) | {"face": record.b.number},
    }


def answer(record: "Answer") -> Json:
    """The answer of `query` for one photo."""
    return {
        "query": _sighting(record.query) | {"faces": record.query.faces, "face": record.query.number},
        "also": [_sighting(each) for each in record.also],
        "person": record.person,
        "person_id": record.person_id,
        "model": record.model,
        "threshold": record.threshold,
        "cohort": record.cohort,
        "matches": [
            {
                "person": match.person,
                "person_id": match.person_id,
                "label": match.label,
                "stranger": match.is_stranger,
                "faces": match.faces,
                "similarity": round(match.similarity, 4),
                "judged": round(match.judged, 4),
                "same": match.same,
                "quality": match.quality and round(match.quality, 2),
                "photo_id": match.photo_id,
                "photo": match.photo,
                "taken": match.taken,
                "alike": list(match.alike),
                "box": _box(match.box),
                "face_id": match.face_id,
            }
            for match in record.matches
        ],
        "undated": record.undated,
        "store": record.store,
    }


def photos_of_people(record: "PhotosOfPeople") -> Json:
    """The answer of `find`."""
    return {"photos": [photo_of_people(each) for each in record.photos], "undated": record.undated}


def photo_of_people(record: "PhotoOfPeople") -> Json:
    """A photo that shows somebody."""
    return {
        "photo_id": record.photo_id,
        "photo": record.photo,
        "people": list(record.people),
        "taken": record.taken,
    }


def unanswered(record: "Unanswered") -> Json:
    """A photo of several that `query` cannot answer."""
    return {"query": {"photo": record.photo}, "status": record.status, "reason": record.reason}


def _sighting(record: "Sighting") -> Json:
    """A face that was asked about."""
    quality = record.quality and round(record.quality, 2)
    return {"photo": record.photo, "box": _box(record.box), "score": round(record.score, 4), "quality": quality}


def _box(box: "Box") -> list[float]:
    """Left, top, right, bottom in pixels, to a tenth."""
    return [round(edge, 1) for edge in box]
