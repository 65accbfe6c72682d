"""A worker on a node: the stages that run on one machine, kept open from batch to batch. It knows no database."""

import pickle
from collections.abc import Iterator, Mapping
from typing import Any

from facesearch.cluster.node_folder import NodeFolder
from facesearch.cluster.ray_records import Answer, Batch, Order, Ready, Refused, UnfitError, unseen
from facesearch.errors import FaceSearchError, PhotoError
from facesearch.faces.analyser import Analysed, Analyser
from facesearch.flow.analysis import analysis
from facesearch.flow.stages import Failed, Job, Loaded, Stages, Work
from facesearch.models.device import Device
from facesearch.models.export import exported_to, is_prepared
from facesearch.photos.addresses import is_remote
from facesearch.photos.file import LoadedPhoto, PhotoFile, load
from facesearch.photos.places import examined
from facesearch.photos.status import Cause, Status

_COARSEST = 2_000_000_000  # nanoseconds between two times of a file, on FAT; shares have others


class UnseenError(PhotoError):
    """A photo whose file cannot be read on this node, which says nothing about the photo."""


def start(order: bytes, files: Mapping[str, bytes]) -> tuple["Worker | None", bytes]:
    """A worker for a pickled order, with its networks; and, pickled, that it is ready, or why it refuses."""
    wanted: Order = pickle.loads(order)
    folder = NodeFolder()
    try:
        folder.enter(files)
        _refuse_other_exports(wanted)
        _refuse_unseen(wanted.sights)
        worker = Worker(wanted, folder)
        if wanted.engine and _facts(worker.engine) != _facts(wanted.engine):
            raise UnfitError(
                f"embeds with {_named(worker.engine)}, and this run with {_named(wanted.engine)}; install the same "
                "there, or choose --precision float32"
            )
    except FaceSearchError as error:
        folder.leave()
        reason = str(error) if isinstance(error, UnfitError) else f"cannot begin: {error}"
        return None, pickle.dumps(Refused(reason.rstrip(".")))
    return worker, pickle.dumps(Ready(worker.engine))


class Worker:
    """Photos in, rows out. Two batches may be in it at the same time."""

    def __init__(self, order: Order, folder: NodeFolder) -> None:
        """Gets the networks running. Raises FaceSearchError where an engine, a GPU or a model is missing."""
        import cv2

        cv2.setNumThreads(1)
        self._folder, self._most = folder, order.max_megapixels
        self._others: set[str] = set()  # paths of files that are no photos
        device: Device = "gpu" if order.on_gpu else "cpu"
        analyser = Analyser.of_prepared(order.detector, order.embedder, device, 1, order.precision)
        analyse = analysis(analyser, order.makes_pictures)
        work: Work[int, Analysed] = Work(
            lambda: analyse,
            order.pace,
            order.detector.max_side,
            order.max_megapixels,
            order.seconds,
            self._read,
        )
        self.engine = analyser.engine
        folder.are_loaded()
        self._stages = Stages(work).__enter__()

    def work(self, batch: bytes) -> bytes:
        """The pickled answer to a pickled batch."""
        asked: Batch = pickle.loads(batch)
        rows: list[Any] = []
        unseen: list[tuple[int, str]] = []
        for part in self._stages.run(_numbered(asked)):
            for row in part:
                if isinstance(row, Failed) and isinstance(row.error, UnseenError):
                    unseen.append((row.key, row.error.reason))
                else:
                    rows.append(row)
        others = [place for place, item in enumerate(asked.items) if isinstance(item, Job) and self._is_other(item)]
        return pickle.dumps(Answer(tuple(rows), tuple(unseen), tuple(others)), protocol=5)

    def end(self) -> None:
        """Ends the decoders, and deletes what was unpacked here once nobody needs it."""
        self._stages.stop()
        self._folder.leave()

    def _is_other(self, job: Job[int]) -> bool:
        """Whether it was read and is no photo. That is told once."""
        is_other = job.file.path in self._others
        self._others.discard(job.file.path)
        return is_other

    def _read(self, file: PhotoFile) -> LoadedPhoto | None:
        """Raises UnseenError where another file is at this path: it would be taken for the one that is meant. What is
        at an address is the same from everywhere."""
        why = "" if is_remote(file.path) else _why_not_seen(file)
        if why:
            raise UnseenError(Status.UNREADABLE, why, Cause.MACHINE)
        try:
            photo = load(file, self._most)
            if photo is None:
                self._others.add(file.path)
            return photo
        except PhotoError as error:
            if error.status == Status.UNREADABLE and error.cause == Cause.MACHINE:
                raise UnseenError(error.status, error.reason, error.cause) from error
            raise


def _numbered(batch: Batch) -> Iterator[Job[int] | Loaded[int]]:
    for place, item in enumerate(batch.items):
        yield Loaded(place, item.photo) if isinstance(item, Loaded) else Job(place, item.file)


def _refuse_other_exports(order: Order) -> None:
    for card in (order.detector, order.embedder):
        here = exported_to(card).name
        if here != order.exports[card.name]:
            raise UnfitError(
                f"makes another graph of '{card.name}' ({here}) than this machine ({order.exports[card.name]}); "
                "install the same facesearch there"
            )
        if not order.on_gpu and not is_prepared(card):
            raise UnfitError(f"did not get the networks of '{card.name}' whole; look whether its disk is full")


def _refuse_unseen(sights: tuple[PhotoFile, ...]) -> None:
    """Refuses where most of these files are not there, or are others."""
    wrong = [(file, why) for file in sights if (why := _why_not_seen(file))]
    if 2 * len(wrong) > len(sights):
        file, why = wrong[0]
        raise UnfitError(unseen(file.path, why))


def _why_not_seen(file: PhotoFile) -> str:
    try:
        found = examined(file.path)
    except OSError as error:
        return error.strerror or str(error)
    is_it = found.size == file.size and abs(found.mtime_ns - file.mtime_ns) <= _COARSEST
    return "" if is_it else "another size or time"


def _facts(engine: Any) -> tuple[str, str]:
    return engine.name, engine.precision


def _named(engine: Any) -> str:
    return f"{engine.name} in {engine.precision}"
