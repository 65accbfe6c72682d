"""The analysis of a stream whose results are faces: here and on other machines the same."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from facesearch.faces.analyser import Analysed, Analyser
from facesearch.flow.stages import Analyse, Decoded
from facesearch.photos.encoding import pictures_of_view
from facesearch.photos.view import View


def analysis(analyser: Analyser, makes_pictures: bool) -> Analyse[Any, Analysed]:
    """What makes faces with embeddings of decoded photos, and with `makes_pictures` small pictures of them too."""

    def analyse(photos: Sequence[Decoded[Any]]) -> list[Analysed]:
        views = [photo.view for photo in photos]
        found = analyser.analyse(views)
        return list(map(_with_pictures, views, found)) if makes_pictures else found

    return analyse


def _with_pictures(view: View, found: Analysed) -> Analysed:
    return replace(found, pictures=pictures_of_view(view, [face.box for face in found.faces]))
