"""The layers of a network in OpenVINO's intermediate representation, version 11 (`.xml`): what each does and what it
takes, as facts. The numbers that they work with lie in the `.bin` beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from facesearch.errors import ModelError

_VERSION = "11"
_MOST_BYTES = 1 << 24  # fifty times what a network of 700 layers has
_MOST_LAYERS = 20_000
_MOST_EDGES = 100_000
_DEEPEST = 16  # elements inside of each other: net, layers, layer, output, port, dim, and some to spare
_MOST_DIMENSIONS = 8
_LONGEST = 1_000_000_000_000  # a number with more digits says nothing of a network


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its kind, the attributes of its `data`, the ids of the layers whose results it takes, in order, and
    the sizes of its own result, empty where it has none."""

    id: int
    kind: str
    facts: Mapping[str, str]
    inputs: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(slots=True)
class _Found:
    """A layer while it is read: of its ports the ids, and the sizes of its result."""

    kind: str
    facts: dict[str, str] = field(default_factory=dict)
    takes: list[str] = field(default_factory=list)
    gives: list[str] = field(default_factory=list)
    shape: list[int] = field(default_factory=list)


def read(path: Path) -> tuple[Layer, ...]:
    """The layers, each after those that it takes. Raises ModelError for a file that is not such a network, that is
    cut short, or that is larger than a network can be."""
    if path.stat().st_size > _MOST_BYTES:
        raise ModelError(f"{path} has more than {_MOST_BYTES >> 20} MB, which no description of a network here has.")
    reader = _Reader(path)
    try:
        reader.parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        raise ModelError(f"{path} is not XML, or it is cut short ({error}).") from error
    return _in_order(path, reader.layers, reader.edges)


class _Reader:
    """What the XML parser calls. It keeps what belongs to layers and edges, and nothing else."""

    def __init__(self, path: Path) -> None:
        self.layers: dict[int, _Found] = {}
        self.edges: list[tuple[str, str, str, str]] = []
        self._path, self._open = path, list[str]()
        self._layer: _Found | None = None
        self._text: list[str] | None = None
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        # What may make a small file large, or lead to another one, comes in here.
        self.parser.StartDoctypeDeclHandler = lambda *_: self._refuse("it declares entities or a document type")

    def _refuse(self, why: str) -> NoReturn:
        raise ModelError(f"{self._path} is not a network of OpenVINO, version {_VERSION}: {why}.")

    def _start(self, name: str, facts: dict[str, str]) -> None:
        self._open.append(name)
        if len(self._open) > _DEEPEST:
            self._refuse(f"its elements are more than {_DEEPEST} deep")
        match self._open:
            case [_]:
                if name != "net" or facts.get("version") != _VERSION:
                    self._refuse(f"it begins with {name} {facts.get('version', 'without a version')}")
            case ["net", "layers", "layer"]:
                self._layer = self._new_layer(facts)
            case ["net", "layers", "layer", "data"] if self._layer:
                self._layer.facts = dict(facts)
            case ["net", "layers", "layer", "input" | "output" as side, "port"] if self._layer:
                (self._layer.takes if side == "input" else self._layer.gives).append(facts.get("id", ""))
            case ["net", "layers", "layer", "output", "port", "dim"]:
                self._text = []
            case ["net", "edges", "edge"]:
                self._add_edge(facts)

    def _new_layer(self, facts: Mapping[str, str]) -> _Found:
        if len(self.layers) >= _MOST_LAYERS:
            self._refuse(f"it has more than {_MOST_LAYERS:,} layers")
        number = self._whole(facts.get("id", ""), "the id of a layer")
        if number in self.layers:
            self._refuse(f"it has two layers {number}")
        self.layers[number] = _Found(facts.get("type", ""))
        return self.layers[number]

    def _add_edge(self, facts: Mapping[str, str]) -> None:
        if len(self.edges) >= _MOST_EDGES:
            self._refuse(f"it has more than {_MOST_EDGES:,} edges")
        source, target = facts.get("from-layer", ""), facts.get("to-layer", "")
        self.edges.append((source, facts.get("from-port", ""), target, facts.get("to-port", "")))

    def _end(self, name: str) -> None:
        if self._text is not None and name == "dim" and self._layer:
            if len(self._layer.shape) >= _MOST_DIMENSIONS:
                self._refuse(f"a layer has more than {_MOST_DIMENSIONS} dimensions")
            self._layer.shape.append(self._whole("".join(self._text), "a size"))
            self._text = None
        if len(self._open) == 3:
            self._layer = None
        self._open.pop()

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _whole(self, text: str, what: str) -> int:
        text = text.strip()
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(_LONGEST))):
            self._refuse(f"{what} is '{text[:20]}'")
        return int(text)


def _in_order(path: Path, found: Mapping[int, _Found], edges: list[tuple[str, str, str, str]]) -> tuple[Layer, ...]:
    """The layers with what they take. Raises ModelError for edges that lead nowhere, and for circles."""
    sources = _sources(path, found, edges)
    layers: dict[int, Layer] = {}
    users: dict[int, list[int]] = {number: [] for number in found}
    missing = {number: len(of) for number, of in sources.items()}
    for number, of in sources.items():
        for source in of:
            users[source].append(number)
    ready = [number for number in found if not missing[number]]
    for number in ready:  # it grows meanwhile
        each = found[number]
        layers[number] = Layer(number, each.kind, each.facts, sources[number], tuple(each.shape))
        for user in users[number]:
            missing[user] -= 1
            if not missing[user]:
                ready.append(user)
    if len(layers) < len(found):
        raise ModelError(f"{path} has layers that wait for each other in a circle; it cannot be used.")
    return tuple(layers.values())


def _sources(
    path: Path, found: Mapping[int, _Found], edges: list[tuple[str, str, str, str]]
) -> dict[int, tuple[int, ...]]:
    """For each layer those that its ports are connected to, in the order of the ports."""
    by_name: dict[str, int] = {str(number): number for number in found}
    connected: dict[int, dict[str, int]] = {number: {} for number in found}
    for source, from_port, target, to_port in edges:
        a, b = by_name.get(source), by_name.get(target)
        if a is None or b is None or from_port not in found[a].gives or to_port not in found[b].takes:
            edge = f"from {source[:20]}:{from_port[:20]} to {target[:20]}:{to_port[:20]}"
            raise ModelError(f"{path} has an edge {edge}, and no such layers or ports; it cannot be used.")
        if to_port in connected[b]:
            raise ModelError(f"{path} has two edges to port {to_port[:20]} of layer {b}; it cannot be used.")
        connected[b][to_port] = a
    for number, each in found.items():
        if len(connected[number]) != len(each.takes) or len(each.gives) > 1:
            raise ModelError(
                f"{path} has a layer {number} with a port that leads nowhere, or several results; it cannot be used."
            )
    return {number: tuple(connected[number][port] for port in each.takes) for number, each in found.items()}
