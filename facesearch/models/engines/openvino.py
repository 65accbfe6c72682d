"""Networks on OpenVINO, on a CPU that computes in bfloat16, where it is several times as fast as ONNX Runtime.

A bfloat16 is the upper half of a float32: as wide a range, and 8 bits in place of 24. Sums are kept in 32 bits. In 32
bits OpenVINO wins little and differs from machine to machine, so it never serves in these."""

import hashlib
import zlib
from collections import deque
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.files import write_whole
from facesearch.libraries import settle
from facesearch.models.engines import Engine
from facesearch.models.engines.onnx import OnnxNetwork
from facesearch.packages import is_installed

PLAIN = ".plain.onnx"  # how the file ends of a graph as OpenVINO wants it, beside the one for ONNX Runtime
_COMPILED = ".compiled"
_SUM = 4  # bytes of CRC-32 at the start of a compiled graph's file
# Of the greatest number of an output, how far it may be from what ONNX Runtime gives: two embeddings that differ by
# so much of their length have a cosine of 0.999. Networks here differ by 0.01 and less.
_MOST_APART = 0.045
_TRIED_SIDES = 48, 64  # pixels, of a network that takes any


class UnavailableError(Exception):
    """OpenVINO does not serve here, or not this network; the message is half a sentence."""


class OpenvinoNetwork:
    """A network in an ONNX file, in bfloat16. Calls from several threads at once are allowed. The compiled graph is
    kept beside the file. Sizes that a graph leaves free stay free: its operations are made for each when it comes up
    first, in about 3 ms for P-Net, and kept in memory."""

    breadth = 1

    def __init__(self, path: Path, threads: int) -> None:
        """`threads` is how many cores one call may use. Raises UnavailableError where OpenVINO or the processor's
        bfloat16 is missing, and for a graph that it cannot compile or computes otherwise than ONNX Runtime."""
        self.engine = Engine(f"OpenVINO {import_openvino()}", "bfloat16")
        self._path, self._settings = path, _settings(threads)
        # A copy for each call that runs at the same time, as one copy takes one call after the other. With streams,
        # which are OpenVINO's way to share one, calls change threads or meet in one stream: either costs half.
        self._idle = deque([self._loaded()])

    def __call__(self, batch: NDArray[np.uint8], /) -> tuple[NDArray[np.float32], ...]:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._loaded()
        try:
            return _run(request, batch)
        finally:
            self._idle.append(request)

    def _loaded(self) -> Any:
        kept_at = self._path.with_name(f"{self._path.stem}.{_machine()}{_COMPILED}")
        try:
            graph = _kept(kept_at, self._settings) or _compiled(self._path, self._settings, kept_at)
            return graph.create_infer_request()
        except UnavailableError:
            raise
        except Exception as error:  # its exceptions share no class of their own
            raise UnavailableError(f"OpenVINO cannot compile {self._path.stem}: {_last_line(error)}") from error


@cache
def import_openvino() -> str:
    """Imports OpenVINO, which sends nothing: its package for telemetry cannot be imported from then on. Returns its
    version. Raises UnavailableError where it is absent or broken, or where the processor does not compute in
    bfloat16."""
    settle("openvino")
    if not is_installed("openvino"):
        raise UnavailableError("OpenVINO is not installed")
    try:
        import openvino

        version = str(openvino.__version__).partition("-")[0]  # the number of the build follows
        capabilities = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except Exception as error:  # a wheel for another machine raises what its loader raises
        raise UnavailableError(f"OpenVINO cannot be loaded: {_last_line(error)}") from error
    if "BF16" not in capabilities:
        raise UnavailableError(
            f"this processor does not compute in bfloat16, for which OpenVINO {version} would serve"
        )
    return version


@cache
def _core() -> Any:
    import openvino

    return openvino.Core()


def _settings(threads: int) -> dict[str, Any]:
    """So many cores for a call. Threads are not bound to cores: other programs, and our own decoders, have work for
    these too."""
    return {
        "INFERENCE_PRECISION_HINT": "bf16",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }


@cache
def _machine() -> str:
    """What a compiled graph is made for: the version of OpenVINO and the processor."""
    facts = [_core().get_property("CPU", each) for each in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    return hashlib.sha256(repr([import_openvino(), facts]).encode()).hexdigest()[:8]


def _kept(at: Path, settings: dict[str, Any]) -> Any | None:
    """The graph that was compiled before; None where there is none, or it is damaged: a network with a damaged weight
    would answer, and wrongly."""
    try:
        data = at.read_bytes()
    except OSError:
        return None
    if len(data) <= _SUM or zlib.crc32(memoryview(data)[_SUM:]) != int.from_bytes(data[:_SUM]):
        return None
    return _core().import_model(data[_SUM:], "CPU", settings)


def _compiled(path: Path, settings: dict[str, Any], keep_at: Path) -> Any:
    """The graph, compiled, compared with ONNX Runtime's, and kept where the disk takes it. That of another version or
    processor goes: each is as large as the weights."""
    plain = path.with_suffix(PLAIN)
    graph = (plain if plain.exists() else path).read_bytes()
    compiled = _core().compile_model(_core().read_model(graph), "CPU", settings)
    _refuse_to_differ(compiled, path)
    data = compiled.export_model().getvalue()
    with suppress(OSError):
        for other in path.parent.glob(f"{path.stem}.*{_COMPILED}"):
            other.unlink(missing_ok=True)
        write_whole(keep_at, zlib.crc32(data).to_bytes(_SUM) + data)
    return compiled


def _refuse_to_differ(compiled: Any, path: Path) -> None:
    """Raises UnavailableError where both engines do not agree on a picture."""
    sides = [size.get_length() if size.is_static else None for size in compiled.inputs[0].get_partial_shape()][1:3]
    height, width = (given or other for given, other in zip(sides, _TRIED_SIDES, strict=True))
    rows, columns = np.mgrid[:height, :width]
    shades = np.stack([rows * 5, columns * 3, rows * columns // 7], axis=-1)
    batch = np.stack([shades, shades[::-1] + 90]).astype(np.uint8)  # bands of colour, in all shades
    found = _run(compiled.create_infer_request(), batch)
    wanted = OnnxNetwork(path, 1)(batch)
    for ours, theirs in zip(found, wanted, strict=True):
        apart = float(np.linalg.norm(ours - theirs)) / max(float(np.linalg.norm(theirs)), 1.0)
        if ours.shape != theirs.shape or not apart <= _MOST_APART:
            raise UnavailableError(f"{path.stem} comes out otherwise in bfloat16 (by {apart:.3f} of its length)")


def _run(request: Any, batch: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
    request.infer([np.ascontiguousarray(batch)], share_inputs=True)
    return tuple(np.array(tensor.data, np.float32) for tensor in request.output_tensors)


def _last_line(error: Exception) -> str:
    """What an error says: OpenVINO tells first where in its own source it arose."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200]
