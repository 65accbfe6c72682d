"""Faces cut out of folders of people, as the original FaceNet's align_dataset_mtcnn did: a folder a person in, a
folder of crops a person out."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count, groupby
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from PIL import Image

from facesearch.arrays import Pixels
from facesearch.errors import FaceSearchError, ModelError, PhotoError, UsageError
from facesearch.faces.analyser import cut_out, find_faces
from facesearch.faces.detector import Detector
from facesearch.files import printable
from facesearch.flow.pace import ANALYSED_AHEAD, BATCH, BATCH_PIXELS, DECODED_AHEAD, LOADED_AHEAD, MOST_WORKERS
from facesearch.flow.stream import batched, ordered, threads
from facesearch.geometry.chips import Aligner, ByBox, ByLandmarks
from facesearch.geometry.face import Face
from facesearch.home import cores
from facesearch.models.cards import LandmarkAlignment, default_embedder, embedder_card
from facesearch.photos.file import LoadedPhoto, PhotoFile, load
from facesearch.photos.formats import looks_like_photo
from facesearch.photos.pool import Decoders
from facesearch.photos.view import View
from facesearch.photos.walk import walk
from facesearch.pictures import output

_JPEG_QUALITY = 95
_LONGEST_NAME = 255  # bytes, in every file system that is common
_NUMBER_BYTES = 5  # at the end of a name: _9999


@dataclass(frozen=True, slots=True)
class Aligned:
    """What became of a photo: how many crops were written, or why none was. `known` says that they were there."""

    photo: str
    crops: int
    known: bool = False
    reason: str | None = None


def by_box(size: int, margin: float) -> Aligner:
    """The box widened by half the margin on each side and stretched to size x size pixels."""
    return ByBox(margin, size)


def by_landmarks(size: int, detector: str) -> Aligner:
    """The landmarks brought to where the default model has them, in size x size pixels. Raises ModelError for a
    detector whose landmarks that model does not know."""
    card = embedder_card(default_embedder())
    how = card.alignment
    if not isinstance(how, LandmarkAlignment) or detector not in how.templates:
        raise ModelError(f"Where the landmarks of '{detector}' belong is not known; leave --warp out.")
    template = np.asarray(how.templates[detector], np.float64) * (size / card.chip_px)
    weights = np.asarray(how.weights, np.float64)
    return ByLandmarks(template, weights, size)


def align_people(
    source: str,
    target: Path,
    make_detector: Callable[[], Detector],
    aligner: Aligner,
    *,
    all_faces: bool = False,
    suffix: Literal[".png", ".jpg"] = ".png",
    max_side: int = 0,
) -> Iterator[Aligned]:
    """Cuts the faces of all photos under a folder into the same folders under `target`, and yields what became of
    each photo. A photo whose crop is there is passed over; a crop that is there is whole. Of several faces the
    largest and most central one is taken, or all: then a number is added to the name. Faces are looked for in photos
    of at most `max_side` pixels a side (0: of any size). Raises FaceSearchError when
    there is no photo, or when a crop cannot be written; UsageError when crops of another size are there, or when
    `target` is among the photos, where a crop could be taken for one."""
    if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(source)):
        raise UsageError(
            f"{printable(str(target))} is in {printable(source)}, among the photos; name another folder for crops."
        )
    work = _Work(os.path.abspath(source), target, make_detector, aligner, all_faces, suffix, max_side)
    yield from work.run()


def largest_and_most_central(size: tuple[int, int], faces: Sequence[Face]) -> Face:
    """The face with the greatest area less twice the squared distance of its centre from that of the photo, whose
    width and height are given: the original's rule."""
    width, height = size

    def worth(face: Face) -> float:
        box = face.box
        x, y = (box.left + box.right - width) / 2, (box.top + box.bottom - height) / 2
        return float(box.area - 2 * (x * x + y * y))

    return max(faces, key=worth)


class _Item(NamedTuple):
    """A photo on its way."""

    file: PhotoFile
    loaded: LoadedPhoto | None = None
    view: View | None = None
    done: Aligned | None = None


