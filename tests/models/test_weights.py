"""Readers of foreign files, against files written here by hand and against the real ones."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facesearch.errors import ModelError
from facesearch.models.cards import embedder_card
from facesearch.models.weight_files import read_weights, weights_path
from facesearch.models.weights import dlib_dat, frozen_pb
from tests.models.frozen_graphs import INT32, constant, field, graph, node, tensor


def _integer(value: int) -> bytes:
    count = max(1, (value.bit_length() + 7) // 8)
    return bytes([count]) + value.to_bytes(count, "little")


def _string(text: str) -> bytes:
    return _integer(len(text)) + text.encode()


def _tensor(values: list[float], *shape: int) -> bytes:
    return b"".join(map(_integer, (2, *shape))) + struct.pack(f"<{len(values)}f", *values)


def _network() -> bytes:
    """One convolution of 2 filters on 1 channel of 1 x 3, its affine layer and a dense layer of 2 to 1."""
    convolution = _string("con_4") + _tensor([1, 2, 3, 4, 5, 6, 0.5, 0.25], 8, 1, 1, 1)
    convolution += b"".join(map(_integer, (2, 1, 3, 1, 1, 0, 0)))
    affine = _string("affine_") + _tensor([10, 20, 30, 40], 4, 1, 1, 1)
    dense = _string("fc_2") + _integer(1) + _integer(2) + _tensor([7, 8], 2, 1, 1, 1)
    return b"\x01\x01 what stands before is not read " + convolution + affine + dense


def test_dlib_layers_come_apart(tmp_path: Path) -> None:
    (tmp_path / "net.dat").write_bytes(_network())
    filters, biases, gammas, betas, dense = dlib_dat.read(tmp_path / "net.dat")
    assert filters.tolist() == [[[[1, 2, 3]]], [[[4, 5, 6]]]]
    assert biases.tolist() == [0.5, 0.25]
    assert (gammas.tolist(), betas.tolist()) == ([10, 20], [30, 40])
    assert dense.tolist() == [[7], [8]]


@pytest.mark.parametrize("size", [0, 40, 60, len(_network()) - 3])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, size: int) -> None:
    (tmp_path / "net.dat").write_bytes(_network()[:size])
    with pytest.raises(ModelError, match="cut short"):
        dlib_dat.read(tmp_path / "net.dat")


def test_the_real_file_has_the_published_layers() -> None:
    path = weights_path(embedder_card("dlib-resnet").weights[0], "dlib-resnet")
    assert path is not None
    arrays = dlib_dat.read(path)
    assert len(arrays) == 29 * 4 + 1
    assert arrays[0].shape == (32, 3, 7, 7)
    assert arrays[-5].shape == (256, 256, 3, 3)
    assert arrays[-1].shape == (256, 128)
    assert all(np.isfinite(array).all() for array in arrays)


def test_weights_with_another_checksum_are_refused_before_they_are_read(home: Path) -> None:
    import msgspec

    card = embedder_card("dlib-resnet")
    (weights,) = card.weights
    changed = msgspec.structs.replace(card, weights=(msgspec.structs.replace(weights, sha256="0" * 64),))
    with pytest.raises(ModelError, match="is not the file that 'dlib-resnet' was made for"):
        read_weights(changed)


def test_weights_of_a_package_that_is_absent_are_named() -> None:
    import msgspec

    card = embedder_card("dlib-resnet")
    (weights,) = card.weights
    changed = msgspec.structs.replace(card, weights=(msgspec.structs.replace(weights, package="no_such_package"),))
    with pytest.raises(ModelError, match="pip install no_such_package"):
        read_weights(changed)


_SCOPE = "InceptionResnetV1/"
_SIX = np.arange(6, dtype="<f4")


def _frozen(*nodes: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "own.pb").write_bytes(graph(*nodes))
        return folder / "own.pb"

    return write


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (tensor([2, 3], content=_SIX.tobytes()), _SIX.reshape(2, 3)),
        (tensor([2, 3], floats=_SIX.tolist()), _SIX.reshape(2, 3)),
        (tensor([2, 3], floats=[0.5]), np.full((2, 3), 0.5)),
        (tensor([4], floats=[1, 2]), np.array([1, 2, 2, 2])),  # the last is repeated
        (tensor([2, 2]), np.zeros((2, 2))),
        (tensor([], floats=[7]), np.array(7)),
        (tensor([2]) + b"".join(b"\x2d" + struct.pack("<f", each) for each in (3, 4)), np.array([3, 4])),
    ],
)
def test_a_constant_of_a_frozen_graph_is_read(value: bytes, expected: np.ndarray, tmp_path: Path) -> None:
    """In one piece, one by one, as one number and a shape to repeat it to, and as old writers had it."""
    found = frozen_pb.read(_frozen(constant(f"{_SCOPE}w", value))(tmp_path))
    np.testing.assert_array_equal(found[f"{_SCOPE}w"], expected)
    assert found[f"{_SCOPE}w"].dtype == np.float32


def test_of_a_frozen_graph_nothing_else_is_read(tmp_path: Path) -> None:
    one = tensor([1], floats=[1])
    others = (
        constant("elsewhere/w", one),
        constant(f"{_SCOPE}count", field(1, INT32) + field(7, 3), kind=INT32),
        node(f"{_SCOPE}file", "WriteFile", filename=field(2, b"/tmp/x")),
    )
    assert list(frozen_pb.read(_frozen(*others, constant(f"{_SCOPE}w", one))(tmp_path))) == [f"{_SCOPE}w"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (tensor([2], content=bytes(7)), "own.pb is damaged"),
        (tensor([2], content=bytes(12)), "own.pb is damaged"),
        (tensor([1], floats=[1, 2]), "own.pb is damaged"),
        (tensor([1], floats=[1], kind=INT32), "is not a frozen graph"),
        (tensor([1 << 40]), "announces an array"),
        (tensor([(1 << 64) - 1]), "announces an array"),  # -1
    ],
)
def test_a_wrong_constant_of_a_frozen_graph_is_refused(value: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=said):
        frozen_pb.read(_frozen(constant(f"{_SCOPE}w", value))(tmp_path))


def test_a_frozen_graph_that_is_cut_or_changed_anywhere_is_refused_or_read(tmp_path: Path) -> None:
    """Whatever a byte is, the reader comes to an end with arrays of the announced size or with its own error."""
    whole = graph(constant(f"{_SCOPE}w", tensor([2, 3], content=_SIX.tobytes())), node("end", "NoOp"))
    changed = [whole[:size] for size in range(len(whole))]
    changed += [
        whole[:at] + bytes([whole[at] ^ bits]) + whole[at + 1 :] for at in range(len(whole)) for bits in (1, 128, 255)
    ]
    refused = 0
    for data in changed:
        (tmp_path / "own.pb").write_bytes(data)
        try:
            frozen_pb.read(tmp_path / "own.pb")
        except ModelError:
            refused += 1
    assert len(changed) // 2 < refused < len(changed)


def test_a_frozen_graph_of_too_many_nodes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="more than 100,000 nodes"):
        frozen_pb.read(_frozen(*[b""] * 100_002)(tmp_path))


def test_frozen_graphs_are_read_as_tensorflow_reads_them(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow, whose reader is the measure, is not installed")
    from facesearch.models.engines.keras import import_keras

    import_keras()
    import tensorflow as tf
    from tensorflow.core.framework import graph_pb2

    rng = np.random.default_rng(0)
    made = graph_pb2.GraphDef()
    for shape in ((), (1,), (7,), (3, 2, 4)):
        for fill in (None, 0.25):
            value = rng.normal(size=shape).astype(np.float32) if fill is None else fill
            found = made.node.add(name=f"{_SCOPE}{shape}{fill}", op="Const")
            found.attr["dtype"].type = tf.float32.as_datatype_enum
            found.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.float32, shape))
    (tmp_path / "own.pb").write_bytes(made.SerializeToString())
    ours = frozen_pb.read(tmp_path / "own.pb")
    assert len(ours) == len(made.node) == 8
    for each in made.node:
        np.testing.assert_array_equal(ours[each.name], tf.make_ndarray(each.attr["value"].tensor))
