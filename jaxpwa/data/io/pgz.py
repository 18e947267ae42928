"""PyPWA's pgz archives: a tar with metadata.json and csv or txt members.

PyPWA adds a pickle, ``data.cache``: it is never opened here, nor written.
"""

import io
import json
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from jaxpwa._checks import known
from jaxpwa.data.dataset import table_columns
from jaxpwa.data.io.delimited import EXACT
from jaxpwa.data.io.format import Format, check_columns, is_flat, no_columns, parsing, slices
from jaxpwa.data.particles import ParticleTable

_KINDS = ("flat", "structured", "particles")


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        msg = f"member {name!r} is no file"
        raise KeyError(msg)
    return file.read()


def _chunks(path: Path, rows: int | None, columns: list[str] | None) -> Iterator[Any]:
    """Read the data members; members are read in memory, never unpacked to disk."""
    with parsing(path), tarfile.open(path, "r:gz") as archive:
        meta = json.loads(_member(archive, "metadata.json"))
        kind, files = meta["type"], [str(name) for name in meta["files"]]
        if kind not in _KINDS or not files:
            msg = f"{path}: unknown content {kind!r}; known: {known(_KINDS)}."
            raise ValueError(msg)
        members = {name: _member(archive, name) for name in files}
    if kind == "particles":
        no_columns(path, columns, "four-vectors")
        table = _particles(path, members)
        for part in slices(len(table), rows):
            yield table.select(part) if rows is not None else table
        return
    frame = _parse(path, files[0], members[files[0]], header=kind == "structured")
    if kind == "flat":
        no_columns(path, columns, "one number per line")
        values = frame.iloc[:, 0].to_numpy(np.float64) if len(frame.columns) else np.empty(0)
        for part in slices(len(values), rows):
            yield values[part]
        return
    check_columns(path, list(frame.columns), columns)
    for part in slices(len(frame), rows):
        yield frame.iloc[part].reset_index(drop=True).loc[:, columns or list(frame.columns)]


def _parse(path: Path, name: str, content: bytes, header: bool) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(
                io.BytesIO(content), header="infer" if header else None, index_col=False, **EXACT
            )
            return frame if header else frame.astype(np.float64)
    except (ValueError, pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        msg = f"{path}: member {name!r} is damaged: {error}."
        raise ValueError(msg) from None


def _particles(path: Path, members: dict[str, bytes]) -> ParticleTable:
    """Read one csv per particle, named ``number_id.csv``."""
    particles = []
    try:
        ordered = sorted(members, key=lambda name: int(name.split("_")[0]))
        identities = [int(name.split("_")[1].removesuffix(".csv")) for name in ordered]
    except (IndexError, ValueError):
        msg = f"{path}: particle members are named number_id.csv, got {known(members)}."
        raise ValueError(msg) from None
    for name, identity in zip(ordered, identities, strict=True):
        frame = _parse(path, name, members[name], header=True)
        frame.columns = [str(c).lower() for c in frame.columns]
        missing = [c for c in ("e", "x", "y", "z") if c not in frame.columns]
        if missing:
            msg = f"{path}: member {name!r} lacks {known(missing)} (PyPWA 4 loses energies when it writes pgz)."
            raise ValueError(msg)
        charge = int(frame["charge"].iloc[0]) if "charge" in frame.columns and len(frame) else 0
        particles.append((identity, charge, frame[["e", "x", "y", "z"]].to_numpy(np.float64)))
    return ParticleTable(particles)


def _write(stream: BinaryIO, table: Any) -> None:
    """Write metadata.json and the data as text, without a pickle."""
    members: dict[str, bytes] = {}
    if isinstance(table, ParticleTable):
        kind = "particles"
        for number, (identity, charge, p4) in enumerate(table):
            frame = pd.DataFrame(p4, columns=["e", "x", "y", "z"]).assign(charge=charge)
            members[f"{number}_{identity}.csv"] = frame.to_csv(index=False).encode()
    elif is_flat(table):
        kind = "flat"
        values = np.asarray(table, np.float64)
        members["data.txt"] = "".join(f"{v!r}\n" for v in values.tolist()).encode()
    else:
        kind = "structured"
        members["data.csv"] = pd.DataFrame(table_columns(table)).to_csv(index=False).encode()
    meta = json.dumps({"version": 0.1, "type": kind, "files": list(members)}).encode()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in {"metadata.json": meta, **members}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


FORMATS = (Format("pgz", (".pgz",), b"\x1f\x8b", _chunks, _write),)
