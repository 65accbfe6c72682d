"""Photos that somebody has dropped on the page: looked at once, kept for some minutes in memory, never stored."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from facesearch.errors import ExitCode, FaceSearchError, NoFaceError, PhotoError
from facesearch.gallery.gallery import Gallery
from facesearch.gallery.search.probing import Seen
from facesearch.packages import how_to_install
from facesearch.photos.pool import Decoders
from facesearch.photos.status import Cause, Status

LARGEST = 64 << 20  # bytes of one photo: a raw one of 60 megapixels
_MOST = 64  # photos: somebody compares a handful
_MOST_BYTES = 256_000_000  # of all that are kept
_SECONDS = 15 * 60  # that one is kept after it was last asked for
_IDS = 2**48  # so that an id of an earlier server is none of this one's; JavaScript's numbers hold 53 bits
_TOO_LARGE = 413
_NOT_A_PHOTO = 415
_NOT_NOW = 503


class UploadGoneError(FaceSearchError):
    """The photo is kept no longer."""

    exit_code = ExitCode.NO


class NotAPhotoError(FaceSearchError):
    """What was sent cannot be used as a photo."""

    http_status: ClassVar[int] = _NOT_A_PHOTO


class TooLargeError(NotAPhotoError):
    """A photo has too many bytes or pixels."""

    http_status = _TOO_LARGE


class NotNowError(NotAPhotoError):
    """This machine cannot decode a photo at the moment."""

    http_status = _NOT_NOW


class NoFaceInUploadError(NoFaceError):
    """The photo shows no face. It is kept, so that it can be shown."""

    def __init__(self, upload: "Upload") -> None:
        super().__init__("No face was found in this photo; try a larger or clearer one.")
        self.more: dict[str, Any] = upload.facts


@dataclass(frozen=True, slots=True)
class Upload:
    """A photo, its file, and what was seen in it."""

    id: int
    data: bytes
    seen: Seen

    @property
    def facts(self) -> dict[str, Any]:
        """Its id, width and height, and its faces, the largest first, as JSON."""
        width, height = self.seen.size
        faces = [
            {
                "number": face.sighting.number,
                "box": [round(edge, 1) for edge in face.sighting.box],
                "score": round(face.sighting.score, 4),
                "quality": face.sighting.quality and round(face.sighting.quality, 2),
            }
            for face in self.seen.faces
        ]
        return {"upload": self.id, "width": width, "height": height, "faces": faces}


class Uploads:
    """Those of one server. Threads may call it at the same time; one photo is looked at after the other, by decoders
    of their own: a photo that takes its time delays no thumbnail."""

    def __init__(
        self,
        gallery: Gallery,
        decoders: Decoders,
        clock: Callable[[], float] = time.monotonic,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self._gallery, self._decoders, self._clock, self._most_bytes = gallery, decoders, clock, most_bytes
        self._is_asked = self._is_ready = False  # whether the networks are loading, and whether they are there
        self._looking = threading.Lock()
        self._change = threading.Lock()  # guards what follows
        self._kept: OrderedDict[int, tuple[float, Upload]] = OrderedDict()  # the one asked for last is the last

    def add(self, data: bytes) -> Upload:
        """Looks at a photo and keeps it. Raises NotAPhotoError for what is none, NoFaceInUploadError where it
        shows no face, ModelError where the gallery's models are missing."""
        if len(data) > LARGEST:
            raise TooLargeError(f"A photo of {len(data) >> 20:,} MB is too large; the limit is {LARGEST >> 20} MB.")
        with self._looking:
            try:
                seen = self._gallery.look_at(data, self._decoders)
            except PhotoError as error:
                raise _refusal(error) from error
        self._is_ready = True
        upload = Upload(secrets.randbelow(_IDS) + 1, data, seen)
        with self._change:
            self._kept[upload.id] = self._clock(), upload
            self._drop()
        if not seen.faces:
            raise NoFaceInUploadError(upload)
        return upload

    def get(self, upload: int) -> Upload:
        """A photo that is kept. Raises UploadGoneError where it is not."""
        with self._change:
            self._drop()
            if upload not in self._kept:
                raise UploadGoneError("That photo is no longer kept; choose it again.")
            found = self._kept.pop(upload)[1]
            self._kept[upload] = self._clock(), found
            return found

    def picture(self, upload: int, side: int) -> bytes:
        """A photo that is kept, as WebP whose longest side has at most so many pixels. Raises as `get` and `add`."""
        found = self.get(upload)
        try:
            return self._decoders.photo_picture(found.data, side)
        except PhotoError as error:
            raise _refusal(error) from error

    def prepare(self) -> bool:
        """Begins to load the networks, once, so that the first photo need not wait for them. Whether they are
        there."""
        with self._change:
            is_new, self._is_asked = not self._is_asked, True
        if is_new:
            threading.Thread(target=self._load, daemon=True).start()
        return self._is_ready

    def _load(self) -> None:
        try:
            self._gallery.load_networks()
            self._is_ready = True
        except FaceSearchError:
            self._is_asked = False  # a photo says what is wrong; it may be mended meanwhile

    def drop_old(self) -> None:
        """Drops what nobody has asked for in time."""
        with self._change:
            self._drop()

    def _drop(self) -> None:
        """Drops what was not asked for in time, and what is too much."""
        oldest = self._clock() - _SECONDS
        size = sum(len(upload.data) for _, upload in self._kept.values())
        while self._kept:
            at, upload = next(iter(self._kept.values()))
            if at >= oldest and len(self._kept) <= _MOST and size <= self._most_bytes:
                return
            size -= len(upload.data)
            del self._kept[upload.id]


def _refusal(error: PhotoError) -> NotAPhotoError:
    """Why a photo is refused, as a sentence, and as which kind of error."""
    if error.status == Status.TOO_LARGE:
        return TooLargeError(f"This photo is too large: {error.reason}.")
    if error.cause == Cause.MACHINE:
        return NotNowError(f"This photo cannot be read now: {error.reason}; try again.")
    if error.cause == Cause.PACKAGE and error.needs:
        return NotAPhotoError(f"This photo cannot be read: {error.reason}; {how_to_install(error.needs)}.")
    return NotAPhotoError(f"This is no photo that can be read: {error.reason}.")
