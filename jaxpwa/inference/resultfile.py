"""Fit results as plain records, and as files."""

import json
import math
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from jaxpwa._files import replacing

_FORMAT = "jaxpwa.FitResult"
_FORMAT_VERSION = 2
# Version 1 had no more than what all versions have.
_ADDED_IN_2 = {"covariance_kind": "hessian", "tied": [], "definition": [], "settings": {}, "samples": []}


def to_plain(result: Any) -> dict[str, Any]:
    """Return all that is kept of a result as plain lists, dicts, strings and numbers."""
    plain: dict[str, Any] = {"format": _FORMAT, "format_version": _FORMAT_VERSION}
    for item in fields(result):
        if item.name != "minuit":
            name = item.name.lstrip("_")
            plain[name] = _plain(getattr(result, name))
    return plain


def from_plain(plain: Any) -> dict[str, Any]:
    """Return the arguments of a result that `to_plain` made.

    Raises
    ------
    ValueError
        If it is no such record.
    """
    if not isinstance(plain, dict) or plain.get("format") != _FORMAT:
        msg = f"this is no {_FORMAT} record."
        raise ValueError(msg)
    if plain.get("format_version") not in (1, _FORMAT_VERSION):
        msg = f"{_FORMAT} record of version {plain.get('format_version')}; this jaxpwa reads up to {_FORMAT_VERSION}."
        raise ValueError(msg)
    if plain["format_version"] == 1:
        plain = _ADDED_IN_2 | plain
    try:
        return _arguments(plain)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = f"damaged {_FORMAT} record: {type(error).__name__}: {error}"
        raise ValueError(msg) from None


def _arguments(plain: dict[str, Any]) -> dict[str, Any]:
    names = list(plain["values"])
    covariance = np.array([[_number(v) for v in row] for row in plain["covariance"]], np.float64)
    if covariance.shape != (len(names), len(names)) or list(plain["errors"]) != names:
        msg = "covariance or errors do not match the parameters"
        raise ValueError(msg)
    samples = tuple(dict(sample) for sample in plain["samples"])
    return {
        "values": {n: _number(v) for n, v in plain["values"].items()},
        "errors": {n: _number(v) for n, v in plain["errors"].items()},
        "covariance": covariance,
        "fval": _number(plain["fval"]),
        "errordef": float(plain["errordef"]),
        "ndata": int(plain["ndata"]),
        "edm": _number(plain["edm"]),
        "valid": bool(plain["valid"]),
        "message": str(plain["message"]),
        "fixed": _words(plain["fixed"]),
        "at_limit": _words(plain["at_limit"]),
        "limits": {
            n: (-math.inf if low is None else float(low), math.inf if high is None else float(high))
            for n, (low, high) in plain["limits"].items()
        },
        "minos": {n: (_number(low), _number(high)) for n, (low, high) in plain["minos"].items()},
        "calls": {n: int(v) for n, v in plain["calls"].items()},
        "cost": str(plain["cost"]),
        "seconds": float(plain["seconds"]),
        "covariance_kind": str(plain["covariance_kind"]),
        "tied": _words(plain["tied"]),
        "definition": _words(plain["definition"]),
        "settings": dict(plain["settings"]),
        "versions": {n: str(v) for n, v in plain["versions"].items()},
        "_samples": lambda: samples,
    }


def write_plain(path: str | os.PathLike, plain: dict[str, Any]) -> None:
    """Write a record to a ``.json`` or ``.msgpack`` file, as a whole or not at all."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".json", ".msgpack"):
        msg = f"results are saved as .json or .msgpack, got {path.name!r}."
        raise ValueError(msg)
    if suffix == ".json":
        content = json.dumps(plain, indent=1, allow_nan=False).encode()
    else:
        content = bytes(msgpack.packb(plain) or b"")
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def read_plain(path: str | os.PathLike) -> Any:
    """Read a record from a file; the content tells which of the two it is."""
    path = Path(path)
    content = path.read_bytes()
    try:
        return json.loads(content) if content.lstrip()[:1] == b"{" else msgpack.unpackb(content)
    except (ValueError, msgpack.UnpackException, msgpack.exceptions.ExtraData) as error:
        msg = f"{path} is neither JSON nor msgpack: {error}"
        raise ValueError(msg) from None


def _plain(value: Any) -> Any:
    """Turn a field into what JSON and msgpack hold."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {name: _plain(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _words(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
