"""Indexing: start a run over the gallery's folders, and stop it."""

import msgspec

from facesearch.web.operations import Asked, Json, Nothing, Operation
from facesearch.web.replies import gallery
from facesearch.web.run import Run
from facesearch.web.service import Service


class ToIndex(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With `retry_failed` photos that could not be read are all tried again, not only where that may help."""

    retry_failed: bool = False


def start_indexing(service: Service, asked: Asked[Nothing, ToIndex]) -> Json:
    """Indexes all folders of the gallery again, in a process of its own, which ends with this server."""
    with service.writing():
        return shown(service.runs.start(asked.body.retry_failed))


def stop_indexing(service: Service, _: Asked[Nothing, Nothing]) -> Json:
    """Stops the run of this page well: what it has stored is kept, and the next run goes on from there."""
    return shown(service.runs.stop())


def shown(run: Run) -> Json:
    """A run as JSON."""
    found: Json = msgspec.to_builtins(run)
    return found


OPERATIONS = (
    Operation(
        "POST",
        "/api/index",
        "Index the gallery's folders again",
        start_indexing,
        body=ToIndex,
        reply=gallery.Run,
        example={"retry_failed": True},
    ),
    Operation("POST", "/api/index/stop", "Stop the run", stop_indexing, reply=gallery.Run, refusals=(404,)),
)
