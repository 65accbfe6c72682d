"""Readers of foreign files, against files written here by hand and against the real ones."""

import struct
from pathlib import Path

import numpy as np
import pytest

from facesearch.errors import ModelError
from facesearch.models.cards import embedder_card
from facesearch.models.serving import build
from facesearch.models.weight_files import weights_path
from facesearch.models.weights import dlib_dat


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
        build(changed)


def test_weights_of_a_package_that_is_absent_are_named() -> None:
    import msgspec

    card = embedder_card("dlib-resnet")
    (weights,) = card.weights
    changed = msgspec.structs.replace(card, weights=(msgspec.structs.replace(weights, package="no_such_package"),))
    with pytest.raises(ModelError, match="pip install no_such_package"):
        build(changed)
