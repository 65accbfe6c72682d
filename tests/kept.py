"""What takes longer to start than most tests last is started once and passed on: processes that decode, and networks.
A test is handed what the one before it left in order; what was at work when it ended, or was ended, is not kept."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facesearch.errors import PhotoError
from facesearch.models import serving
from facesearch.models.engines.onnx import OnnxNetwork
from facesearch.models.engines.openvino import OpenvinoNetwork
from facesearch.photos import pool
from facesearch.photos.decoder import Decoder, Shape
from facesearch.photos.decoding_process import Reply

_MOST_IDLE = 6  # processes: some 60 MB each
_MOST_NETWORKS = 12
_OF_NO_PROCESS = {"FACESEARCH_HOME", "PYTEST_CURRENT_TEST"}  # variables that a decoder never asks for

Key = tuple[object, ...]
_idle: deque[tuple[Key, Decoder]] = deque()
_taking = threading.Lock()  # threads of a pool start decoders at the same time


class KeptDecoder:
    """In place of a Decoder: its process goes on when the pool that started it has ended."""

    def __init__(self, program: str, max_megapixels: float, seconds: float) -> None:
        environment = sorted(item for item in os.environ.items() if item[0] not in _OF_NO_PROCESS)
        self._key: Key = (program, max_megapixels, seconds, *environment)
        self._one = self._taken() or Decoder(program, max_megapixels, seconds)
        self._change = threading.Lock()  # guards the two below
        self._is_over = self._is_at_work = False

    def _taken(self) -> Decoder | None:
        while True:
            with _taking:
                found = next((each for each in _idle if each[0] == self._key), None)
                if found is None:
                    return None
                _idle.remove(found)
            if found[1]._process.poll() is None:
                return found[1]
            found[1].close()

    def call(
        self, expected: Shape | None, name: str, arguments: tuple[object, ...]
    ) -> tuple[Reply, NDArray[np.uint8]] | PhotoError:
        with self._change:
            if self._is_over:
                raise EOFError
            self._is_at_work = True
        reply = self._one.call(expected, name, arguments)
        self._is_at_work = False  # after an error half of a reply may still be on its way
        return reply

    def kill_if_late(self) -> None:
        self._one.kill_if_late()

    def kill(self) -> None:
        with self._change:
            self._is_over = True
            if self._is_at_work:
                self._one.kill()

    def close(self) -> int:
        self.kill()
        if self._is_at_work:
            return self._one.close()
        with _taking:
            _idle.append((self._key, self._one))
        end_idle(_MOST_IDLE)
        return 0

    def failure(self) -> PhotoError:
        return self._one.failure()


def end_idle(but: int = 0) -> None:
    """Ends those that wait for the next test, all but so many."""
    while True:
        with _taking:
            if len(_idle) <= but:
                return
            _, decoder = _idle.popleft()
        decoder.close()


@contextmanager
def decoders_kept() -> Iterator[None]:
    """Whatever starts decoders inside is given those that others have left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "Decoder", KeptDecoder)
        yield


@contextmanager
def networks_kept() -> Iterator[None]:
    """Whatever loads networks inside is given those that others have loaded from the same file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "OnnxNetwork", _from_file(_onnx))
        patch.setattr(serving, "OpenvinoNetwork", _from_file(_openvino))
        yield


def _from_file(load: Callable[..., Any]) -> Callable[..., Any]:
    def loaded(path: Path, *options: object) -> Any:
        real = path.resolve()
        found = real.stat()
        return load(real, (found.st_ino, found.st_size, found.st_mtime_ns), *options)

    return loaded


@lru_cache(_MOST_NETWORKS)
def _onnx(path: Path, _: object, *options: Any) -> OnnxNetwork:
    return OnnxNetwork(path, *options)


@lru_cache(_MOST_NETWORKS)
def _openvino(path: Path, _: object, *options: Any) -> OpenvinoNetwork:
    return OpenvinoNetwork(path, *options)
