"""Raw photos as cameras lay them out, small: made here, as real ones are not free to give away."""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_FORMS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 9: "i", 10: "i"}  # by TIFF type; of fractions, both parts


@dataclass
class Folder:
    """A folder of a TIFF: tags, each with its type and values; a strip of data; and folders beneath it."""

    tags: dict[int, tuple[int, Sequence[int] | bytes]] = field(default_factory=dict)
    strip: bytes = b""
    beneath: Sequence["Folder"] = ()
    exif: "Folder | None" = None


def tiff(*folders: Folder, order: str = "<", magic: int = 42, after_head: bytes = b"") -> bytes:
    """A TIFF of folders that follow each other."""
    out = bytearray(struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", magic, 8)) + after_head
    link = 4
    for folder in folders:
        struct.pack_into(order + "I", out, link, len(out))
        link = _write(out, folder, order)
    return bytes(out)


def _write(out: bytearray, folder: Folder, order: str) -> int:
    """Appends a folder. Returns where the place of the following one is to be written."""
    tags = dict(folder.tags)
    if folder.strip:
        tags.setdefault(273, (4, [0]))
        tags.setdefault(279, (4, [len(folder.strip)]))
    if folder.beneath:
        tags[330] = (4, [0] * len(folder.beneath))
    if folder.exif:
        tags[34665] = (4, [0])
    start = len(out)
    out += bytes(2 + 12 * len(tags) + 4)
    struct.pack_into(order + "H", out, start, len(tags))
    places = {tag: _write_tag(out, start + 2 + 12 * i, tag, *tags[tag], order) for i, tag in enumerate(sorted(tags))}
    if folder.strip:
        struct.pack_into(order + "I", out, places[273], len(out))
        out += folder.strip
    for i, inner in enumerate(folder.beneath):
        struct.pack_into(order + "I", out, places[330] + 4 * i, len(out))
        _write(out, inner, order)
    if folder.exif:
        struct.pack_into(order + "I", out, places[34665], len(out))
        _write(out, folder.exif, order)
    return start + 2 + 12 * len(tags)


def _write_tag(out: bytearray, at: int, tag: int, kind: int, values: Sequence[int] | bytes, order: str) -> int:
    """Writes one tag's entry. Returns where its values are."""
    data = struct.pack(f"{order}{len(values)}{_FORMS[kind]}", *values)
    count = len(values) // 2 if kind in (5, 10) else len(values)
    struct.pack_into(order + "HHI", out, at, tag, kind, count)
    if len(data) <= 4:
        out[at + 8 : at + 8 + len(data)] = data
        return at + 8
    struct.pack_into(order + "I", out, at + 8, len(out))
    out += data + bytes(len(data) % 2)
    return len(out) - len(data) - len(data) % 2


def jpeg(image: Image.Image, quality: int = 90, **options: object) -> bytes:
    """A picture as a JPEG."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, **options)
    return out.getvalue()


def preview(image: Image.Image, orientation: int = 0) -> Folder:
    """A folder that holds a picture as a JPEG, as previews are stored."""
    tags: dict[int, tuple[int, Sequence[int] | bytes]] = {254: (4, [1]), 259: (3, [7]), 262: (3, [6])}
    if orientation:
        tags[274] = (3, [orientation])
    return Folder(tags, jpeg(image))


def taken(when: str) -> Folder:
    """The folder of EXIF that says when a photo was taken, as `2024:05:01 10:20:30`."""
    return Folder({36867: (2, when.encode() + b"\0")})


def sensor(image: Image.Image) -> Folder:
    """What a sensor under a filter of red, green, green and blue sees of a picture, in 16 bits."""
    rgb = np.asarray(image.convert("RGB"), np.float64) / 255
    linear = (rgb**2.2 * 60_000).astype(np.uint16)
    mosaic: NDArray[np.uint16] = linear[..., 1].copy()
    mosaic[0::2, 0::2] = linear[0::2, 0::2, 0]
    mosaic[1::2, 1::2] = linear[1::2, 1::2, 2]
    height, width = mosaic.shape
    tags: dict[int, tuple[int, Sequence[int] | bytes]] = {
        254: (4, [0]), 256: (4, [width]), 257: (4, [height]), 258: (3, [16]), 259: (3, [1]), 262: (3, [32803]),
        277: (3, [1]), 278: (4, [height]), 33421: (3, [2, 2]), 33422: (1, [0, 1, 1, 2]), 50717: (4, [60_000]),
    }  # fmt: skip
    return Folder(tags, mosaic.astype("<u2").tobytes())


def dng(image: Image.Image, previews: Sequence[Folder] = (), orientation: int = 1, when: str = "") -> bytes:
    """A DNG: a thumbnail of 160 pixels first, what the sensor saw and previews beneath it."""
    small = image.copy()
    small.thumbnail((160, 160))
    matrix = [v for each in (1, 0, 0, 0, 1, 0, 0, 0, 1) for v in (each, 1)]
    tags: dict[int, tuple[int, Sequence[int] | bytes]] = {
        254: (4, [1]), 256: (4, [small.width]), 257: (4, [small.height]), 258: (3, [8, 8, 8]), 259: (3, [1]),
        262: (3, [2]), 271: (2, b"Made\0"), 272: (2, b"Here\0"), 274: (3, [orientation]), 277: (3, [3]),
        278: (4, [small.height]), 50706: (1, [1, 4, 0, 0]), 50708: (2, b"Made Here\0"), 50721: (10, matrix),
        50728: (5, [1, 1, 1, 1, 1, 1]), 50778: (3, [21]),
    }  # fmt: skip
    main = Folder(tags, small.convert("RGB").tobytes(), [sensor(image), *previews], taken(when) if when else None)
    return tiff(main)


def box(name: bytes, *bodies: bytes) -> bytes:
    """A box of a CR3, as of an MP4."""
    body = b"".join(bodies)
    return struct.pack(">I", len(body) + 8) + name + body


def cr3(large: Image.Image, orientation: int, when: str = "") -> bytes:
    """A CR3: notes and a thumbnail first, then a preview, and the JPEG of full size among the sensor's data."""
    small = large.resize((160, 120))
    notes = box(b"CMT1", tiff(Folder({274: (3, [orientation])}))) + box(b"CMT2", tiff(taken(when or "")))
    canon = box(
        b"uuid", bytes.fromhex("85c0b687820f11e08111f4ce462b6a48"), notes, box(b"THMB", bytes(16), jpeg(small))
    )
    half = large.resize((large.width // 2, large.height // 2))
    middle = box(
        b"uuid", bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16"), bytes(8), box(b"PRVW", bytes(16), jpeg(half))
    )
    return (
        box(b"ftyp", b"crx ", bytes(4), b"crx isom")
        + box(b"moov", canon)
        + middle
        + box(b"mdat", jpeg(large), bytes(999))
    )


def raf(large: Image.Image, exif: bytes) -> bytes:
    """Fujifilm's: a header that ends with the place of a JPEG, which has all of the EXIF."""
    picture = jpeg(large, exif=exif)
    head = b"FUJIFILMCCD-RAW 0201FF389501" + b"X-T0".ljust(32, b"\0") + bytes(24)
    head = head.ljust(84, b"\0") + struct.pack(">II", 148, len(picture))
    return head.ljust(148, b"\0") + picture + bytes(999)


def rw2(large: Image.Image, orientation: int) -> bytes:
    """Panasonic's: its own magic number, and the JPEG under a tag of its own."""
    return tiff(Folder({0x2E: (1, jpeg(large)), 274: (3, [orientation])}), magic=0x55)


def orf(large: Image.Image, orientation: int) -> bytes:
    """Olympus's: its own magic number, and the JPEG somewhere in the maker's notes."""
    notes = Folder({37500: (1, b"OLYMPUS\0II" + bytes(50) + jpeg(large))})
    return tiff(Folder({274: (3, [orientation])}, exif=notes), magic=0x4F52)


def cr2(large: Image.Image, orientation: int) -> bytes:
    """Canon's: the large JPEG in its first folder, lossless data of the sensor in its last."""
    first = Folder({259: (3, [6]), 274: (3, [orientation])}, jpeg(large))
    lossless = b"\xff\xd8\xff\xc4\0\x02\xff\xc3\0\x11\x0e\x10\0\x10\0\x03\1\x11\0\2\x11\0\3\x11\0\xff\xda" + bytes(99)
    return tiff(first, Folder({259: (3, [6])}, lossless), after_head=b"CR\2\0" + bytes(4))


def nef(large: Image.Image, orientation: int) -> bytes:
    """Nikon's: an uncompressed thumbnail first, the JPEG and what the sensor saw beneath it."""
    tags: dict[int, tuple[int, Sequence[int] | bytes]] = {
        254: (4, [1]), 256: (4, [16]), 257: (4, [12]), 258: (3, [8, 8, 8]), 259: (3, [1]), 262: (3, [2]),
        274: (3, [orientation]), 277: (3, [3]), 278: (4, [12]),
    }  # fmt: skip
    picture = Folder({254: (4, [1]), 259: (3, [6])}, jpeg(large))
    saw = Folder({254: (4, [0]), 259: (3, [34713]), 262: (3, [32803])}, bytes(999))
    return tiff(Folder(tags, bytes(16 * 12 * 3), [picture, saw]), order=">")


def arw(large: Image.Image, orientation: int) -> bytes:
    """Sony's: a JPEG in its first folder, and what the sensor saw beneath it."""
    saw = Folder({254: (4, [0]), 259: (3, [32767]), 262: (3, [32803])}, bytes(999))
    return tiff(Folder({254: (4, [1]), 259: (3, [6]), 274: (3, [orientation])}, jpeg(large), [saw]))


def monochrome_dng(image: Image.Image) -> bytes:
    """A DNG of a sensor without a filter of colours: a Leica's, for one."""
    gray = np.asarray(image.convert("L"), np.uint16) * 200
    height, width = gray.shape
    tags: dict[int, tuple[int, Sequence[int] | bytes]] = {
        254: (4, [0]), 256: (4, [width]), 257: (4, [height]), 258: (3, [16]), 259: (3, [1]), 262: (3, [34892]),
        271: (2, b"Made\0"), 272: (2, b"Here\0"), 277: (3, [1]), 278: (4, [height]), 50706: (1, [1, 4, 0, 0]),
        50708: (2, b"Made Here\0"), 50717: (4, [51_000]),
    }  # fmt: skip
    return tiff(Folder(tags, gray.astype("<u2").tobytes()))
