"""The people that an XMP packet names, with the places of their faces where it has them, as digiKam, Lightroom,
ACDSee, Picasa, iView MediaPro, Windows Photo Gallery and exiftool write them."""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Annotated, TypeAlias, Union

import msgspec

from facesearch.people.packet import RDF, Element, UnusableError, descriptions, parse
from facesearch.people.regions import LEAST_OVERLAP, Box, Region, overlap

MWG = "http://www.metadataworkinggroup.com/schemas/regions/"
AREA, DIMENSIONS = "http://ns.adobe.com/xmp/sType/Area#", "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
MP = "http://ns.microsoft.com/photo/1.2/"
MP_INFO, MP_REGION = MP + "t/RegionInfo#", MP + "t/Region#"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
DIGIKAM, LIGHTROOM = "http://www.digikam.org/ns/1.0/", "http://ns.adobe.com/lightroom/1.0/"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_MEDIAPRO = "http://ns.iview-multimedia.com/mediapro/1.0/"
_ACDSEE, _ACDSEE_REGIONS = "http://ns.acdsee.com/iptc/1.0/", "http://ns.acdsee.com/regions/"
_ACDSEE_AREA, _ACDSEE_DIMENSIONS = "http://ns.acdsee.com/sType/Area#", "http://ns.acdsee.com/sType/Dimensions#"
# Keywords in a tree: the property, and what stands between a keyword and the one above it.
_TREES = {
    DIGIKAM + "TagsList": "/",
    LIGHTROOM + "hierarchicalSubject": "|",
    _MEDIAPRO + "CatalogSets": "|",
    "http://ns.microsoft.com/photo/1.0LastKeywordXMP": "/",
    "http://ns.microsoft.com/photo/1.0/LastKeywordXMP": "/",
}
PEOPLE = "People"  # the keyword above all names
NOBODY = "ffffffffffffffff"  # Picasa's name of a face that nobody has named
MOST = 1000  # regions, and names, of a photo
LONGEST_NAME = 1000  # characters
_ONE_FACE = 0.7  # of two regions: more than any two faces overlap

Value: TypeAlias = Union[str, list["Value"], dict[str, "Value"]]  # noqa: UP007 (a name in quotes cannot be or-ed)


class Described(msgspec.Struct, frozen=True):
    """Whom a packet names: regions with a name, and names without a place that no region has. `is_for` is the ending
    of the file that a sidecar says it belongs to."""

    regions: Annotated[tuple[Region, ...], msgspec.Meta(max_length=MOST)] = ()
    names: Annotated[tuple[str, ...], msgspec.Meta(max_length=2 * MOST)] = ()
    is_for: str = ""

    @property
    def names_people(self) -> bool:
        """Whether it names anybody."""
        return bool(self.regions or self.names)


def read(packet: bytes) -> Described:
    """What a packet says of people. Raises UnusableError for one that is cut, damaged, too large or has a DOCTYPE."""
    return described(properties(parse(packet.strip(b"\0 \r\n\t"))))


def properties(outermost: Element) -> dict[str, Value]:
    """All properties of the photo by their full names."""
    found: dict[str, Value] = {}
    for description in descriptions(outermost):
        value = value_of(description)
        if isinstance(value, dict):
            found |= value
    return found


def value_of(element: Element) -> Value:
    """What an element of RDF/XML says: a text, a list or a structure, in whichever of its forms it is written."""
    for child in element.children:
        if child.name in (RDF + "Bag", RDF + "Seq", RDF + "Alt"):
            return [value_of(item) for item in child.children if item.name == RDF + "li"]
    fields: dict[str, Value] = {
        name: text for name, text in element.attributes.items() if ":" in name and not _is_syntax(name)
    }
    for child in element.children:
        value = value_of(child)
        if child.name == RDF + "Description" and isinstance(value, dict):
            fields |= value
        else:
            fields[child.name] = value
    if RDF + "value" in fields:
        return fields[RDF + "value"]
    return fields or element.attributes.get(RDF + "resource", element.text.strip())


