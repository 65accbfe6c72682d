"""The gallery as a whole: its state, what it holds, and what could not be read."""

from itertools import islice

from facesearch.forms import gallery_forms, run_forms
from facesearch.web.api import index
from facesearch.web.operations import Asked, Json, Nothing, Operation
from facesearch.web.replies import gallery
from facesearch.web.service import Service
from facesearch.web.words import Part


def get_state(service: Service, _: Asked[Nothing, Nothing]) -> Json:
    """What a page asks for again and again: a version that grows with every change, and the run of indexing."""
    run = service.runs.state()
    return {"gallery": service.gallery.name, "version": service.state.version(), "run": run and index.shown(run)}


def get_gallery(service: Service, _: Asked[Nothing, Nothing]) -> Json:
    """What the gallery holds."""
    return gallery_forms.gallery_facts(service.gallery.facts())


def list_failures(service: Service, asked: Asked[Part, Nothing]) -> Json:
    """The photos that could not be read, by path."""
    unread, first, n = list(service.gallery.unread()), asked.query.first, asked.query.n
    return {"total": len(unread), "failures": [run_forms.failure(each) for each in islice(unread, first, first + n)]}


OPERATIONS = (
    Operation(
        "GET",
        "/api/state",
        "The version, and what runs",
        get_state,
        reply=gallery.State,
    ),
    Operation("GET", "/api/gallery", "What the gallery holds", get_gallery, reply=gallery.GalleryFacts),
    Operation("GET", "/api/failures", "What could not be read, and why", list_failures, Part, reply=gallery.Failures),
)
