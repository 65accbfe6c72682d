"""A sidecar of XMP with the people of a photo: made anew, or one that other programs wrote, of which everything else
is kept byte for byte."""

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TypeAlias
from xml.sax.saxutils import escape, quoteattr

import msgspec

from facesearch.people import xmp
from facesearch.people.packet import RDF, Element, UnusableError, descriptions, parse
from facesearch.people.regions import LEAST_OVERLAP, Box, Frame, Region, is_same_shape, overlap, turned_back

_EMPTY = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="facesearch">\n'
    b' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n </rdf:RDF>\n</x:xmpmeta>\n'
    b'<?xpacket end="w"?>\n'
)
_DC = "http://purl.org/dc/elements/1.1/"
_PREFIXES = {
    "mwg-rs": xmp.MWG,
    "stArea": xmp.AREA,
    "stDim": xmp.DIMENSIONS,
    "MP": xmp.MP,
    "MPRI": xmp.MP_INFO,
    "MPReg": xmp.MP_REGION,
    "Iptc4xmpExt": xmp.IPTC,
    "digiKam": xmp.DIGIKAM,
    "lr": xmp.LIGHTROOM,
    "dc": _DC,
}
_USED = re.compile(r"[<\s/]([A-Za-z0-9-]+):[A-Za-z]")
_LISTS = (RDF + "Bag", RDF + "Seq", RDF + "Alt")

_Edit: TypeAlias = tuple[int, int, str]  # bytes from, to, and what stands there afterwards
_Write: TypeAlias = Callable[[Region], str]
_Boxed: TypeAlias = Callable[[Element], tuple[str, Box | None]]


class Shown(msgspec.Struct, frozen=True):
    """Who is in a photo: `regions` with boxes of the upright picture, `size` that picture's width and height in
    pixels, and the orientation, 1 to 8, in which the file stores it. With `keywords`, names become keywords too."""

    regions: tuple[Region, ...]
    size: tuple[int, int]
    orientation: int = 1
    keywords: bool = False

    @property
    def frame(self) -> Frame:
        """The photo's shape."""
        return Frame(self.size, self.orientation)

    @property
    def names(self) -> list[str]:
        """Of everybody, each once, in the order of the regions."""
        return list(dict.fromkeys(region.name for region in self.regions))