def described(found: dict[str, Value]) -> Described:
    """The people in the properties of a packet."""
    regions: list[Region] = []
    drawn: list[Region | str] = []
    for schema in (_mwg(found), _microsoft(found), _acdsee(found)):
        before = {region.name for region in regions}  # by another schema, perhaps in the picture turned otherwise
        for region in islice(schema, MOST - len(regions)):
            drawn.append(region)
            if isinstance(region, Region) and region.name not in before and not _is_known(region, regions):
                regions.append(region)
    placed = {region.name for region in regions}
    lost = [name for name in dict.fromkeys(name for name in drawn if isinstance(name, str)) if name not in placed]
    others = [*lost, *_names(found)]
    known = placed | set(others)
    others += [name for name in _in_trees(found, known) if name not in known]
    free = tuple(name for name in dict.fromkeys(others) if name not in placed)[:MOST]
    is_for = text_of(found.get(PHOTOSHOP + "SidecarForExtension"))[:16]
    return Described(tuple(regions), free, is_for)


def text_of(value: Value | None) -> str:
    """A name as it is written, without spaces around it; empty where it is none. Of several languages the first."""
    if isinstance(value, list):
        return text_of(value[0]) if value else ""
    return value.strip() if isinstance(value, str) and len(value) <= LONGEST_NAME else ""


def size_of(applied: dict[str, Value], space: str = DIMENSIONS) -> tuple[float, float] | None:
    """The width and height in an AppliedToDimensions; None where they make no sense."""
    width, height = (_number(applied.get(space + side)) for side in "wh")
    return (width, height) if 0 < width <= 1e9 and 0 < height <= 1e9 else None


def fields_of(value: Value | None) -> dict[str, Value]:
    """A structure; an empty one where there is none."""
    return value if isinstance(value, dict) else {}


def items_of(value: Value | None) -> list[Value]:
    """A list, of which no more is read than a photo can need; a lone value is one of one."""
    if isinstance(value, list):
        return value[:MOST]
    return [value] if value else []


