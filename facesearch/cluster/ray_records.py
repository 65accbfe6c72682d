"""What passes between the driver, the process of the command on its own machine, and the workers on a cluster."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from facesearch.errors import FaceSearchError
from facesearch.faces.analyser import Analysed
from facesearch.files import printable
from facesearch.flow.pace import Pace
from facesearch.flow.stages import Failed, Found, Job, Loaded
from facesearch.models.cards import DetectorCard, EmbedderCard
from facesearch.models.device import Precision
from facesearch.models.engines import Engine
from facesearch.photos.addresses import is_remote
from facesearch.photos.file import PhotoFile

Item: TypeAlias = Job[Any] | Loaded[Any]  # of a photo that no node sees, the bytes travel
Row: TypeAlias = Found[Any, Analysed] | Failed[Any]


class UnfitError(FaceSearchError):
    """A node cannot work for a run. The message is half a sentence, behind the node's name."""


def unseen(path: str, why: str) -> str:
    """Half a sentence, behind a node's name, about a photo that this machine sees and the node does not."""
    if is_remote(path):
        remedy = "set in the environment of its ray start what is needed to read that address"
    else:
        remedy = "mount its folder there, at the same path"
    return f"does not see {printable(path)} as this machine does ({why}); {remedy}"


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is to do with photos. `exports` says, by the names of the two cards, what the folders of their
    networks are called; `engine` is what must embed, None where the first worker decides. At its start a worker must
    see the `sights`, files as this machine sees them."""

    detector: DetectorCard
    embedder: EmbedderCard
    exports: dict[str, str]
    on_gpu: bool
    precision: Precision
    engine: Engine | None
    pace: Pace
    max_megapixels: float
    seconds: float
    makes_pictures: bool
    sights: tuple[PhotoFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker can begin; what embeds there."""

    engine: Engine


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a node cannot work for this run: half a sentence behind its name."""

    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Photos that a worker gets at once. `deaths` counts the workers that ended over it: it is then given to one that
    has nothing else to do. `node_ends` counts those that ended with their node, or were left out with it."""

    number: int
    items: tuple[Item, ...]
    deaths: int = 0
    node_ends: int = 0

    @property
    def is_suspect(self) -> bool:
        return self.deaths > 0

    @property
    def loaded(self) -> int:
        """Bytes of the photos in it that travel."""
        return sum(len(item.photo.data) for item in self.items if isinstance(item, Loaded))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker made of a batch: rows, whose keys are places in the batch, and the places of photos that its node
    does not see, each with the reason, and of files that are no photos."""

    rows: tuple[Row, ...]
    unseen: tuple[tuple[int, str], ...] = ()
    others: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """A batch that came back, and the node that had it."""

    batch: Batch
    answer: Answer
    node: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A batch whose worker ended. That is the fault of its photos, perhaps, where it was not that of its node.
    `is_next` where it is not the first that this worker had."""

    batch: Batch
    is_of_node: bool
    is_next: bool = False


class Crew(Protocol):
    """The workers of a run. All may raise FaceSearchError: where no node can work, or the cluster is gone."""

    @property
    def size(self) -> int:
        """How many workers there are, or are wanted."""
        ...

    @property
    def busy(self) -> int:
        """How many batches are with workers."""
        ...

    def hand_out(self, next_batch: Callable[[bool], Batch | None]) -> None:
        """Gives every worker that has room what `next_batch` gives for it, which is asked whether it is idle."""
        ...

    def wait(self, seconds: float) -> list[Done | Lost]:
        """What has come until now, or, where that is nothing, within so many seconds."""
        ...

    def doubt(self, node: str, path: str, why: str) -> None:
        """A node saw none of a batch's photos, of which this is one that this machine has read, and why not."""
        ...

    def sentence(self) -> str:
        """How many workers there are, and what they do."""
        ...


@dataclass(frozen=True, slots=True)
class Use:
    """What a run had of a cluster: so many workers on so many nodes, and a sentence for each node that refused."""

    workers: int
    nodes: int
    refused: tuple[str, ...] = ()
