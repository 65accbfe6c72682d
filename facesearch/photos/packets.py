"""Where a photo's file holds XMP, and how it is stored: turned, or not. Read by Python alone, in bounded time and
memory; what a packet says is for others to parse."""

import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from facesearch.photos import formats, raw
from facesearch.photos.file import open_regular
from facesearch.photos.orientation import orientation

_MOST = 64_000_000  # bytes of a file that is no JPEG, where a packet may come last
_LONGEST = 10_100_000  # bytes of a packet: longer ones are refused by whoever parses them
_MOST_PACKETS = 4  # a raw photo has one of its own, and one in its preview
_MOST_SEGMENTS = 4096  # of a JPEG: a colour profile takes some, a map of depths hundreds
_XMP, _MORE = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_MORE_HEAD = 32 + 4 + 4  # digest of the whole extension, its length, and where this part of it belongs
_PNG_XMP = b"XML:com.adobe.xmp\0"
_TURNS = (1, 8, 3, 6)  # EXIF's orientation for 'irot', which counts quarter turns to the left
_ENDS = ((b"<x:xmpmeta", b"</x:xmpmeta>"), (b"<?xpacket begin", b"<?xpacket end"))


@dataclass(frozen=True, slots=True)
class Noted:
    """The packets of XMP in a file, the photo's own first, and the orientation, 1 to 8, in which it is stored."""

    packets: tuple[bytes, ...]
    orientation: int


def noted_in(path: str) -> Noted:
    """What a photo's file holds. Raises OSError, and PhotoError for what is no file."""
    with open_regular(path) as file:
        kind = formats.format_of(file.read(formats.HEAD)) or ""
        file.seek(0)
        if kind == "JPEG":
            segments = list(_segments(file))
            whole = b"\xff\xd8" + b"".join(_segment(each) for each in segments)
            return Noted(tuple(_of_segments(segments)), orientation(whole, kind))
        data = file.read(_MOST)
    return Noted(tuple(_packets(data, kind)), _orientation(data, kind))


def _orientation(data: bytes, kind: str) -> int:
    if kind in ("HEIC", "AVIF"):
        at = data.find(b"\0\0\0\x09irot")
        return _TURNS[data[at + 8] & 3] if 0 <= at < len(data) - 8 else 1
    if kind in ("TIFF", "RAW"):
        preview = raw.preview_of(data)
        if preview is not data:
            return orientation(preview, "JPEG")
        return formats.orientation_of(data) or 1
    return orientation(data, kind)


def _packets(data: bytes, kind: str) -> Iterator[bytes]:
    if kind == "PNG":
        yield from _of_png(data)
    elif kind == "WebP":
        yield from (block for name, block in _chunks(data) if name == b"XMP ")
    else:
        yield from _anywhere(data)


def _anywhere(data: bytes) -> Iterator[bytes]:
    """Packets of formats that store them as they are: XMP is made to be found so."""
    for start, end in _ENDS:
        at = found = 0
        while found < _MOST_PACKETS and (at := data.find(start, at)) >= 0:
            close = data.find(end, at, at + _LONGEST)
            yield data[at : close + len(end)] if close >= 0 else data[at : at + _LONGEST]
            at, found = max(close, at + 1), found + 1
        if found:
            return


def _segments(file: BinaryIO) -> Iterator[bytes]:
    """The contents of the segments of a JPEG that describe it (APP1), up to its pixels."""
    file.seek(2)
    read = 0
    for _ in range(_MOST_SEGMENTS):
        head = file.read(2)
        while head == b"\xff\xff":  # fill bytes
            head = b"\xff" + file.read(1)
        if len(head) < 2 or head[0] != 0xFF or head[1] in (0xDA, 0xD9):
            return
        if head[1] == 1 or 0xD0 <= head[1] <= 0xD8:
            continue
        length = max(int.from_bytes(file.read(2), "big") - 2, 0)
        if head[1] != 0xE1 or read > _LONGEST:
            file.seek(length, 1)
            continue
        read += length
        yield file.read(length)


def _segment(content: bytes) -> bytes:
    return b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content


def _of_segments(segments: list[bytes]) -> Iterator[bytes]:
    """The packet in a segment of its own, and what did not fit into it: an extension, cut into segments."""
    yield from (each[len(_XMP) :] for each in segments if each.startswith(_XMP))
    parts: dict[bytes, dict[int, bytes]] = {}
    for each in segments:
        if each.startswith(_MORE):
            body = each[len(_MORE) :]
            at = int.from_bytes(body[36:_MORE_HEAD], "big")
            parts.setdefault(body[:32], {})[at] = body[_MORE_HEAD:]
    for found in parts.values():
        yield b"".join(found[at] for at in sorted(found))


def _of_png(data: bytes) -> Iterator[bytes]:
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        text = data[at + 8 : at + 8 + min(length, _LONGEST)]
        if data[at + 4 : at + 8] == b"iTXt" and text.startswith(_PNG_XMP):
            is_packed, rest = text[len(_PNG_XMP) : len(_PNG_XMP) + 1] == b"\1", text[len(_PNG_XMP) + 2 :]
            packet = rest.split(b"\0", 2)[-1]  # after a language and a translated keyword
            yield _unpacked(packet) if is_packed else packet
        at += 12 + length


def _unpacked(packet: bytes) -> bytes:
    with suppress(zlib.error):
        return zlib.decompressobj().decompress(packet, _LONGEST)
    return b""


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + min(length, _LONGEST)]
        at += 8 + length + length % 2
