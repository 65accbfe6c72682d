"""What a model's card may say: records whose every field has a range, so that a wrong one is named when read."""

import re
from math import hypot
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from facesearch.errors import UsageError
from facesearch.home import valid_name

_NOT_A_MODEL = (".toml", ".part")  # models/NAME.toml is the card of NAME, and .part marks what is unfinished
CHECKPOINT, PEOPLE = "checkpoint.npz", "people.json"  # what training keeps in a model's folder beside its weights
_NOT_WEIGHTS = (CHECKPOINT, PEOPLE)
_LONGEST_FILE_NAME = 150  # bytes: a file's name has 255, and one that is not finished has an ending more
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_LEAST_SPREAD = 1.0  # pixels of a chip between two landmarks: below, no turn or scale follows from them
_THRESHOLDS = {"mtcnn": 3, "yunet": 1}
_OVERLAPS = {"mtcnn": 4, "yunet": 1}
_FILES = {"mtcnn": 3, "yunet": 1, "openvino_graph": 2}  # of weights; of other networks one

Format: TypeAlias = Literal["dlib_dat", "joblib_list", "tensors", "onnx", "openvino_xml", "openvino_bin"]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Grey = Annotated[float, Meta(ge=-10_000, le=10_000)]
_Pixel = Annotated[float, Meta(ge=-4096, le=4096)]
_Importance = Annotated[float, Meta(ge=0, le=1000)]
_Template = Annotated[tuple[tuple[_Pixel, _Pixel], ...], Meta(min_length=5, max_length=5)]


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What every card must obey: an unknown key is an error, so that a typing mistake is never ignored."""


class Weights(Card, frozen=True, forbid_unknown_fields=True):
    """A file of weights: inside an installed package, or else in the model's folder under the home. `format` names
    the reader in `facesearch.models.weights` (`onnx` is a whole graph). `url` is where `models
    pull` gets the file from, of `size` bytes where that is known; `sha256` is unknown of a file that everybody
    brings along."""

    path: str
    format: Format
    package: str = ""
    sha256: str = ""
    url: str = ""
    size: Annotated[int, Meta(ge=0, le=1 << 40)] = 0

    def __post_init__(self) -> None:
        """Raises ValueError for a path that leads elsewhere, and for what cannot be checked."""
        parts = self.path.split("/") if self.package else [self.path]
        if not all(_is_file_name(part) for part in parts) or (not self.package and self.path in _NOT_WEIGHTS):
            where = f"inside {self.package}" if self.package else "in the model's own folder"
            raise ValueError(f"`path` {self.path!r} must be the plain name of a file {where}")
        if self.package and not (self.package.isascii() and self.package.isidentifier()):
            raise ValueError(f"`package` {self.package!r} must be the name of a package")
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"`sha256` {self.sha256!r} must be 64 hexadecimal digits")
        if self.url and not is_web_address(self.url):
            raise ValueError(f"`url` {self.url!r} must begin with https:// or http://")
        if self.url and not self.sha256:
            raise ValueError("`sha256` must be given where `url` is: what is downloaded is compared with it")


class Threshold(Card, frozen=True, forbid_unknown_fields=True):
    """The similarity from which two faces count as one person, and the share of pairs of strangers (`far`)
    that reach it, as measured on `measured_on`. What follows is for the own thresholds of a gallery's faces, which
    a card without it does not give: `unit` is the step in similarity from `far` to a tenth of it, and `nearest` says
    how alike strangers look: by ascending numbers of people, the mean over faces of a face's 10 greatest
    similarities to so many strangers (to all of them where they are fewer)."""

    similarity: Annotated[float, Meta(ge=-1, le=1)]
    far: Annotated[float, Meta(gt=0, lt=1)]
    measured_on: str
    unit: Annotated[float, Meta(ge=0, le=2)] = 0.0
    nearest: tuple[tuple[Annotated[int, Meta(ge=1, le=1_000_000)], Annotated[float, Meta(ge=-1, le=1)]], ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError where the numbers of people do not ascend."""
        people = [count for count, _ in self.nearest]
        if people != sorted(set(people)):
            raise ValueError("`nearest` must have ascending numbers of people")


_Units: TypeAlias = Annotated[float, Meta(ge=-20, le=20)]
_Bars: TypeAlias = tuple[_Units, _Units]


class Grouping(Card, frozen=True, forbid_unknown_fields=True):
    """From which likeness on two groups of faces are one person's, by how careful one is: in units over the
    threshold, first for two single faces, then for two large groups, as measured on `measured_on`. A model whose
    card has a threshold and not this is grouped by the usual bars."""

    measured_on: str
    careful: _Bars
    balanced: _Bars
    eager: _Bars

    def __post_init__(self) -> None:
        """Raises ValueError where a large group needs more than two faces, or eager is more careful than careful."""
        if any(many > one for one, many in (self.careful, self.balanced, self.eager)):
            raise ValueError("the bars of `grouping` must not rise with the size of groups")
        if not sum(self.careful) >= sum(self.balanced) >= sum(self.eager):
            raise ValueError("the bars of `grouping` must fall from `careful` to `eager`")


class Advice(Card, frozen=True, forbid_unknown_fields=True):
    """To whom a model is recommended: the owner of a gallery of the default model, once it has more than so many
    `faces`; `gain` is half a sentence that says what it would change."""

    faces: Annotated[int, Meta(ge=1)]
    gain: str


