"""What a crop might have looked like: cut a little otherwise, mirrored, in another light."""

import cv2
import numpy as np

from facesearch.arrays import Pixels

_LARGEST = 1.15  # times a chip: the size of a crop before the chip is cut from it
_TURN = 6.0  # degrees, either way
_LIGHT = 0.25  # by so much of itself a chip is brighter or darker
_SIDE_LIGHT = 0.35  # by so much its edges are, from one side to the other
_CONTRAST = 0.2


def enlarged(chip_px: int) -> int:
    """The side of a crop from which a chip is cut at random."""
    return round(chip_px * _LARGEST)


def altered(crop: Pixels, chip_px: int, rng: np.random.Generator) -> Pixels:
    """A chip, (chip_px, chip_px, 3), cut from a crop of `enlarged` size, turned, mirrored and lit at random."""
    side = crop.shape[0]
    width = rng.uniform(chip_px, side)  # of the square that becomes the chip
    angle = np.deg2rad(rng.uniform(-_TURN, _TURN))
    slack = (side - width) / 2
    centre = (side - 1) / 2 + rng.uniform(-slack, slack, 2)
    scale = width / chip_px
    across, down = scale * np.cos(angle), scale * np.sin(angle)
    mirror = -1 if rng.random() < 0.5 else 1
    middle = (chip_px - 1) / 2
    # From the chip's pixels to the crop's, as cv2.WARP_INVERSE_MAP wants it.
    matrix = np.array([[mirror * across, -down, 0], [mirror * down, across, 0]])
    matrix[:, 2] = centre - matrix[:, :2] @ (middle, middle)
    chip = cv2.warpAffine(
        crop, matrix, (chip_px, chip_px), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
    )
    return _lit(np.asarray(chip, np.uint8), rng)


def _lit(chip: Pixels, rng: np.random.Generator) -> Pixels:
    """Light from a side, brighter or darker, with more or less contrast."""
    px = chip.shape[0]
    gain = 1 + rng.uniform(-_LIGHT, _LIGHT)
    across, down = rng.uniform(-_SIDE_LIGHT, _SIDE_LIGHT, 2)
    contrast = 1 + rng.uniform(-_CONTRAST, _CONTRAST)
    place = np.linspace(-1, 1, px, dtype=np.float32)
    light = (gain * contrast * (1 + across * place[None, :] + down * place[:, None])).astype(np.float32)  # (px, px)
    grey = np.float32((1 - contrast) * chip.mean())
    return np.asarray(np.clip(chip * light[..., None] + grey, 0, 255), np.uint8)
