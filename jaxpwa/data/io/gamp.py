"""GAMP text: per event a line with the number of particles, then ``id charge px py pz E`` for each."""

import warnings
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from jaxpwa.data.io.delimited import EXACT
from jaxpwa.data.io.format import Format, no_columns
from jaxpwa.data.io.source import for_pandas, frames, open_to_read
from jaxpwa.data.particles import ParticleTable

_FIELDS = ("id", "charge", "px", "py", "pz", "E")


def _first_count(path: Path) -> int:
    """Return the number of particles of the first event."""
    with open_to_read(path) as stream:
        for line in stream:
            if line.strip():
                words = line.split()
                if len(words) != 1 or not words[0].isdigit() or int(words[0]) < 1:
                    msg = f"{path}: the first line must be the number of particles, got {line[:60]!r}."
                    raise ValueError(msg)
                return int(words[0])
    msg = f"{path} holds no events."
    raise ValueError(msg)


def _chunks(path: Path, rows: int | None, columns: list[str] | None) -> Iterator[ParticleTable]:
    """Read whole events; every event must have the particles of the first one."""
    no_columns(path, columns, "four-vectors")
    n = _first_count(path)
    if rows is None:
        # One blank between words, as every program writes it, is read in two thirds of the time of any blanks.
        try:
            yield _table(path, _parse(path, " ", None), n, 0, None)
        except (ValueError, *_PARSING):
            pass
        else:
            return
    first_kinds, start = None, 0
    try:
        parsed = _parse(path, r"\s+", None if rows is None else rows * (n + 1))
        with frames(parsed, rows is None) as parts:
            for frame in parts:
                table = _table(path, frame, n, start, first_kinds)
                first_kinds = (table.ids, table.charges)
                start += len(table)
                yield table
    except _PARSING as error:
        _explain(path, n)
        msg = f"{path} is damaged: {error}."
        raise ValueError(msg) from None


_PARSING = (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError)


def _parse(path: Path, separator: str, lines: int | None) -> Any:
    """Read the words of all lines, NaN where a line has fewer than six; an iterator of frames with ``lines``."""
    with for_pandas(path) as source, warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(
            **source, sep=separator, header=None, names=_FIELDS, index_col=False, chunksize=lines, **EXACT
        )


def _table(path: Path, frame: pd.DataFrame, n: int, start: int, expected: Any) -> ParticleTable:
    """Check that lines make events of ``n`` particles and sort them by particle."""
    if not all(kind.kind in "fi" for kind in frame.dtypes) or len(frame) % (n + 1):
        _explain(path, n)
    lines = frame.to_numpy(np.float64)
    if len(lines) % (n + 1):
        msg = f"{path} ends in the middle of an event."
        raise ValueError(msg)
    events = lines.reshape(-1, n + 1, 6)
    heads, particles = events[:, 0], events[:, 1:]
    whole = np.isfinite(particles).all() and np.isnan(heads[:, 1:]).all() and (heads[:, 0] == n).all()
    if not whole:
        _explain(path, n)
        msg = f"{path}: values of particles must be finite numbers."
        raise ValueError(msg)
    kinds = particles[:, :, :2]
    reference = kinds[0] if expected is None else np.array(expected, np.float64).T
    differs = (kinds != reference).any(axis=(1, 2))
    if differs.any() or (reference % 1).any():
        event = int(np.argmax(differs))
        got = [tuple(int(v) for v in kind) for kind in kinds[event]]
        want = [tuple(int(v) for v in kind) for kind in reference]
        msg = f"{path}, event {start + event}: expected (id, charge) {want}, as in the first event, got {got}."
        raise ValueError(msg)
    order = particles[:, :, [5, 2, 3, 4]]
    return ParticleTable(
        (int(reference[k, 0]), int(reference[k, 1]), np.ascontiguousarray(order[:, k])) for k in range(n)
    )


def _explain(path: Path, n: int) -> None:
    """Go through the lines one by one and name the first event that is wrong."""
    event, left = -1, 0
    with open_to_read(path) as stream:
        for number, line in enumerate(stream, 1):
            words = line.split()
            if not words:
                continue
            where = f"{path}, line {number}"
            if left == 0:
                event += 1
                if len(words) != 1 or words[0] != str(n).encode():
                    shown = line.strip().decode("utf-8", "replace")[:60]
                    msg = f"{where}: event {event} should start with the number of particles, {n}, got {shown!r}."
                    raise ValueError(msg)
                left = n
                continue
            try:
                finite = len(words) == 6 and np.isfinite([float(w) for w in words]).all()
            except ValueError:
                finite = False
            if not finite:
                shown = line.strip().decode("utf-8", "replace")[:60]
                msg = f"{where}: event {event} needs 'id charge px py pz E' for particle {n - left + 1}, got {shown!r}."
                raise ValueError(msg)
            left -= 1
    if left:
        msg = f"{path}: event {event} is cut off, {left} of its {n} particles are missing."
        raise ValueError(msg)


def _write(stream: BinaryIO, table: Any) -> None:
    """Write every event with the shortest text that gives each number back."""
    if not isinstance(table, ParticleTable):
        msg = f"gamp files hold four-vectors: expected a ParticleTable, got {type(table).__name__}."
        raise TypeError(msg)
    head = f"{table.n_particles}\n"
    per_particle = []
    for identity, charge, p4 in table:
        numbers = p4[:, [1, 2, 3, 0]].tolist()
        per_particle.append([f"{identity} {charge} {x!r} {y!r} {z!r} {e!r}\n" for x, y, z, e in numbers])
    for lines in zip(*per_particle, strict=True):
        stream.write("".join(chain((head,), lines)).encode())


def _looks_like_gamp(head: bytes) -> bool:
    lines = [line.split() for line in head.split(b"\n") if line.strip()][:2]
    return len(lines) == 2 and len(lines[0]) == 1 and lines[0][0].isdigit() and len(lines[1]) == 6


FORMATS = (Format("gamp", (".gamp",), None, _chunks, _write, _looks_like_gamp, _write),)
