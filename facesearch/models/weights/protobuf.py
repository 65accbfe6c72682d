"""Protocol Buffers' wire format, as far as a reader of arrays needs it: a message is a row of fields, and each says
its number, its kind and, where it is bytes, its length (protobuf.dev/programming-guides/encoding)."""

from collections.abc import Iterator

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # kinds of fields; 3 and 4, groups, are used no more
_FIXED = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}
_LONGEST_VARINT = 10  # bytes: of 64 bits, 7 in each

Field = tuple[int, int | memoryview]


def fields(message: memoryview) -> Iterator[Field]:
    """Number and value of each field: an int for a varint, else its bytes, which are not copied. Raises ValueError
    where the message is damaged or cut short."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ValueError(f"a field of kind {kind}")
        if number == 0 or size > end - at:
            raise ValueError(f"a field of {size} bytes, where {end - at} are left")
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number, 7 bits in each byte, the lowest first, and the position after it."""
    value = 0
    for place, byte in enumerate(message[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + place + 1
    raise ValueError("a number without an end")
