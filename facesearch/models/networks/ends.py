"""What stands before and after every embedding network: pixels become what it was trained on, and its numbers may be
reduced to fewer."""

from collections.abc import Callable, Mapping

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from facesearch.errors import ModelError
from facesearch.models.cards import EmbedderCard

Arrays = Mapping[str, NDArray[np.float32]]

_MEAN, _AXES = "reduction/mean", "reduction/axes"


def served(
    network: Callable[[int, int], keras.Model],
    set_tensors: Callable[[keras.Model, Arrays], None],
    tensors: Arrays,
    card: EmbedderCard,
) -> dict[str, keras.Model]:
    """The network with these weights as `{"embedder": model}`: (n, chip_px, chip_px, 3) uint8 to (n, dim) float32,
    not yet of unit length. Raises ModelError when a tensor is missing or has another shape."""
    chips = keras.Input((card.chip_px, card.chip_px, 3), dtype="uint8", name="chips")
    core = network(width(tensors, card.dim), card.chip_px)
    set_tensors(core, tensors)
    return {"embedder": keras.Model(chips, _reduced(core(standardised(chips, card)), tensors), name=card.network)}


def standardised(chips: keras.KerasTensor, card: EmbedderCard) -> keras.KerasTensor:
    """Chips, (n, height, width, 3) uint8, as the network was trained on them: by the card's mean and scale, or each
    by its own mean and deviation (which counts as at least that of one grey step in all pixels)."""
    x = ops.cast(chips, "float32")
    if card.whitened:
        mean = ops.mean(x, axis=(1, 2, 3), keepdims=True)
        deviation = ops.sqrt(ops.mean(ops.square(x - mean), axis=(1, 2, 3), keepdims=True))
        return (x - mean) / ops.maximum(deviation, 1 / np.sqrt(3 * card.chip_px**2))
    return (x - np.asarray(card.mean, np.float32)) / card.scale


def reduction(embeddings: NDArray[np.float32], dim: int) -> dict[str, NDArray[np.float32]]:
    """The tensors that reduce embeddings like these, (n, width) of unit length, to their `dim` principal components.
    Raises ModelError when they have fewer."""
    most = min(embeddings.shape)
    if dim >= embeddings.shape[1] or dim > most:
        raise ModelError(f"{embeddings.shape[0]:,} embeddings of {embeddings.shape[1]} numbers cannot become {dim}.")
    from sklearn.decomposition import PCA

    found = PCA(dim, svd_solver="full").fit(embeddings)
    return {_MEAN: np.asarray(found.mean_, np.float32), _AXES: np.ascontiguousarray(found.components_.T, np.float32)}


def width(tensors: Arrays, dim: int) -> int:
    """How many numbers the bare network gives, whose embeddings have `dim`."""
    return int(tensors[_MEAN].shape[0]) if _MEAN in tensors else dim


def reduce(embeddings: NDArray[np.float32], tensors: Arrays) -> NDArray[np.float32]:
    """Embeddings, (n, width) of unit length, in fewer numbers, (n, dim), of unit length again; as they are where the
    tensors hold no reduction."""
    if _MEAN not in tensors:
        return embeddings
    fewer = (embeddings - tensors[_MEAN]) @ tensors[_AXES]
    return np.asarray(fewer / np.maximum(np.linalg.norm(fewer, axis=1, keepdims=True), 1e-12), np.float32)


def get_in_order(model: keras.Model) -> dict[str, NDArray[np.float32]]:
    """A network's weights by their place."""
    return {str(i): np.asarray(ops.convert_to_numpy(weight), np.float32) for i, weight in enumerate(model.weights)}


def set_in_order(model: keras.Model, arrays: Arrays) -> None:
    """Gives a network what get_in_order gave. Raises ModelError when an array is missing or has another shape."""
    for i, weight in enumerate(model.weights):
        values = arrays.get(str(i))
        if values is None or values.shape != tuple(weight.shape):
            raise ModelError(f"The weights are not those of this network: number {i} is missing or of another shape.")
        weight.assign(values)


def _reduced(x: keras.KerasTensor, tensors: Arrays) -> keras.KerasTensor:
    if _MEAN not in tensors:
        return x
    x = x / ops.maximum(ops.norm(x, axis=1, keepdims=True), 1e-12)
    return ops.matmul(x - tensors[_MEAN], tensors[_AXES])