def merged(sidecar: bytes | None, shown: Shown) -> bytes:
    """The sidecar with these people in it; itself where they are all there. A region that lies where one of these
    lies takes its name; all other regions stay. Raises UnusableError for a sidecar that cannot be kept as it is."""
    before = sidecar if sidecar and sidecar.strip() else _EMPTY
    if b"\0" in before[:4] or before[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UnusableError("its sidecar is not in UTF-8")
    outermost = parse(before)
    after = _edited(before, list(_Merge(before, outermost, shown).edits()))
    _check(outermost, after, shown)
    return after


class _Merge:
    """The edits that bring people into a packet."""

    def __init__(self, data: bytes, outermost: Element, shown: Shown) -> None:
        self._data, self._shown = data, shown
        rdf = outermost if outermost.name == RDF + "RDF" else outermost.child(RDF + "RDF")
        if rdf is None or rdf.close == rdf.end:
            raise UnusableError("its sidecar is no XMP")
        self._rdf, self._descriptions = rdf, descriptions(outermost)
        self._new: list[str] = []  # properties that are not there yet
        self._stale: set[str] = set()  # names of regions that have another one now
        self._kept: set[str] = set()  # names of regions that stay

    def edits(self) -> Iterator[_Edit]:
        """In any order; none overlaps another."""
        if not self._shown.regions:
            return
        yield from self._mwg()
        yield from self._microsoft()
        names = self._shown.names
        yield from self._texts(xmp.IPTC + "PersonInImage", ("Iptc4xmpExt:PersonInImage", "Bag"), names)
        yield from self._keywords(names if self._shown.keywords else [])
        if self._new:
            about = next((d.attributes.get(RDF + "about", "") for d in self._descriptions), "")
            inside = "".join(f"   {each}\n" for each in self._new)
            spaces = _spaces(inside)
            text = f"  <rdf:Description rdf:about={quoteattr(about)}{spaces}>\n{inside}  </rdf:Description>\n "
            yield self._rdf.close, self._rdf.close, self._with_rdf(text, "<rdf:Description")

    def _keywords(self, names: Sequence[str]) -> Iterator[_Edit]:
        """A name that holds what stands between keywords would be two of them, so it is none."""
        tags = [name for name in names if "/" not in name]
        yield from self._texts(xmp.DIGIKAM + "TagsList", ("digiKam:TagsList", "Seq"), tags, "People/")
        subjects = [name for name in names if "|" not in name]
        yield from self._texts(
            xmp.LIGHTROOM + "hierarchicalSubject", ("lr:hierarchicalSubject", "Bag"), subjects, "People|"
        )
        yield from self._texts(_DC + "subject", ("dc:subject", "Bag"), names)

    def _with_regions(self, name: str, inside: str) -> Generator[_Edit, None, Element | None]:
        """The property with this list of regions; where it has none it goes, and None is returned."""
        found = self._property(name)
        items = _list_in(found, inside) if found else None
        if items is None or not items.children:
            if found:
                yield found.start, found.end, ""
            return None
        return found

    def _mwg(self) -> Iterator[_Edit]:
        found = yield from self._with_regions(xmp.MWG + "Regions", xmp.MWG + "RegionList")
        size = self._shown.frame.stored_size
        if found:
            applied = xmp.size_of(
                xmp.fields_of(xmp.fields_of(xmp.value_of(found)).get(xmp.MWG + "AppliedToDimensions"))
            )
            is_upright = self._is_upright(applied)

            def boxed(item: Element) -> tuple[str, Box | None]:
                fields = xmp.fields_of(xmp.value_of(item))
                is_face = xmp.text_of(fields.get(xmp.MWG + "Type")).lower() in ("face", "")
                box = xmp.mwg_box(xmp.fields_of(fields.get(xmp.MWG + "Area")), applied) if is_face else None
                return xmp.text_of(fields.get(xmp.MWG + "Name")), box

            yield from self._regions(found, xmp.MWG + "RegionList", self._boxes(is_upright), (boxed, _mwg_item))
            return
        items = "".join(_mwg_item(region) for region in self._boxes(False))
        self._new.append(
            f'<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:AppliedToDimensions stDim:w="{size[0]}" '
            f'stDim:h="{size[1]}" stDim:unit="pixel"/><mwg-rs:RegionList><rdf:Bag>{items}</rdf:Bag>'
            "</mwg-rs:RegionList></mwg-rs:Regions>"
        )

    def _microsoft(self) -> Iterator[_Edit]:
        found = yield from self._with_regions(xmp.MP + "RegionInfo", xmp.MP_INFO + "Regions")
        regions = self._boxes(False)
        if found:

            def boxed(item: Element) -> tuple[str, Box | None]:
                fields = xmp.fields_of(xmp.value_of(item))
                box = xmp.microsoft_box(xmp.text_of(fields.get(xmp.MP_REGION + "Rectangle")))
                return xmp.text_of(fields.get(xmp.MP_REGION + "PersonDisplayName")), box

            yield from self._regions(found, xmp.MP_INFO + "Regions", regions, (boxed, _microsoft_item))
            return
        items = "".join(map(_microsoft_item, regions))
        self._new.append(
            f'<MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag>{items}</rdf:Bag></MPRI:Regions>'
            "</MP:RegionInfo>"
        )

    def _is_upright(self, applied: tuple[float, float] | None) -> bool:
        """Whether the regions that are there are of the upright picture. Raises UnusableError for another one's."""
        frame = self._shown.frame
        if applied is None or is_same_shape(applied, frame.stored_size):
            return False
        if is_same_shape(applied, frame.size):
            return True
        size = f"{applied[0]:g} x {applied[1]:g}"
        raise UnusableError(f"its sidecar has regions of a picture of another shape, {size}")

    def _boxes(self, is_upright: bool) -> list[Region]:
        turn = 1 if is_upright else self._shown.orientation
        return [Region(region.name, turned_back(region.box, turn)) for region in self._shown.regions]

    def _regions(
        self, found: Element, name: str, regions: list[Region], form: tuple[_Boxed, _Write]
    ) -> Iterator[_Edit]:
        """What brings regions into a list that is there."""
        boxed, write = form
        items = _list_in(found, name)
        assert items
        there = [(item, *boxed(item)) for item in items.children if item.name == RDF + "li"]
        taken: set[int] = set()
        new = []
        for region in regions:
            shared = [(overlap(box, region.box), -i) for i, (_, _, box) in enumerate(there) if box and i not in taken]
            most, place = max(shared, default=(0.0, 0))
            if most < LEAST_OVERLAP:
                new.append(write(region))
                continue
            taken.add(-place)
            item, written, _ = there[-place]
            if written != region.name:
                self._stale |= {written} - {""}
                yield item.start, item.end, self._alone(write(region))
        self._kept |= {written for i, (_, written, _) in enumerate(there) if i not in taken}
        if new:
            yield items.close, items.close, "".join(map(self._alone, new))

    def _texts(self, name: str, form: tuple[str, str], people: Sequence[str], above: str = "") -> Iterator[_Edit]:
        """What brings names, each below a keyword, into a list, and those out of it that no region has any more.
        `form` is the tag to write, and the kind of list."""
        texts = [above + person for person in people]
        found = self._property(name)
        items = next((child for child in found.children if child.name in _LISTS), None) if found else None
        if items is None or not items.children:
            if found and texts:
                yield found.start, found.end, ""
            if texts:
                self._new.append(_property_of(*form, texts))
            return
        there = {xmp.text_of(xmp.value_of(item)): item for item in items.children}
        gone = {above + person for person in self._stale - self._kept - set(self._shown.names)}
        for text in gone & set(there):
            yield there[text].start, there[text].end, ""
        missing = [_text_item(text) for text in texts if text not in there]
        if missing:
            yield items.close, items.close, "".join(map(self._alone, missing))

    def _property(self, name: str) -> Element | None:
        return next((found for each in self._descriptions if (found := each.child(name))), None)

    def _alone(self, text: str) -> str:
        """An element with the namespaces that it uses, whatever the prefixes around it."""
        tag = re.match(r"<[^\s/>]+", text)
        assert tag
        return self._with_rdf(f"{tag[0]}{_spaces(text)}{text[tag.end() :]}", tag[0])

    def _with_rdf(self, text: str, tag: str) -> str:
        if self._data.startswith(b"<rdf:RDF", self._rdf.start):
            return text
        start = text.index(tag) + len(tag)
        return f'{text[:start]} xmlns:rdf="{RDF}"{text[start:]}'


def _mwg_item(region: Region) -> str:
    left, top, right, bottom = region.box
    numbers = zip("xywh", ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top), strict=True)
    area = " ".join(f'stArea:{side}="{_short(number)}"' for side, number in numbers)
    return (
        f'<rdf:li><rdf:Description mwg-rs:Name={quoteattr(region.name)} mwg-rs:Type="Face">'
        f'<mwg-rs:Area {area} stArea:unit="normalized"/></rdf:Description></rdf:li>'
    )


