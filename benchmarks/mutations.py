"""Files made wrong: as bytes, and as what they are made of.

Everything follows from the `random.Random` that is given: the same one makes the same
wrong file again.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

# What stands where another value should.
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 1e308, 0.5, 10**400),
    *(-(10**400), float("nan"), float("inf"), float("-inf")),
    *("", "0", "nan", "a\0b", "\ud800", "\udc80x", "x" * 100_000, "../..", "/dev/zero"),
    *("<b>", "{n}", "%s", "\u202e", "1" * 400, "storybook", "end"),
    *([], {}, [[]], [{}], {"": {}}, [None] * 1000, {"a": [1]}, [0, 0], [-1]),
)
NUMBERS = (0, 1, -1, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31)
LONG_NUMBERS = (*NUMBERS, 2**32, 2**40, 2**62, 2**63 - 1, -(2**62))
DEEP = 100_000
# Of a list that is made longer: what is wrong is to be found in the reader.
MAX_BYTES = 30_000_000
# JSON may have integers longer than Python writes.
LONG_INTEGER = "9" * 5000
_MARK = "a number of 5,000 digits stands here"
# Now and then several things are wrong at once.
MOST_AT_ONCE = 4


def wrong(name: str, data: bytes, rng: random.Random) -> bytes:
    """`data`, the content of a file called `name`, made wrong in some way."""
    by_structure = _BY_STRUCTURE.get(name.rpartition(".")[2])
    if by_structure is not None and rng.random() < 0.6:
        try:
            return by_structure(data, rng)
        except (ValueError, LookupError, struct.error, zipfile.BadZipFile):
            # It was made wrong already, within another file.
            pass
    for _ in range(rng.randint(1, MOST_AT_ONCE)):
        data = rng.choice(_OF_BYTES)(data, rng)
    return data


def _flipped(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64)) if data else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _number_in(data: bytes, rng: random.Random) -> bytes:
    """A length, an offset or a count that lies."""
    size, kinds, numbers = rng.choice(
        (
            (1, "B", NUMBERS),
            (2, "H", NUMBERS),
            (4, "I", NUMBERS),
            (8, "Q", LONG_NUMBERS),
        )
    )
    if len(data) < size:
        return data
    place = rng.randrange(len(data) - size + 1)
    if rng.random() < 0.7:
        place -= place % size
    order = rng.choice("<>")
    if rng.random() < 0.5:
        (before,) = struct.unpack_from(order + kinds, data, place)
        number = before + rng.choice((-8, -1, 1, 8, 1000))
    else:
        number = rng.choice(numbers)
    number &= (1 << 8 * size) - 1
    return data[:place] + struct.pack(order + kinds, number) + data[place + size :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _without_part(data: bytes, rng: random.Random) -> bytes:
    begin, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:begin] + data[min(end, begin + rng.choice((1, 8, 1000))) :]


def _part_twice(data: bytes, rng: random.Random) -> bytes:
    begin, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[begin : min(end, begin + 1000)] + data[at:]


def _noise(data: bytes, rng: random.Random) -> bytes:
    at, n = rng.randrange(len(data) + 1), rng.choice((1, 4, 100))
    return data[:at] + rng.randbytes(n) + data[at + rng.choice((0, n)) :]


def _strange(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    part = rng.choice(
        (
            *(b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\n" * 1000),
            *(b'"' * 99, b"[" * DEEP, b'{"a":' * 1000, b",", b";", b"\x1b[2J"),
            *(b"9" * 5000, b"NaN", b"-Infinity", b'\\ud800"', b"x" * 200_000),
        )
    )
    return data[:at] + part + data[at:]


def _replaced(data: bytes, rng: random.Random) -> bytes:
    return rng.choice(
        (
            *(b"", b"\0" * 100, b"[" * DEEP, b"null", b"[]", b"{}", b"NaN", b'"'),
            *(rng.randbytes(200), data.decode("latin-1").encode("utf-16"), data * 2),
        )
    )


_OF_BYTES = (
    *(_flipped, _flipped, _number_in, _number_in, _number_in, _cut, _without_part),
    *(_part_twice, _noise, _strange, _replaced),
)


def wrong_json(data: bytes, rng: random.Random) -> bytes:
    value = json.loads(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        value = _wrong_value(value, rng)
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    text = text.replace(f'"{_MARK}"', LONG_INTEGER)
    return text.encode("utf-8", "surrogatepass")


def _wrong_value(value: Any, rng: random.Random) -> Any:
    """`value` with one thing in it another one: any node, however deep."""
    if isinstance(value, dict | list) and value and rng.random() < 0.85:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = rng.choice(keys)
        changed: Any = dict(value) if isinstance(value, dict) else list(value)
        match rng.randrange(8):
            case 0:
                del changed[key]
            case 1 if isinstance(changed, dict):
                changed[rng.choice(("", "x", "format", "\ud800", "1"))] = changed.pop(
                    key
                )
            case 1 | 2 if isinstance(changed, list):
                times = rng.choice((2, 100))
                if len(json.dumps(changed)) * times <= MAX_BYTES:
                    changed *= times
            case _:
                changed[key] = _wrong_value(value[key], rng)
        return changed
    return _instead(value, rng)


def _instead(value: Any, rng: random.Random) -> Any:
    match rng.randrange(10):
        case 0:
            return _MARK
        case 1:
            deep = value
            for _ in range(rng.choice((3, 90, 400))):
                deep = [deep] if rng.random() < 0.5 else {"a": deep}
            return deep
        case 2 if isinstance(value, int | float):
            return value * rng.choice((-1, 2, 1000, 10**6))
        case 3:
            return [value]
        case 4:
            return str(value)
        case _:
            return rng.choice(VALUES)


def _wrong_lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines()
    at = rng.randrange(len(lines))
    lines[at] = wrong_json(lines[at], rng)
    return b"\n".join(lines) + b"\n"


def _wrong_safetensors(data: bytes, rng: random.Random) -> bytes:
    (n_header,) = struct.unpack_from("<Q", data)
    header, rest = data[8 : 8 + n_header], data[8 + n_header :]
    if rng.random() < 0.7:
        header = wrong_json(header, rng)
        n_header = len(header)
        if rng.random() < 0.2:
            n_header = rng.choice(LONG_NUMBERS) & (2**64 - 1)
    else:
        rest = rng.choice(_OF_BYTES)(rest, rng)
    return struct.pack("<Q", n_header) + header + rest


def _wrong_zip(data: bytes, rng: random.Random) -> bytes:
    """Well made, of files that are not; or with names and kinds that lead astray."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    name = rng.choice(list(files))
    match rng.randrange(4):
        case 0:
            strange = ("../a", "/a", "a\\b", "C:/a", "a\u202eb", "", "a/" * 50, "sae/")
            files[rng.choice(strange)] = files.pop(name)
        case 1:
            files[f"x/{name.rpartition('/')[2]}"] = files[name]
        case _:
            files[name] = wrong(name, files[name], rng)
    out = io.BytesIO()
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
    with zipfile.ZipFile(out, "w", rng.choice((*kinds, zipfile.ZIP_LZMA))) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    if rng.random() < 0.3:
        return _number_in(out.getvalue(), rng)
    return out.getvalue()


