"""Faces: those that are nobody's, single ones, and what is said about them."""

from typing import Literal

from facesearch.forms import people_forms
from facesearch.web.operations import Asked, Json, Nothing, NotThereError, Operation
from facesearch.web.replies import people
from facesearch.web.service import Service
from facesearch.web.words import GivenName, Part, SomeFaces


class WhichFaces(Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which faces: those that are nobody's."""

    list: Literal["alone"] = "alone"


def list_faces(service: Service, asked: Asked[WhichFaces, Nothing]) -> Json:
    """Faces that are nobody's, the best quality first."""
    version, total, faces = service.state.faces_alone(asked.query.first, asked.query.n)
    return {"version": version, "total": total, "faces": [people_forms.face(each) for each in faces]}


def get_face(service: Service, asked: Asked[Nothing, Nothing]) -> Json:
    """One face, and whose it is."""
    face = asked.ids["face"]
    found = service.gallery.face(face)
    if found is None:
        raise NotThereError(f"There is no face {face}; it may have been deleted, or its photo has changed.")
    return people_forms.face(found)


def name_face(service: Service, asked: Asked[Nothing, GivenName]) -> Json:
    """Names whom a face stands for: its person, or a face that is nobody's."""
    body = asked.body
    with service.writing():
        done = service.gallery.name_face(asked.ids["face"], body.name, same=body.same, other=body.other)
    return people_forms.done(done)


def not_a_face(service: Service, asked: Asked[Nothing, SomeFaces]) -> Json:
    """Says that these are no faces."""
    with service.writing():
        return people_forms.done(service.gallery.not_a_face(asked.body.faces))


def mark_collage(service: Service, asked: Asked[Nothing, Nothing]) -> Json:
    """Says that one person may be in a photo more than once."""
    with service.writing():
        return people_forms.done(service.gallery.collage([asked.ids["photo"]]))


OPERATIONS = (
    Operation(
        "GET", "/api/faces", "Faces that are nobody's, the best first", list_faces, WhichFaces, reply=people.Faces
    ),
    Operation("GET", "/api/faces/{face}", "One face", get_face, reply=people.Face),
    Operation(
        "POST",
        "/api/faces/{face}/name",
        "Name whose a face is",
        name_face,
        body=GivenName,
        reply=people.Done,
        refusals=(409,),
        example={"name": "Ann"},
    ),
    Operation(
        "POST",
        "/api/faces/not-a-face",
        "Say that these are no faces",
        not_a_face,
        body=SomeFaces,
        reply=people.Done,
        example={"faces": [977]},
    ),
    Operation(
        "POST",
        "/api/photos/{photo}/collage",
        "Say that one person may be in a photo twice",
        mark_collage,
        reply=people.Done,
    ),
)