class LandmarkAlignment(Card, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="landmarks"):
    """Chips by landmarks: by the detector's name, where its landmarks fall in a chip, in pixels. `weights` say how
    much each landmark counts for that."""

    templates: Annotated[dict[str, _Template], Meta(min_length=1)]
    weights: tuple[_Importance, _Importance, _Importance, _Importance, _Importance] = (1.0, 1.0, 1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        """Raises ValueError where landmarks that count fall on one point, or none counts."""
        if not sum(self.weights) > 0:
            raise ValueError("`weights` must have a sum above 0")
        for detector, points in self.templates.items():
            counted = [point for point, weight in zip(points, self.weights, strict=False) if weight > 0]
            if max(hypot(x - counted[0][0], y - counted[0][1]) for x, y in counted) < _LEAST_SPREAD:
                raise ValueError(f"`templates.{detector}` and `weights` leave a single point")


class BoxAlignment(Card, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="box"):
    """Chips by boxes, as the original FaceNet's: the box widened by half of `margin` pixels of the photo on each
    side, cut at the photo's edge, stretched to the chip."""

    margin: Annotated[float, Meta(ge=0, le=10_000)]


class DetectorCard(Card, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="detector"):
    """Facts about a face detector. Confidences and overlaps are in 0..1: of MTCNN one threshold after each of its
    networks, and the most overlap in a P-Net level, between levels, after R-Net and after O-Net; of YuNet one
    each. A photo whose longest side is above `max_side` is looked at in about that size (0: always as it is), and
    `min_face_px` are pixels of what is looked at. MTCNN proposes faces in a version whose longest side is at most
    `proposal_side` (0: any), and `min_face_px` are pixels of that; it decides in what is looked at."""

    name: str
    title: str
    network: Literal["mtcnn", "yunet"]
    licence: str
    source: str
    weights: tuple[Weights, ...]
    min_face_px: Annotated[float, Meta(ge=1, le=10_000)]
    thresholds: tuple[_Share, ...]
    overlaps: tuple[_Share, ...]
    max_side: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    proposal_side: Annotated[float, Meta(ge=0, le=1_000_000)] = 0
    scale_factor: Annotated[float, Meta(ge=0.1, le=0.95)] = 0.709  # nearer to 1 a photo has thousands of levels
    paper: str = ""
    tried: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError for a name that cannot be, and for other counts than the network needs."""
        _refuse_name(self.name)
        for field, counts in (("thresholds", _THRESHOLDS), ("overlaps", _OVERLAPS), ("weights", _FILES)):
            _refuse_count(field, len(getattr(self, field)), self.network, counts[self.network])


class EmbedderCard(Card, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="embedder"):
    """Facts about an embedding network: chips of chip_px x chip_px pixels in, `dim` numbers out. A pixel enters it as
    (x - mean) / scale, or where it is `whitened` by the chip's own mean and deviation, in the order `channels`.
    `threshold` is None until it was measured; `accuracy` is by the name of the test. What was never run by whoever
    wrote the card is not `tried`."""

    name: str
    title: str
    network: Literal["dlib_resnet", "facenet", "resnet", "small", "onnx_graph", "openvino_graph"]
    licence: str
    source: str
    weights: tuple[Weights, ...]
    dim: Annotated[int, Meta(ge=1, le=16_384)]
    chip_px: Annotated[int, Meta(ge=8, le=2048)]
    alignment: LandmarkAlignment | BoxAlignment
    detector: str = "mtcnn"
    mean: tuple[_Grey, _Grey, _Grey] = (127.5, 127.5, 127.5)
    scale: Annotated[float, Meta(ge=-1e6, le=1e6)] = 128.0
    whitened: bool = False
    channels: Literal["RGB", "BGR"] = "RGB"
    mirrored: bool = False
    threshold: Threshold | None = None
    grouping: Grouping | None = None
    training: str = ""
    accuracy: dict[str, str] = {}
    paper: str = ""
    tried: bool = True
    default: bool = False
    advice: Advice | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a name that cannot be, pixels divided by nothing and a detector without landmarks."""
        _refuse_name(self.name)
        _refuse_count("weights", len(self.weights), self.network, _FILES.get(self.network, 1))
        if abs(self.scale) < 1e-6:
            raise ValueError(f"`scale` is {self.scale:g}, and pixels are divided by it")
        if isinstance(self.alignment, BoxAlignment):
            return
        if self.detector not in self.alignment.templates:
            raise ValueError(f"`detector` is {self.detector!r}, and `alignment.templates` has no landmarks of it")


ModelCard: TypeAlias = DetectorCard | EmbedderCard


def valid_model_name(name: str) -> str:
    """The name, if a model can have it. Raises UsageError."""
    if name.lower().endswith(_NOT_A_MODEL):
        raise UsageError(f"'{_shown(name)}' cannot name a model, as it ends in {name[-5:]}; choose another name.")
    return valid_name(name, "model")


def is_web_address(url: str) -> bool:
    """Whether it is an address of the web, and nothing else that a library may open."""
    return url.lower().startswith(("https://", "http://"))


def is_weights_name(name: str) -> bool:
    """Whether a file of weights in a model's folder can have the name."""
    return _is_file_name(name) and name not in _NOT_WEIGHTS


def _is_file_name(name: str) -> bool:
    fits = 0 < len(name.encode(errors="replace")) <= _LONGEST_FILE_NAME and name.isprintable()
    return fits and not name.startswith(".") and not name.endswith(".part") and not {"/", "\\"} & set(name)


def _refuse_count(field: str, count: int, network: str, needed: int) -> None:
    if count != needed:
        raise ValueError(f"`{field}` has {count} entries, and {network} needs {needed}")


def _refuse_name(name: str) -> None:
    try:
        valid_model_name(name)
    except UsageError as error:
        raise ValueError(f"`name`: {str(error).rstrip('.')}") from error


def _shown(name: str) -> str:
    return name[:100].encode("unicode_escape").decode()
