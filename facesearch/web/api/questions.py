"""Questions: whether two faces are one person, and the answers."""

from typing import Annotated, Literal

import msgspec

from facesearch.forms import people_forms
from facesearch.web.operations import Asked, Id, Json, Nothing, Operation
from facesearch.web.replies import people
from facesearch.web.service import Service


class HowMany(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many questions."""

    n: Annotated[int, msgspec.Meta(ge=1, le=200)] = 20


class Answered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question, by its kind and its two faces, and the answer. `into` says which of two different names stays."""

    kind: Literal["same", "stray"]
    a: Id
    b: Id
    reply: Literal["yes", "no", "not_a_face", "stranger"]
    into: Id | None = None


def list_questions(service: Service, asked: Asked[HowMany, Nothing]) -> Json:
    """The questions whose answers tell most."""
    total, questions = service.gallery.questions_open(), service.gallery.questions(asked.query.n)
    shown = [people_forms.question(number, each) for number, each in enumerate(questions, 1)]
    return {"total": total, "questions": shown}


def answer_question(service: Service, asked: Asked[Nothing, Answered]) -> Json:
    """Does what an answer says."""
    body = asked.body
    with service.writing():
        return people_forms.done(
            service.gallery.answer(service.gallery.question(body.kind, body.a, body.b), body.reply, into=body.into)
        )


OPERATIONS = (
    Operation(
        "GET", "/api/questions", "Questions whose answers tell most", list_questions, HowMany, reply=people.Questions
    ),
    Operation(
        "POST",
        "/api/questions/answer",
        "Answer a question",
        answer_question,
        body=Answered,
        reply=people.Done,
        refusals=(409,),
        example={"kind": "same", "a": 977, "b": 1201, "reply": "yes"},
    ),
)