def box_around(x: float, y: float, width: float, height: float) -> Box | None:
    """A box by its middle, cut at the borders of the picture; None where it has no area or is no box."""
    if not all(map(math.isfinite, (x, y, width, height))) or width <= 0 or height <= 0:
        return None
    box = tuple(min(max(side, 0.0), 1.0) for side in (x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    return (box[0], box[1], box[2], box[3]) if box[0] < box[2] and box[1] < box[3] else None


def _is_syntax(name: str) -> bool:
    return name.startswith((RDF, "http://www.w3.org/XML/1998/namespace"))


def _is_known(region: Region, others: Sequence[Region]) -> bool:
    """Whether one of the others is the same face: programs write it by several schemas."""
    shared = ((overlap(region.box, other.box), other.name == region.name) for other in others)
    return any(most > _ONE_FACE or (is_same and most > LEAST_OVERLAP) for most, is_same in shared)


def _region(name: str, box: Box | None, applied: tuple[float, float] | None) -> Region | str:
    return Region(name, box, applied) if box else name


def _mwg(found: dict[str, Value]) -> Iterator[Region | str]:
    """Regions by the Metadata Working Group: x and y are the middle, or the name alone where the place is lost."""
    whole = fields_of(found.get(MWG + "Regions"))
    applied = size_of(fields_of(whole.get(MWG + "AppliedToDimensions")))
    for item in items_of(whole.get(MWG + "RegionList")):
        fields = fields_of(item)
        name = text_of(fields.get(MWG + "Name"))
        if _is_name(name) and text_of(fields.get(MWG + "Type")).lower() in ("face", ""):
            yield _region(name, mwg_box(fields_of(fields.get(MWG + "Area")), applied), applied)


def mwg_box(area: dict[str, Value], applied: tuple[float, float] | None) -> Box | None:
    """The box of an Area; a circle's is the square around it."""
    x, y, width, height, across = (_number(area.get(AREA + side)) for side in ("x", "y", "w", "h", "d"))
    if math.isnan(width) and not math.isnan(across):
        width = height = across
    if text_of(area.get(AREA + "unit")) == "pixel" and applied:
        x, width, y, height = x / applied[0], width / applied[0], y / applied[1], height / applied[1]
    return box_around(x, y, width, height)


def _microsoft(found: dict[str, Value]) -> Iterator[Region | str]:
    """Regions of Windows Photo Gallery, which digiKam writes, too: left, top, width and height in one text."""
    whole = fields_of(found.get(MP + "RegionInfo"))
    for item in items_of(whole.get(MP_INFO + "Regions")):
        fields = fields_of(item)
        name = text_of(fields.get(MP_REGION + "PersonDisplayName"))
        if _is_name(name):
            yield _region(name, microsoft_box(text_of(fields.get(MP_REGION + "Rectangle"))), None)


def microsoft_box(rectangle: str) -> Box | None:
    """The box of a Rectangle; None where it is none."""
    numbers = [_number(part) for part in re.split(r"\s*[,;|]\s*|\s+", rectangle.strip())][:5]
    if len(numbers) != 4:
        return None
    left, top, width, height = numbers
    return box_around(left + width / 2, top + height / 2, width, height)


def _acdsee(found: dict[str, Value]) -> Iterator[Region | str]:
    """ACDSee's regions: of two areas DLYArea is the one that its user saw."""
    whole = fields_of(found.get(_ACDSEE_REGIONS + "Regions"))
    applied = size_of(fields_of(whole.get(_ACDSEE_REGIONS + "AppliedToDimensions")), _ACDSEE_DIMENSIONS)
    for item in items_of(whole.get(_ACDSEE_REGIONS + "RegionList")):
        fields = fields_of(item)
        name, kind = (text_of(fields.get(_ACDSEE_REGIONS + field)) for field in ("Name", "Type"))
        areas = (fields_of(fields.get(_ACDSEE_REGIONS + area)) for area in ("DLYArea", "ALGArea"))
        numbers = [_number(area.get(_ACDSEE_AREA + side)) for area in areas if area for side in "xywh"][:4]
        if _is_name(name) and kind.lower() in ("face", ""):
            yield _region(name, box_around(*numbers) if len(numbers) == 4 else None, applied)


def _names(found: dict[str, Value]) -> list[str]:
    """Names without a place, which belong to the photo as a whole."""
    texts = [text_of(item) for item in items_of(found.get(IPTC + "PersonInImage"))]
    for item in items_of(found.get(IPTC + "PersonInImageWDetails")):
        texts.append(text_of(fields_of(item).get(IPTC + "PersonName")))
    texts += [text_of(item) for item in items_of(found.get(_MEDIAPRO + "People"))]
    return [text for text in texts if _is_name(text)]


def _in_trees(found: dict[str, Value], known: set[str]) -> Iterator[str]:
    """Names that are keywords below 'People'. One may hold what stands between keywords: then it is `known`, or it is
    taken for a keyword in another."""
    for name, mark in _TREES.items():
        texts = [text_of(item) for item in items_of(found.get(name))]
        paths = [text.removeprefix(PEOPLE + mark) for text in texts if text.startswith(PEOPLE + mark)]
        for path in paths:
            if path in known or any(other.startswith(path + mark) for other in paths):
                continue
            leaf = path.rpartition(mark)[2].strip()
            if _is_name(leaf):
                yield leaf
    with suppress(UnusableError):
        categories = found.get(_ACDSEE + "categories")
        if isinstance(categories, str) and categories:
            yield from _in_categories(parse(categories.encode()))


def _in_categories(outermost: Element) -> Iterator[str]:
    """ACDSee's keywords: XML in a text, each in the one above it."""
    waiting = [child for top in outermost.children if top.text.strip() == PEOPLE for child in top.children]
    while waiting:
        element = waiting.pop(0)
        waiting += element.children
        name = element.text.strip()
        if not element.children and len(name) <= LONGEST_NAME and _is_name(name):
            yield name


def _is_name(text: str) -> bool:
    return bool(text) and text != NOBODY


def _number(value: Value | None) -> float:
    """A number; NaN where it is none. Some programs write a comma, or a fraction."""
    if not isinstance(value, str) or len(value) > 40:
        return math.nan
    above, _, below = value.strip().partition("/")
    try:
        return float(above.replace(",", ".")) / (float(below) if below else 1.0)
    except (ValueError, ZeroDivisionError):
        return math.nan
