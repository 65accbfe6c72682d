"""Pictures that are made while somebody waits for them: what was asked for last comes first, as it is what is in
view; what nobody waits for any more is not made; faces of one photo are made in one go."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from facesearch.errors import FaceSearchError
from facesearch.gallery.gallery import Gallery
from facesearch.gallery.tables.picture_sources import FaceSource, PhotoSource
from facesearch.photos.encoding import FACE_SIDE
from facesearch.photos.pool import Decoders

IsGone: TypeAlias = Callable[[], Awaitable[bool]]  # whether who asks has hung up

_AT_ONCE = 2  # as many as there are decoders
_MOST_WAITING = 500  # requests: a browser has 6 at a time; beyond it the oldest is given up
_MOST_FACES = 16  # of one photo in one go
_MOST_BYTES = 32_000_000  # of the pictures that were made last: a question's are asked for ahead, and again
_BETWEEN_LOOKS = 0.1  # seconds between two looks whether somebody still waits


class GivenUpError(FaceSearchError):
    """Nobody waits for the picture any more, or too many wait."""

    http_status: ClassVar[int] = 503


@dataclass(frozen=True, slots=True)
class _Job:
    """A picture to make: of a face, or of the whole photo."""

    photo: PhotoSource
    face: FaceSource | None
    side: int
    made: Future[bytes] = field(default_factory=Future)

    @property
    def what(self) -> tuple[PhotoSource | FaceSource, int]:
        """What tells two pictures apart."""
        return self.face or self.photo, self.side

    def goes_with(self, other: "_Job") -> bool:
        """Whether both are made in one go."""
        are_faces = self.face is not None and other.face is not None
        return are_faces and (self.photo, self.side) == (other.photo, other.side)


class Pictures:
    """Makes the pictures of one page, in threads of its own. A context manager, which ends them."""

    def __init__(self, gallery: Gallery, decoders: Decoders) -> None:
        self._gallery, self._decoders = gallery, decoders
        self._change = threading.Condition()  # guards what follows
        self._waiting: list[_Job] = []  # the newest is the last
        self._recent: OrderedDict[object, bytes] = OrderedDict()  # the one asked for last is the last
        self._recent_bytes = 0
        self._is_closed = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(_AT_ONCE)]

    def __enter__(self) -> "Pictures":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._is_closed = True
            self._change.notify_all()
            for job in self._waiting:
                job.made.cancel()

    async def face(self, face: FaceSource, side: int, is_gone: IsGone) -> bytes:
        """A face as WebP with this side in pixels. Raises GivenUpError, and as Gallery.make_face_pictures."""
        return await self._wait(_Job(face.photo, face, side), is_gone)

    async def photo(self, photo: PhotoSource, side: int, is_gone: IsGone) -> bytes:
        """A photo as WebP whose longest side has at most so many pixels. Raises as `face`."""
        return await self._wait(_Job(photo, None, side), is_gone)

    async def _wait(self, job: _Job, is_gone: IsGone) -> bytes:
        recent = self._add(job)
        if recent is not None:
            return recent
        made = asyncio.wrap_future(job.made)
        while not made.done():
            await asyncio.wait([made], timeout=_BETWEEN_LOOKS)
            if not made.done() and await is_gone():
                job.made.cancel()
        if made.cancelled():
            raise GivenUpError("This picture was given up; ask for it again.")
        return made.result()

    def _add(self, job: _Job) -> bytes | None:
        """The picture where it was made a short while ago; else it will be."""
        with self._change:
            if job.what in self._recent:
                self._recent.move_to_end(job.what)
                return self._recent[job.what]
            self._waiting.append(job)
            for old in self._waiting[:-_MOST_WAITING]:
                old.made.cancel()
            del self._waiting[:-_MOST_WAITING]
            self._change.notify()
        return None

    def _work(self) -> None:
        self._decoders.start_one()  # or the first picture would wait for it
        while jobs := self._next():
            try:
                pictures = self._make(jobs)
            except BaseException as error:  # whoever waits must hear of it
                for job in jobs:
                    job.made.set_exception(error)
                continue
            for job, picture in zip(jobs, pictures, strict=True):
                self._remember(job, picture)
                job.made.set_result(picture)

    def _next(self) -> list[_Job]:
        """What is to be made next; nothing when this ends."""
        while True:
            with self._change:
                while not self._waiting and not self._is_closed:
                    self._change.wait()
                if self._is_closed:
                    return []
                newest = self._waiting.pop()
                together = [job for job in self._waiting if job.goes_with(newest)][-_MOST_FACES:]
                self._waiting = [job for job in self._waiting if job not in together]
            if jobs := [job for job in (newest, *together) if job.made.set_running_or_notify_cancel()]:
                return jobs

    def _make(self, jobs: Sequence[_Job]) -> list[bytes]:
        faces = [job.face for job in jobs if job.face]
        if faces:
            return self._gallery.make_face_pictures(faces, jobs[0].side, self._decoders)
        return [self._gallery.make_photo_picture(jobs[0].photo, jobs[0].side, self._decoders)]

    def _remember(self, job: _Job, picture: bytes) -> None:
        if job.face and job.side == FACE_SIDE:  # the gallery keeps these itself
            return
        with self._change:
            self._recent_bytes += len(picture) - len(self._recent.pop(job.what, b""))
            self._recent[job.what] = picture
            while self._recent_bytes > _MOST_BYTES:
                self._recent_bytes -= len(self._recent.popitem(last=False)[1])
