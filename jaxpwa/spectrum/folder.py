"""Finished bins in a folder: one JSON file per bin, written as a whole, and one that says of which analysis."""

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxpwa._checks import JaxpwaWarning, known
from jaxpwa._files import replacing
from jaxpwa.inference.manyfits import Minimum
from jaxpwa.inference.result import FitResult, versions
from jaxpwa.spectrum.binned_fits import BinFit, BinnedFits

_FORMAT, _BIN_FORMAT, _VERSION = "jaxpwa.fit_bins", "jaxpwa.BinFit", 1
_MANIFEST = "analysis.json"
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True, eq=False)
class BinFolder:
    """A folder of finished bins.

    Attributes
    ----------
    path
        Where.
    analysis
        What all bins have in common: edges, column, cost, model, names of parameters.
    """

    path: Path
    analysis: Mapping[str, Any]

    @classmethod
    def opened(cls, path: str | os.PathLike, analysis: Mapping[str, Any]) -> "BinFolder":
        """Make the folder, or find out that it is of the same analysis.

        Raises
        ------
        ValueError
            If it is of another one: the message says what differs.
        """
        folder = cls(Path(path), json.loads(json.dumps(analysis)))
        folder.path.mkdir(parents=True, exist_ok=True)
        manifest = folder.path / _MANIFEST
        if manifest.exists():
            try:
                there = _read(manifest, _FORMAT)["analysis"]
                here = folder.analysis
                differs = [name for name in here if there[name] != here[name]]
            except _DAMAGE as error:
                _warn(f"{manifest} is damaged ({error}), and is written anew.")
            else:
                if differs:
                    what = "; ".join(f"{n}: {_short(there[n])} there, {_short(here[n])} here" for n in differs)
                    msg = f"{folder.path} holds the fits of another analysis ({what}): take another folder."
                    raise ValueError(msg)
                return folder
        _write(manifest, {"format": _FORMAT, "analysis": folder.analysis, "versions": versions()})
        return folder

    def _file(self, number: int) -> Path:
        return self.path / f"bin_{number:04d}.json"

    def read(self, number: int, key: Mapping[str, str]) -> BinFit | None:
        """Return a finished bin, or None where there is none of these events and settings, or it is damaged."""
        path = self._file(number)
        if not path.exists():
            return None
        try:
            plain = _read(path, _BIN_FORMAT)
            if plain["key"] != self._whole(key):
                return None
            return _from_plain(plain)
        except _DAMAGE as error:
            _warn(f"{path} is damaged ({error}): the bin is fitted again.")
            return None

    def write(self, fit: BinFit, key: Mapping[str, str]) -> None:
        """Write a finished bin."""
        _write(self._file(fit.number), {"format": _BIN_FORMAT, "key": self._whole(key), **_to_plain(fit)})

    def _whole(self, key: Mapping[str, str]) -> dict[str, str]:
        """Return the key of a bin with that of the analysis."""
        parts = {"analysis": json.dumps(self.analysis, sort_keys=True), **key}
        return {name: hashlib.blake2b(text.encode(), digest_size=20).hexdigest() for name, text in parts.items()}


def load_bins(folder: str | os.PathLike) -> BinnedFits:
    """Read what `fit_bins` wrote into a folder, without events and model.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    BinnedFits
        With the bins that are finished; the others have a ``reason``. Derived quantities are not kept: see
        `BinnedFits.derive`.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or it holds no such fits.
    ValueError
        If what says of which analysis they are is damaged.

    Warns
    -----
    JaxpwaWarning
        If the file of a bin is damaged.
    """
    path = Path(folder)
    manifest = path / _MANIFEST
    if not manifest.exists():
        msg = f"{path} holds no fits of fit_bins: there is no {_MANIFEST}."
        raise FileNotFoundError(msg)
    try:
        analysis = _read(manifest, _FORMAT)["analysis"]
        edges, by = np.array(analysis["edges"], np.float64), str(analysis["by"])
    except _DAMAGE as error:
        msg = f"{manifest} is damaged: {error}"
        raise ValueError(msg) from None
    fits = []
    for i, (low, high) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        fit, file = None, path / f"bin_{i:04d}.json"
        if file.exists():
            try:
                fit = _from_plain(_read(file, _BIN_FORMAT))
            except _DAMAGE as error:
                _warn(f"{file} is damaged: {error}")
        fits.append(fit or BinFit(i, low, high, 0, np.nan, np.nan, reason="not finished"))
    return BinnedFits(edges, tuple(fits), by, 0.0)


def _warn(text: str) -> None:
    warnings.warn(text, JaxpwaWarning, stacklevel=4)


def _short(value: Any) -> str:
    """Return a value for a message."""
    if isinstance(value, list):
        return f"{len(value)} ({known(value, 6)})"
    return str(value)


def _read(path: Path, form: str) -> dict[str, Any]:
    """Read a JSON object of this form."""
    plain = json.loads(path.read_bytes())
    if not isinstance(plain, dict) or plain.get("format") != form:
        msg = f"it is no {form} record"
        raise ValueError(msg)
    if plain.get("format_version") != _VERSION:
        msg = f"it is of version {plain.get('format_version')}, and this jaxpwa reads {_VERSION}"
        raise ValueError(msg)
    return plain


def _write(path: Path, plain: Mapping[str, Any]) -> None:
    content = json.dumps({"format_version": _VERSION, **plain}, indent=1, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(content)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _or_nan(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _to_plain(fit: BinFit) -> dict[str, Any]:
    return {
        "number": fit.number,
        "low": fit.low,
        "high": fit.high,
        "n_data": fit.n_data,
        "sum_of_weights": _or_none(fit.sum_of_weights),
        "acceptance": _or_none(fit.acceptance),
        "n_starts": fit.n_starts,
        "minima": [{"starts": list(m.starts), "result": m.result.to_dict()} for m in fit.minima],
        "failures": {str(number): why for number, why in fit.failures.items()},
        "reason": fit.reason,
    }


def _from_plain(plain: Mapping[str, Any]) -> BinFit:
    minima = (Minimum(FitResult.from_dict(m["result"]), tuple(int(n) for n in m["starts"])) for m in plain["minima"])
    return BinFit(
        number=int(plain["number"]),
        low=float(plain["low"]),
        high=float(plain["high"]),
        n_data=int(plain["n_data"]),
        sum_of_weights=_or_nan(plain["sum_of_weights"]),
        acceptance=_or_nan(plain["acceptance"]),
        n_starts=int(plain["n_starts"]),
        minima=tuple(minima),
        failures={int(number): str(why) for number, why in plain["failures"].items()},
        reason=str(plain["reason"]),
    )
