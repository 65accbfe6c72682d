"""Indexing from the page, in a process of its own; and what is seen of a run in another process, which is left alone.

A run ends with the page's server: it is then stopped as by Ctrl-C, keeps what it has stored, and the next run goes on
from there."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from facesearch.errors import ExitCode, FaceSearchError, GalleryLockedError
from facesearch.gallery.gallery import Gallery
from facesearch.gallery.tables.runs import Going
from facesearch.interruption import out_of_its_reach
from facesearch.models.device import Device, Precision

_PROGRAM = "facesearch.web.index_process"
_TO_END = 5.0  # seconds that the server waits at its end for a run that is stopped, which then ends by itself
_LOOKED_EVERY = 1.0  # seconds between two looks at a run of another process
_TELLING = 20  # photos from which on a rate says something

Json = dict[str, Any]
Count = Annotated[int, msgspec.Meta(ge=0)]


class NoRunError(FaceSearchError):
    """There is no run that could be stopped."""

    exit_code = ExitCode.NO


class Ended(msgspec.Struct, frozen=True):
    """How a run ended: what it did, or why it could not; with neither it was stopped."""

    summary: Json | None = None
    error: str | None = None


class Run(msgspec.Struct, frozen=True):
    """A run of indexing, as the page shows it. `done` photos of `total`, which is None until they are counted, with
    so many new `faces`; `failed` could not be read. Of a run of another process the total is not known."""

    source: Literal["page", "other"]
    started_at: str
    stage: Literal["preparing", "checking", "indexing", "finishing"] = "preparing"
    done: Count = 0
    total: Count | None = None
    faces: Count = 0
    failed: Count = 0
    photos_per_second: float | None = None
    seconds_left: float | None = None
    ended: Ended | None = None


class Runs:
    """Those of one gallery, as long as its page lives. May be asked from any thread."""

    def __init__(
        self,
        gallery: Gallery,
        device: Device = "auto",
        precision: Precision = "auto",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`device` and `precision` are those that a run embeds with."""
        self._gallery, self._words = gallery, (device, precision)
        self._change = threading.Lock()  # guards what follows
        self._process: subprocess.Popen[bytes] | None = None
        self._run: Run | None = None
        self._others = _OthersRun(gallery, clock)

    def close(self) -> None:
        """Stops the run of this page, and waits a little for its end."""
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            process.wait(_TO_END)
        except subprocess.TimeoutExpired:
            return  # it is about to end

    def start(self, retry_failed: bool = False) -> Run:
        """Starts to index all folders of the gallery again. Raises GalleryLockedError while a process writes."""
        with self._change:
            if self._run and not self._run.ended:
                raise GalleryLockedError("The photos are being indexed already; wait for that to end, or stop it.")
            with self._gallery.locked():
                pass
            self._process = self._started(retry_failed)
            self._run = Run("page", _now())
            threading.Thread(target=self._follow, args=(self._process,), daemon=True).start()
            return self._run

    def stop(self) -> Run:
        """Stops the run of this page: what it has begun it stores, and then ends. Raises NoRunError where none is
        going on."""
        with self._change:
            process, run = self._process, self._run
            if process is None or process.stdin is None or run is None or run.ended:
                raise NoRunError("No run of this page is going on; one of another process is stopped there.")
            process.stdin.close()
            return run

    @property
    def is_busy(self) -> bool:
        """Whether a run of this page is going on."""
        run = self._run
        return run is not None and not run.ended

    def state(self) -> Run | None:
        """The run that is going on, or the last one of this page; None where there is neither."""
        run = self._run
        if run is not None and not run.ended:
            return run
        return self._others.state() or run

    def _started(self, retry_failed: bool) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-P", "-m", _PROGRAM, self._gallery.name, *self._words]
        command += ["retry_failed"] * retry_failed
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ,
                **out_of_its_reach(),
            )
        except OSError as error:
            raise FaceSearchError(
                f"The process that indexes cannot be started ({error.strerror}); close other programs."
            ) from error

    def _follow(self, process: "subprocess.Popen[bytes]") -> None:
        """Takes over what a run says of itself, until it ends."""
        assert process.stdout is not None
        for line in process.stdout:
            with suppress(ValueError, msgspec.MsgspecError), self._change:  # of one that was ended the last is cut
                if process is not self._process:  # the next run has begun
                    break
                run = msgspec.structs.asdict(self._run) if self._run else {}
                self._run = msgspec.convert(run | json.loads(line), Run)
        process.wait()
        with self._change:
            if process is self._process and self._run and not self._run.ended:
                why = "The process that indexes was ended from outside; what it has stored is kept. Start it again."
                self._run = msgspec.structs.replace(self._run, ended=Ended(error=why))


class _OthersRun:
    """What the database shows of a run of another process. Whether one that has not ended runs, or was cut off, its
    lock tells: where that is free the run is over, and is not looked at again."""

    def __init__(self, gallery: Gallery, clock: Callable[[], float]) -> None:
        self._gallery, self._clock = gallery, clock
        self._looking = threading.Lock()
        self._looked_at = -_LOOKED_EVERY
        self._seen: Run | None = None
        self._over = 0  # the number of the newest run that is known to be over

    def state(self) -> Run | None:
        """The run, None where there is none."""
        with self._looking:
            now = self._clock()
            if now - self._looked_at >= _LOOKED_EVERY:
                self._looked_at, self._seen = now, self._look()
            return self._seen

    def _look(self) -> Run | None:
        with self._gallery.reading() as (db, _):
            going = db.runs.going_on()
        if going is None or going.run <= self._over:
            return None
        if not self._gallery.is_being_written():
            self._over = going.run
            return None
        return _shown(going)


def _shown(going: Going) -> Run:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(going.started_at)).total_seconds()
    rate = round(going.photos / seconds, 2) if going.photos >= _TELLING and seconds > 0 else None
    stage: Literal["preparing", "indexing"] = "indexing" if going.photos else "preparing"
    return Run("other", going.started_at, stage, going.photos, None, going.faces, going.failed, rate)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
