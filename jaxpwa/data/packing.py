"""Python objects as msgpack: arrays as raw bytes, tables, containers, numbers, text, dates. Nothing that can run.

What this module writes it reads back equal; what it can't write it refuses with the path to the member. Reading never
imports, calls or evaluates anything that a file names.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pandas as pd

from jaxpwa._files import replacing
from jaxpwa.data.dataset import Dataset
from jaxpwa.data.particles import ParticleTable

_TAG = "~"
_PART = 1 << 30  # msgpack holds binary strings of 4 GiB at most

_DAMAGE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError, SyntaxError)


@dataclass(frozen=True)
class Extension:
    """A class of a higher layer that can be packed.

    Attributes
    ----------
    tag
        Its name in files.
    kind
        The class.
    to_plain, from_plain
        To and from what this module packs.
    """

    tag: str
    kind: type
    to_plain: Callable[[Any], Any]
    from_plain: Callable[[Any], Any]


def pack(thing: Any, extensions: tuple[Extension, ...] = ()) -> bytes:
    """Turn an object into msgpack.

    Raises
    ------
    TypeError
        If something in it can't be stored: the message has the path to it.
    """
    return bytes(msgpack.packb(_plain(thing, "object", extensions)) or b"")


def unpack(content: bytes | memoryview, extensions: tuple[Extension, ...] = ()) -> Any:
    """Turn msgpack back into the object.

    Raises
    ------
    ValueError
        If the content is damaged or of another origin.
    """
    try:
        plain = msgpack.unpackb(content, strict_map_key=False)
        return _thing(plain, {e.tag: e for e in extensions})
    except (*_DAMAGE, msgpack.UnpackException) as error:
        msg = f"damaged content: {type(error).__name__}: {error}"
        raise ValueError(msg) from None


def write_packed(path: Path, magic: bytes, thing: Any, extensions: tuple[Extension, ...] = ()) -> None:
    """Write an object behind a line that says what it is, as a whole or not at all; errors as of `pack`."""
    content = pack(thing, extensions)
    with replacing(path) as temporary:
        temporary.write_bytes(magic + content)


def read_packed(path: Path, magic: bytes, other: str, extensions: tuple[Extension, ...] = ()) -> Any:
    """Read what `write_packed` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is of another kind: the message says ``other`` of it; or damaged.
    """
    content = path.read_bytes()
    if not content.startswith(magic):
        msg = f"{path} {other}."
        raise ValueError(msg)
    try:
        return unpack(memoryview(content)[len(magic) :], extensions)
    except ValueError as error:
        msg = f"{path}: {error}"
        raise ValueError(msg) from None


def _plain(thing: Any, path: str, extensions: tuple[Extension, ...]) -> Any:
    """Turn an object into what msgpack holds, tagged where it must be told apart."""

    def again(part: Any, step: str) -> Any:
        return _plain(part, path + step, extensions)

    if thing is None or isinstance(thing, (bool, float, str, bytes)) and type(thing) in (bool, float, str, bytes):
        return thing
    if type(thing) is int:
        if not -(2**63) <= thing < 2**64:
            return {_TAG: "int", "digits": str(thing)}
        return thing
    if type(thing) is complex:
        return {_TAG: "complex", "parts": [thing.real, thing.imag]}
    for extension in extensions:
        if isinstance(thing, extension.kind):
            return {_TAG: extension.tag, "content": again(extension.to_plain(thing), "")}
    if isinstance(thing, (np.ndarray, np.generic)):
        return _plain_array(thing, path)
    if isinstance(thing, pd.DataFrame):
        columns = [[again(name, ".columns"), again(thing[name].to_numpy(), f"[{name!r}]")] for name in thing.columns]
        return {_TAG: "frame", "columns": columns, "index": _plain_index(thing.index, path)}
    if isinstance(thing, pd.Series):
        values = again(thing.to_numpy(), ".values")
        return {
            _TAG: "series",
            "name": again(thing.name, ".name"),
            "values": values,
            "index": _plain_index(thing.index, path),
        }
    if isinstance(thing, Dataset):
        columns = [[name, again(v, f"[{name!r}]")] for name, v in thing.columns.items()]
        weights = again(thing.weights, ".weights") if thing.is_weighted else None
        return {_TAG: "dataset", "columns": columns, "weights": weights, "dtype": thing.dtype}
    if isinstance(thing, ParticleTable):
        return {_TAG: "particles", "rows": [[i, c, again(p4, ".p4")] for i, c, p4 in thing]}
    if isinstance(thing, dt.datetime):
        return {_TAG: "datetime", "iso": thing.isoformat()}
    if isinstance(thing, dt.date):
        return {_TAG: "date", "iso": thing.isoformat()}
    if type(thing) is list:
        return [again(part, f"[{i}]") for i, part in enumerate(thing)]
    if type(thing) is tuple:
        return {_TAG: "tuple", "items": [again(part, f"[{i}]") for i, part in enumerate(thing)]}
    if type(thing) is dict:
        if all(type(key) is str for key in thing) and _TAG not in thing:
            return {key: again(part, f"[{key!r}]") for key, part in thing.items()}
        pairs = [[again(key, f" key {key!r}"), again(part, f"[{key!r}]")] for key, part in thing.items()]
        return {_TAG: "dict", "pairs": pairs}
    kind = f"{type(thing).__module__}.{type(thing).__qualname__}"
    msg = (
        f"{path} is a {kind}, which can't be stored. Arrays, tables, lists, tuples, dicts, numbers, text, dates and "
        "fit results can."
    )
    raise TypeError(msg)


def _plain_array(array: Any, path: str) -> dict[str, Any]:
    """Turn an array into its dtype, shape and bytes; text objects into a list."""
    is_scalar = isinstance(array, np.generic)
    array = np.asarray(array)
    if array.dtype == object:
        values = array.ravel().tolist()
        odd = [v for v in values if not (v is None or type(v) is str or (type(v) is float and v != v))]
        if odd:
            msg = f"{path} is an array of Python objects with {type(odd[0]).__name__} in it, which can't be stored."
            raise TypeError(msg)
        return {_TAG: "strings", "shape": list(array.shape), "values": values}
    if array.dtype.hasobject:
        msg = f"{path} is a structured array with Python objects in it, which can't be stored."
        raise TypeError(msg)
    described: Any = _described(array.dtype, path) if array.dtype.names else array.dtype.str
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8) if array.size else np.empty(0, np.uint8)
    parts = [flat[i : i + _PART].tobytes() for i in range(0, len(flat), _PART)]
    return {_TAG: "scalar" if is_scalar else "array", "dtype": described, "shape": list(array.shape), "data": parts}


def _described(dtype: np.dtype, path: str) -> dict[str, Any]:
    """Describe a structured dtype: names, types, shapes and places of its fields."""
    fields = []
    places: Any = dtype.fields
    for name in dtype.names or ():
        kind, offset = places[name][:2]
        base, shape = kind.subdtype or (kind, ())
        if base.names:
            msg = f"{path} is a structured array with fields inside fields, which can't be stored."
            raise TypeError(msg)
        fields.append([name, base.str, list(shape), offset])
    return {"fields": fields, "itemsize": dtype.itemsize}


def _plain_index(index: pd.Index, path: str) -> Any:
    if isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None:
        return None
    if isinstance(index, pd.MultiIndex):
        msg = f"{path}.index is a MultiIndex, which can't be stored: use reset_index()."
        raise TypeError(msg)
    return _plain_array(index.to_numpy(), f"{path}.index")


def _array(plain: dict[str, Any]) -> np.ndarray:
    """Rebuild an array from dtype, shape and bytes; a view of the content where it is in one part."""
    described = plain["dtype"]
    if isinstance(described, str):
        dtype = np.dtype(described)
    else:
        names, kinds, shapes, offsets = zip(*described["fields"], strict=True)
        formats = [(kind, tuple(shape)) if shape else kind for kind, shape in zip(kinds, shapes, strict=True)]
        dtype = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": described["itemsize"]})
    if dtype.hasobject:
        msg = "arrays of objects are not read"
        raise ValueError(msg)
    parts = plain["data"]
    content = parts[0] if len(parts) == 1 else b"".join(parts)
    return np.frombuffer(content, dtype).reshape(plain["shape"])


def _thing(plain: Any, extensions: dict[str, Extension]) -> Any:
    """Rebuild an object."""

    def again(part: Any) -> Any:
        return _thing(part, extensions)

    if isinstance(plain, list):
        return [again(part) for part in plain]
    if not isinstance(plain, dict):
        return plain
    match plain.get(_TAG):
        case None:
            return {key: again(part) for key, part in plain.items()}
        case "int":
            return int(plain["digits"])
        case "complex":
            return complex(*plain["parts"])
        case "array":
            return _array(plain).copy()
        case "scalar":
            return _array(plain)[()]
        case "strings":
            values = np.empty(len(plain["values"]), object)
            values[:] = plain["values"]
            return values.reshape(plain["shape"])
        case "frame":
            # pandas copies what it is given here, so views of the content will do.
            columns = {again(n): _array(v) if v.get(_TAG) == "array" else again(v) for n, v in plain["columns"]}
            index = None if plain["index"] is None else again(plain["index"])
            return pd.DataFrame(columns, index=index, copy=True)
        case "series":
            index = None if plain["index"] is None else again(plain["index"])
            return pd.Series(again(plain["values"]), index=index, name=again(plain["name"]))
        case "dataset":
            columns = {name: again(values) for name, values in plain["columns"]}
            weights = None if plain["weights"] is None else again(plain["weights"])
            return Dataset(columns, weights, dtype=plain["dtype"])
        case "particles":
            return ParticleTable((i, c, again(p4)) for i, c, p4 in plain["rows"])
        case "datetime":
            return dt.datetime.fromisoformat(plain["iso"])
        case "date":
            return dt.date.fromisoformat(plain["iso"])
        case "tuple":
            return tuple(again(part) for part in plain["items"])
        case "dict":
            return {again(key): again(part) for key, part in plain["pairs"]}
        case tag if tag in extensions:
            return extensions[tag].from_plain(again(plain["content"]))
        case tag:
            msg = f"unknown kind of object {tag!r}"
            raise ValueError(msg)