class _Work:
    """What the stages share."""

    def __init__(
        self,
        source: str,
        target: Path,
        make_detector: Callable[[], Detector],
        aligner: Aligner,
        all_faces: bool,
        suffix: str,
        max_side: int,
    ) -> None:
        self._source, self._target, self._make_detector, self._aligner = source, target, make_detector, aligner
        self._all_faces, self._suffix, self._max_side = all_faces, suffix, max_side
        self._detector: Detector | None = None
        self._known = 0  # crops of an earlier run
        self._stems: dict[str, str] = {}  # what the crops of each photo on its way are called

    def run(self) -> Iterator[Aligned]:
        workers = min(cores(), MOST_WORKERS)
        seen = 0
        with ExitStack() as stack:
            readers = stack.enter_context(threads(workers + 1))
            cutters = stack.enter_context(threads(workers))
            on = partial(ordered, weigh=self._weight, is_finished=_is_finished)
            loaded = on(readers, self._load, self._items(), 2 * BATCH, LOADED_AHEAD)
            decode = partial(self._decode, stack.enter_context(Decoders(workers + 1)))
            decoded = on(readers, decode, loaded, 2 * BATCH, DECODED_AHEAD)
            for batch in on(cutters, self._align, self._batches(decoded), workers + 1, ANALYSED_AHEAD):
                for item in batch:
                    seen += 1
                    yield item.done
        if not seen:
            raise FaceSearchError(f"There is no photo in {printable(self._source)}; name a folder of people.")

    def _items(self) -> Iterator[_Item]:
        photos = (file for file in walk(self._source) if looks_like_photo(file.path))
        for _, files in groupby(photos, lambda file: os.path.dirname(file.path)):
            for file, stem in self._named(files):
                self._stems[file.path] = stem
                there = self._there(file)
                if there and not self._known:
                    _refuse_another_size(self._path_of(file, 0 if self._all_faces else None), self._aligner.chip_px)
                self._known += there
                yield _Item(file, done=Aligned(file.path, there, known=True) if there else None)

    def _named(self, files: Iterable[PhotoFile]) -> Iterator[tuple[PhotoFile, str]]:
        """The photos of a folder, each with what its crop is called, without the suffix: as the photo. Of `a.jpg` and
        `a.png` the first one's is, as it was before there was another, and the others' names get letters that follow
        from the whole name; so does one that is too long."""
        longest = _LONGEST_NAME - len(self._suffix) - (_NUMBER_BYTES if self._all_faces else 0)
        taken: set[str] = set()
        for file in files:
            name = os.path.basename(file.path)
            stem = Path(name).stem
            if stem in taken or len(os.fsencode(stem)) > longest:
                own = f"-{hashlib.blake2b(os.fsencode(name), digest_size=4).hexdigest()}"
                while len(os.fsencode(stem + own)) > longest:
                    stem = stem[:-1]
                stem += own
            taken.add(stem)
            yield file, stem

    def _there(self, file: PhotoFile) -> int:
        """How many crops an earlier run has written. Of several the first is written last."""
        if not self._all_faces:
            return int(self._path_of(file).exists())
        return next(number for number in count() if not self._path_of(file, number).exists())

    def _path_of(self, file: PhotoFile, number: int | None = None) -> Path:
        inside = os.path.relpath(file.path, self._source) if os.path.isdir(self._source) else Path(file.path).name
        stem = self._stems[file.path] + ("" if number is None else f"_{number}")
        return (self._target / inside).with_name(stem + self._suffix)

    def _load(self, item: _Item) -> _Item:
        try:
            loaded = load(item.file)
        except PhotoError as error:
            return item._replace(done=Aligned(item.file.path, 0, reason=error.reason))
        return item._replace(loaded=loaded)

    def _decode(self, decoders: Decoders, item: _Item) -> _Item:
        assert item.loaded is not None
        try:
            return item._replace(
                loaded=None, view=decoders.decode(item.loaded.data, self._max_side, item.loaded.size)
            )
        except PhotoError as error:
            return item._replace(loaded=None, done=Aligned(item.file.path, 0, reason=error.reason))

    def _batches(self, items: Iterable[_Item]) -> Iterator[list[_Item]]:
        """Batches of photos; the networks are loaded before the first one that needs them."""
        for batch in batched(items, BATCH, BATCH_PIXELS, _pixels):
            if self._detector is None and any(map(_pixels, batch)):
                self._detector = self._make_detector()
            yield batch

    def _align(self, batch: list[_Item]) -> list[_Item]:
        views = [item.view for item in batch if item.view is not None]
        if not views or self._detector is None:
            return batch
        found = iter(find_faces(self._detector, views))
        return [
            item
            if item.view is None
            else item._replace(view=None, done=self._written(item.file, item.view, next(found)))
            for item in batch
        ]

    def _written(self, file: PhotoFile, view: View, faces: list[Face]) -> Aligned:
        if not faces:
            return Aligned(file.path, 0, reason="no face was found")
        chosen = faces if self._all_faces else [largest_and_most_central(view.size, faces)]
        try:
            chips = cut_out(view, chosen, self._aligner)
        except PhotoError as error:
            return Aligned(file.path, 0, reason=error.reason)
        for number, chip in reversed(list(enumerate(chips))):
            _write(self._path_of(file, number if self._all_faces else None), chip)
        del self._stems[file.path]
        return Aligned(file.path, len(chosen))

    def _weight(self, item: object) -> int:
        """What a call with this item holds in memory: bytes of a file, or pixels."""
        if isinstance(item, list):
            return sum(map(_pixels, item))
        assert isinstance(item, _Item)
        return item.loaded.bytes_when_decoded(self._max_side) if item.loaded is not None else item.file.size


def _refuse_another_size(crop: Path, size: int) -> None:
    with Image.open(crop) as opened:
        if opened.width != size:
            raise UsageError(
                f"{printable(str(crop.parent))} holds crops of {opened.width} pixels, not {size}; name another "
                f"folder, or give --size {opened.width}."
            )


def _write(path: Path, chip: Pixels) -> None:
    """Writes a crop, (size, size, 3), whole or not at all."""
    _, data = cv2.imencode(path.suffix, chip[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    output.write(path, data.tobytes())


def _pixels(item: _Item) -> int:
    return 0 if item.view is None else item.view.pixels.size // 3


def _is_finished(item: object) -> bool:
    return isinstance(item, _Item) and item.done is not None
