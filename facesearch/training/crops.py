"""Faces cut out of folders of people, as the original FaceNet's align_dataset_mtcnn did: a folder a person in, a
folder of crops a person out."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, groupby
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from PIL import Image

from facesearch.arrays import Pixels
from facesearch.errors import FaceSearchError, ModelError, UsageError
from facesearch.faces.analyser import cut_out, find_faces
from facesearch.faces.choosing import largest_and_most_central
from facesearch.faces.detector import Detector
from facesearch.files import printable
from facesearch.flow import stages
from facesearch.flow.pace import Pace
from facesearch.geometry.chips import Aligner, ByBox, ByLandmarks
from facesearch.geometry.face import Face
from facesearch.models.cards import LandmarkAlignment, default_embedder, embedder_card
from facesearch.photos.file import PhotoFile
from facesearch.photos.formats import looks_like_photo
from facesearch.photos.status import Status
from facesearch.photos.view import View
from facesearch.photos.walk import walk
from facesearch.pictures import output

_JPEG_QUALITY = 95
_LONGEST_NAME = 255  # bytes, in every file system that is common
_NUMBER_BYTES = 5  # at the end of a name: _9999


@dataclass(frozen=True, slots=True)
class Aligned:
    """What became of a photo: how many crops were written, or why none was. `known` says that they were there;
    `status` is OK or NO_FACE, or why the photo cannot be read."""

    photo: str
    crops: int
    known: bool = False
    reason: str | None = None
    status: Status = Status.OK

    @property
    def is_unread(self) -> bool:
        """Whether the photo could not be read."""
        return self.status not in (Status.OK, Status.NO_FACE)


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


@dataclass(frozen=True, slots=True)
class CropOptions:
    """How crops are made. `aligner` cuts them; with `all_faces` every face is cut out, and a number is added to the
    name, else the largest and most central one. `suffix` is that of the files. Faces are looked for in photos of at
    most `max_side` pixels a side (0: of any size)."""

    aligner: Aligner
    all_faces: bool = False
    suffix: Literal[".png", ".jpg"] = ".png"
    max_side: int = 0


def align_people(
    source: str, target: Path, load_detector: Callable[[], Detector], options: CropOptions
) -> Iterator[Aligned]:
    """Cuts the faces of all photos under a folder into the same folders under `target`, and yields what became of
    each photo. A photo whose crop is there is passed over; a crop that is there is whole. The detector is loaded when
    the first photo needs it. Raises FaceSearchError when there is no photo, or when a crop cannot be written;
    UsageError when crops of another size are there, or when `target` is among the photos, where a crop could be taken
    for one."""
    if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(source)):
        raise UsageError(
            f"{printable(str(target))} is in {printable(source)}, among the photos; name another folder for crops."
        )
    crops = _Crops(os.path.abspath(source), target, options)
    work = stages.Work(
        lambda: partial(_cut_batch, load_detector(), crops), Pace.of_machine("cpu"), max_side=options.max_side
    )
    seen = 0
    for rows in stages.run(crops.missing(), work):
        for row in rows:
            seen += 1
            yield _outcome(row)
    if not seen:
        raise FaceSearchError(f"There is no photo in {printable(source)}; name a folder of people.")


def _outcome(row: stages.Found["_Photo", Aligned] | stages.Failed["_Photo"] | Aligned) -> Aligned:
    if isinstance(row, stages.Found):
        return row.result
    if isinstance(row, stages.Failed):
        return Aligned(row.file.path, 0, reason=row.error.reason, status=Status(row.error.status))
    return row


def _cut_batch(detector: Detector, crops: "_Crops", photos: Sequence[stages.Decoded["_Photo"]]) -> list[Aligned]:
    """Finds the faces of a batch of photos, cuts them out and writes them."""
    found = find_faces(detector, [photo.view for photo in photos])
    return [crops.cut(photo.key, photo.view, faces) for photo, faces in zip(photos, found, strict=True)]


class _Photo(NamedTuple):
    """A photo and what its crop is called, without number and suffix."""

    path: str
    stem: str


class _Crops:
    """The crops of a folder's photos: which are there, what they are called, how they are written."""

    def __init__(self, source: str, target: Path, options: CropOptions) -> None:
        self._source, self._target, self._options = source, target, options

    def missing(self) -> Iterator[stages.Job[_Photo] | Aligned]:
        """The photos whose crops an earlier run has not written; an outcome in place of each other one."""
        is_first = True
        photos = (file for file in walk(self._source) if looks_like_photo(file.path))
        for _, files in groupby(photos, lambda file: os.path.dirname(file.path)):
            for file, stem in self._named(files):
                photo = _Photo(file.path, stem)
                written = self._count_written(photo)
                if written and is_first:
                    is_first = False
                    _refuse_another_size(self._path_of(photo, self._first_number), self._options.aligner.chip_px)
                yield Aligned(file.path, written, known=True) if written else stages.Job(photo, file)

    def cut(self, photo: _Photo, view: View, faces: Sequence[Face]) -> Aligned:
        """Cuts the chosen faces out of a photo and writes them; of several the first last, as it says that all are
        there. Raises FaceSearchError when the disk refuses one, PhotoError when the photo gives no chip."""
        if not faces:
            return Aligned(photo.path, 0, reason="no face was found", status=Status.NO_FACE)
        chosen = faces if self._options.all_faces else [largest_and_most_central(view.size, faces)]
        chips = cut_out(view, chosen, self._options.aligner)
        for number, chip in reversed(list(enumerate(chips))):
            _write(self._path_of(photo, number if self._options.all_faces else None), chip)
        return Aligned(photo.path, len(chosen))

    @property
    def _first_number(self) -> int | None:
        return 0 if self._options.all_faces else None

    def _named(self, files: Iterable[PhotoFile]) -> Iterator[tuple[PhotoFile, str]]:
        """The photos of a folder, each with what its crop is called, without the suffix: as the photo. Of `a.jpg` and
        `a.png` the first one's is, as it was before there was another, and the others' names get letters that follow
        from the whole name; so does one that is too long."""
        longest = _LONGEST_NAME - len(self._options.suffix) - (_NUMBER_BYTES if self._options.all_faces else 0)
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

    def _count_written(self, photo: _Photo) -> int:
        """How many crops an earlier run has written. Of several the first is written last."""
        if not self._options.all_faces:
            return int(self._path_of(photo).exists())
        return next(number for number in count() if not self._path_of(photo, number).exists())

    def _path_of(self, photo: _Photo, number: int | None = None) -> Path:
        inside = os.path.relpath(photo.path, self._source) if os.path.isdir(self._source) else Path(photo.path).name
        stem = photo.stem + ("" if number is None else f"_{number}")
        return (self._target / inside).with_name(stem + self._options.suffix)


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
