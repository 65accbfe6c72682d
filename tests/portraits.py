"""Photos of people who do not exist: two portraits, their faces bent and blended, their colours and light changed.

They stand in for Labeled Faces in the Wild where that is not at hand. A person is a seed: it says which face is bent
and how, strongly enough that the default model takes two of them for two people. A number is a photo of that person.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Pixels
from facesearch.photos.view import read

SIDE = 250  # pixels, as in LFW
_FACE = 115  # height of a face in a made photo, in pixels, as in LFW
_BUMPS = 14  # that bend a face
_BEND = 0.055  # of a person's face: at 0.03 people are too alike, at 0.08 every other face is no longer found
_EXPRESSION = 0.015  # how much the photos of one person differ

_Map = NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """A portrait, and where its face is: the middle and the height, in pixels."""

    pixels: Pixels
    middle: tuple[float, float]
    height: float


def sources() -> tuple[Source, Source]:
    """Eileen Collins, photographed by NASA, whom facesearch ships, and Grace Hopper, photographed by the US Navy,
    whom matplotlib ships; both are in the public domain."""
    collins = Path(str(resources.files("facesearch"))) / "astronaut.jpg"
    hopper = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return Source(read(str(collins)), (191.5, 117.0), 117.0), Source(read(str(hopper)), (264.0, 224.0), 221.0)


def portrait(of: tuple[Source, Source], seed: int, number: int = 1) -> Pixels:
    """One photo, (250, 250, 3), of one person; always the same one for the same seed and number."""
    person, photo = np.random.default_rng(seed), np.random.default_rng((seed, number))
    share = person.choice((0.0, 0.4, 0.6, 1.0))
    x, y = _bent(*_bent(*_framed(photo, number), person, _BEND), photo, _EXPRESSION)
    face = (1 - share) * _cut(of[0], x, y) + share * _cut(of[1], x, y)
    tinted = 255 * (face / 255) ** np.exp(person.normal(0, 0.35)) * np.exp(person.normal(0, 0.2, 3))
    made: Pixels = np.clip(tinted * _light(photo) + photo.normal(0, 3, tinted.shape), 0, 255).astype(np.uint8)
    return made


def _cut(source: Source, x: _Map, y: _Map) -> NDArray[np.float64]:
    across = (source.middle[0] + x * source.height).astype(np.float32)
    down = (source.middle[1] + y * source.height).astype(np.float32)
    cut = cv2.remap(source.pixels, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(cut, np.float64)


def _framed(photo: np.random.Generator, number: int) -> tuple[_Map, _Map]:
    """Where each pixel lies from the middle of the face, in heights of the face; each photo is a little turned and
    moved, every other one mirrored."""
    v, u = (np.mgrid[0:SIDE, 0:SIDE] - SIDE / 2) / _FACE
    if number % 2 == 0:
        u = -u
    angle, size = np.radians(photo.uniform(-6, 6)), photo.uniform(0.95, 1.05)
    left, up = photo.uniform(-0.05, 0.05, 2)
    return size * (u * np.cos(angle) - v * np.sin(angle)) + left, size * (u * np.sin(angle) + v * np.cos(angle)) + up


def _bent(u: _Map, v: _Map, drawn: np.random.Generator, strength: float) -> tuple[_Map, _Map]:
    """A face of another shape: longer or wider, and pushed here and there."""
    x, y = u.copy(), v.copy()
    for _ in range(_BUMPS):
        (left, top), breadth = drawn.uniform(-0.5, 0.5, 2), drawn.uniform(0.12, 0.3)
        bump = np.exp(-((u - left) ** 2 + (v - top) ** 2) / (2 * breadth**2))
        right, down = drawn.normal(0, strength, 2)
        x, y = x + right * bump, y + down * bump
    wider, longer = np.exp(drawn.normal(0, strength, 2))
    return x + u * (wider - 1), y + v * (longer - 1)


def _light(photo: np.random.Generator) -> _Map:
    """(250, 250, 1): brighter from one side."""
    v, u = (np.mgrid[0:SIDE, 0:SIDE] - SIDE / 2) / SIDE
    angle = photo.uniform(0, 2 * np.pi)
    return np.asarray(photo.uniform(0.85, 1.1) * (1 + 0.3 * (u * np.cos(angle) + v * np.sin(angle)))[..., None])


# Seeds for whom the default models find exactly one face in each photo. No two of the named are taken for one person;
# nor are any two of the same three of the unnamed, who stand side by side in a fold of the list of pairs.
_NAMED = {
    "Abdullah_Gul": 269,
    "Angelina_Jolie": 376,
    "George_W_Bush": 97,
    "Serena_Williams": 202,
    "Tiger_Woods": 469,
    "Tony_Blair": 438,
}
_UNNAMED_SEEDS = (
    151, 303, 322, 8, 79, 511, 474, 71, 446, 61, 49, 352,
    545, 52, 528, 498, 55, 206, 35, 102, 162, 101, 17, 417,
    520, 23, 374, 123, 332, 350, 176, 257, 200, 117, 344, 445,
    56
)  # fmt: skip
_UNNAMED = tuple(f"Nobody_{number:02d}" for number in range(len(_UNNAMED_SEEDS)))
_SEEDS = _NAMED | dict(zip(_UNNAMED, _UNNAMED_SEEDS, strict=True))
_WITH_ANOTHER = ("Angelina_Jolie", 2)  # the photo in which a second face is to be seen, as in LFW's
_ALONE = 5  # of the unnamed, the last, have but one photo


class Faces:
    """A folder of photos that is laid out as LFW is, and its list of pairs."""

    def __init__(self, images: Path, pairs: Path) -> None:
        self.images, self.pairs = images, pairs

    def photo(self, person: str, number: int = 1) -> Path:
        return self.images / person / f"{person}_{number:04d}.jpg"


class MadeFaces(Faces):
    """People who do not exist: those named after people of LFW have as many photos as are asked for, the unnamed
    three each, the last of them but one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "images", folder / "pairs.txt")
        self._sources = sources()
        for person in _SEEDS:
            for number in range(1, 2 if person in _UNNAMED[-_ALONE:] else 4):
                self.photo(person, number)
        self.pairs.write_text("\n".join([f"10\t{3}", *_pairs()]) + "\n")

    def photo(self, person: str, number: int = 1) -> Path:
        path = super().photo(person, number)
        if not path.exists():
            pixels = portrait(self._sources, _SEEDS[person], number)
            if (person, number) == _WITH_ANOTHER:
                pixels[:70, 180:] = cv2.resize(portrait(self._sources, _SEEDS[_UNNAMED[0]])[55:195, 55:195], (70, 70))
            _write(path, pixels)
        return path


