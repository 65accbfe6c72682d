"""An XMP packet as a tree whose elements know where they stand in its bytes, so that one can be replaced and all
others kept as they are. Strangers write XMP: its size, depth and number of elements are bounded, and a DOCTYPE, which
no XMP needs and entities do, is refused."""

from dataclasses import dataclass, field
from xml.parsers import expat

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
MOST_BYTES = 10_000_000  # of a packet: one with a hundred faces and a long history of edits has 0.2 million
_MOST_DEPTH = 64  # a region stands at depth 9
_MOST_ELEMENTS = 200_000


class UnusableError(Exception):
    """A packet that is not read; the message is half a sentence."""


@dataclass(slots=True, eq=False)
class Element:
    """An element with its namespace as the beginning of its name, as RDF writes it. It stands in the bytes from
    `start` to `end`, its end tag from `close` on (which is `end` where it has none)."""

    name: str
    attributes: dict[str, str]
    start: int
    close: int = 0
    end: int = 0
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def child(self, name: str) -> "Element | None":
        """The first child of that name."""
        return next((child for child in self.children if child.name == name), None)


def parse(data: bytes) -> Element:
    """The outermost element. Raises UnusableError for what is no XML, and for what is beyond the bounds."""
    if len(data) > MOST_BYTES:
        raise UnusableError(f"its XMP is larger than {MOST_BYTES // 1_000_000} megabytes")
    builder = _Builder(data)
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise UnusableError(f"its XMP is cut or damaged ({expat.ErrorString(error.code)})") from error
    except (ValueError, LookupError) as error:  # an encoding that is none, or a character that no text may hold
        raise UnusableError("its XMP is in an encoding that is not known") from error
    return builder.outermost.children[0]


def descriptions(outermost: Element) -> list[Element]:
    """The rdf:Description elements that hold the properties of the photo."""
    rdf = outermost if outermost.name == RDF + "RDF" else outermost.child(RDF + "RDF")
    return [child for child in rdf.children if child.name == RDF + "Description"] if rdf else []


class _Builder:
    """Builds the tree from what expat reports."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._count = 0
        self.outermost = Element("", {}, 0)
        self._open = [self.outermost]
        self._texts: list[list[str]] = [[]]
        self.parser = expat.ParserCreate(namespace_separator="")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._doctype

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > _MOST_ELEMENTS or len(self._open) > _MOST_DEPTH:
            raise UnusableError("its XMP has more elements, one in the other, than any photo's")
        element = Element(name, attributes, self.parser.CurrentByteIndex)
        self._open[-1].children.append(element)
        self._open.append(element)
        self._texts.append([])

    def _end(self, _: str) -> None:
        element, texts = self._open.pop(), self._texts.pop()
        element.text = "".join(texts)
        at = self.parser.CurrentByteIndex
        # Of <a/> expat reports the end behind it, of <a></a> the end at the second tag.
        is_one_tag = not element.children and not element.text and self._data[at - 2 : at] == b"/>"
        element.close = at
        element.end = at if is_one_tag else self._data.find(b">", at) + 1

    def _text(self, text: str) -> None:
        self._texts[-1].append(text)

    def _doctype(self, *_: object) -> None:
        raise UnusableError("its XMP has a DOCTYPE, which no photo's needs")