def _wrong_link(data: bytes, rng: random.Random) -> bytes:
    """A link's value, well packed, of a state that is not."""
    packed = zlib.decompress(base64.urlsafe_b64decode(data + b"=" * (-len(data) % 4)))
    state = (wrong_json if rng.random() < 0.8 else _flipped)(packed, rng)
    return base64.urlsafe_b64encode(zlib.compress(state, 9)).rstrip(b"=")


def _wrong_gzip(data: bytes, rng: random.Random) -> bytes:
    """Well packed, of JSON that is not right; several at once, or one that grows."""
    content = gzip.decompress(data)
    match rng.randrange(8):
        case 0:
            content = rng.choice(_OF_BYTES)(content, rng)
        case 1:
            content = b"[" * rng.choice((DEEP, MAX_BYTES))
        case 2:
            return data + gzip.compress(content, mtime=0)
        case _:
            content = wrong_json(content, rng)
    return gzip.compress(content, rng.choice((0, 9)), mtime=0)


# How the values of GGUF's kinds are packed; a string and an array are neither.
_GGUF_KINDS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B"}
_GGUF_KINDS |= {10: "Q", 11: "q", 12: "d"}
_GGUF_STRING, _GGUF_ARRAY = 8, 9
Field = tuple[str, Any]


def _wrong_gguf(data: bytes, rng: random.Random) -> bytes:
    """Its tables with numbers that lie, strings that do, entries twice or not there."""
    fields, rest = _gguf_fields(data)
    for _ in range(rng.randint(1, MOST_AT_ONCE)):
        at = rng.randrange(len(fields))
        kind, value = fields[at]
        match rng.randrange(8):
            case 0:
                del fields[at]
            case 1:
                fields[at:at] = fields[at : at + rng.choice((1, 3, 20))]
            case _ if kind == "s":
                strange = (b"", b"\0", b"\xff" * 9, b"gpt2", b"x" * 100_000, value * 2)
                fields[at] = ("s", rng.choice(strange))
            case _:
                kind = rng.choice((kind, kind, kind, "I", "Q"))
                fields[at] = (kind, rng.choice(LONG_NUMBERS))
        if not fields:
            break
    if rng.random() < 0.2:
        rest = rest[: rng.randrange(len(rest) + 1)]
    return b"".join(_gguf_packed(*field) for field in fields) + rest


def _gguf_fields(data: bytes) -> tuple[list[Field], bytes]:
    """What the tables of a valid file are made of, one by one, and the rest."""
    fields: list[Field] = []
    place = 0

    def take(kind: str) -> Any:
        nonlocal place
        if kind == "s":
            (n,) = struct.unpack_from("<Q", data, place)
            value: Any = data[place + 8 : place + 8 + n]
            place += 8 + n
        else:
            (value,) = struct.unpack_from(f"<{kind}", data, place)
            place += struct.calcsize(f"<{kind}")
        fields.append((kind, value))
        return value

    def take_value(kind: int) -> None:
        if kind == _GGUF_ARRAY:
            of, n = take("I"), take("Q")
            for _ in range(n):
                take_value(of)
        else:
            take("s" if kind == _GGUF_STRING else _GGUF_KINDS[kind])

    for kind in "II":
        take(kind)
    n_tensors, n_entries = take("Q"), take("Q")
    for _ in range(n_entries):
        take("s")
        take_value(take("I"))
    for _ in range(n_tensors):
        take("s")
        for _ in range(take("I")):
            take("Q")
        for kind in "IQ":
            take(kind)
    return fields, data[place:]


def _gguf_packed(kind: str, value: Any) -> bytes:
    if kind == "s":
        return struct.pack("<Q", len(value)) + value
    if kind in "fd":
        return struct.pack(f"<{kind}", float(value))
    n_bytes = struct.calcsize(f"<{kind}")
    return (int(value) & ((1 << 8 * n_bytes) - 1)).to_bytes(n_bytes, "little")


_BY_STRUCTURE: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "json": wrong_json,
    "jsonl": _wrong_lines,
    "safetensors": _wrong_safetensors,
    "zip": _wrong_zip,
    "link": _wrong_link,
    "gz": _wrong_gzip,
    "gguf": _wrong_gguf,
}