def _microsoft_item(region: Region) -> str:
    left, top, right, bottom = region.box
    rectangle = ", ".join(map(_short, (left, top, right - left, bottom - top)))
    return f'<rdf:li MPReg:PersonDisplayName={quoteattr(region.name)} MPReg:Rectangle="{rectangle}"/>'


def _property_of(tag: str, kind: str, texts: Sequence[str]) -> str:
    return f"<{tag}><rdf:{kind}>{''.join(map(_text_item, texts))}</rdf:{kind}></{tag}>"


def _text_item(text: str) -> str:
    return f"<rdf:li>{escape(text)}</rdf:li>"


def _short(number: float) -> str:
    return f"{number:.6f}".rstrip("0").rstrip(".") or "0"


def _spaces(text: str) -> str:
    """The declarations of the namespaces that a text uses, without that of RDF."""
    used = dict.fromkeys(_USED.findall(text))
    return "".join(f' xmlns:{prefix}="{_PREFIXES[prefix]}"' for prefix in used if prefix in _PREFIXES)


def _list_in(found: Element, name: str) -> Element | None:
    """The list of regions in a structure, in whichever form that is written."""
    holders = [found, *(child for child in found.children if child.name == RDF + "Description")]
    holder = next((each for holder in holders if (each := holder.child(name))), None)
    return next((child for child in holder.children if child.name in _LISTS), None) if holder else None


def _edited(data: bytes, edits: list[_Edit]) -> bytes:
    for start, end, text in sorted(edits, reverse=True):
        data = data[:start] + text.encode() + data[end:]
    return data


def _check(before: Element, after: bytes, shown: Shown) -> None:
    """Raises UnusableError where what came out is not what was meant: all other properties as they were, and all
    people there."""
    ours = {xmp.MWG + "Regions", xmp.MP + "RegionInfo", xmp.IPTC + "PersonInImage"}
    ours |= {xmp.DIGIKAM + "TagsList", xmp.LIGHTROOM + "hierarchicalSubject", _DC + "subject"}
    found = xmp.properties(parse(after))
    was = xmp.properties(before)
    kept = {name: value for name, value in found.items() if name not in ours}
    if kept != {name: value for name, value in was.items() if name not in ours}:
        raise UnusableError("its sidecar cannot be changed without changing something else in it")
    people = xmp.described(found)
    named = {region.name for region in people.regions} | set(people.names)
    if not {xmp.text_of(name) for name in shown.names} <= named | {""}:
        raise UnusableError("its sidecar cannot take all names")