def _pairs() -> Iterator[str]:
    """Ten folds of three people, who make three pairs of one person and three of two."""
    for first in range(0, 30, 3):
        a, b, c = _UNNAMED[first : first + 3]
        yield from (f"{person}\t1\t2" for person in (a, b, c))
        yield from (f"{one}\t1\t{other}\t3" for one, other in ((a, b), (b, c), (c, a)))


def made_lights(folder: Path) -> Path:
    """Fills a folder with photos named and cropped as Yale B's: 22 people, each in light from eight directions."""
    down, across = np.mgrid[-1:1:192j, -1:1:168j]
    of = sources()
    for person, name in enumerate(_UNNAMED[:22], start=1):
        # Eyes and mouth lie where Yale B has them.
        face = cv2.resize(portrait(of, _SEEDS[name])[91:173, 89:161], (168, 192)).mean(axis=2)
        for azimuth in (0, 5, -10, 20, -25, 40, -60, 100):
            angle = np.radians(azimuth)
            shade = np.clip(np.cos(angle) + across * np.sin(angle), 0.05, 1) * (1 - 0.1 * down**2)
            noise = np.random.default_rng((person, azimuth + 180)).normal(0, 4, face.shape)
            lit = np.clip(face * shade + noise, 0, 255).astype(np.uint8)
            _write(folder / f"yaleB{person:02d}_P00A{azimuth:+04d}E+00.pgm", lit)
    return folder


def _write(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    done, encoded = cv2.imencode(path.suffix, np.ascontiguousarray(pixels[..., ::-1]) if pixels.ndim == 3 else pixels)
    assert done
    path.write_bytes(encoded.tobytes())
