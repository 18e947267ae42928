"""ROOT files, through uproot: TTree and RNTuple, and the ``kin`` trees of AmpTools."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxpwa._checks import JaxpwaWarning, known
from jaxpwa._extras import needs
from jaxpwa.data.dataset import Dataset, table_columns
from jaxpwa.data.io.format import Format, as_table, check_columns, parsing, slices

_TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")
_AMPTOOLS = tuple(f"{c}_{who}" for who in ("FinalState", "Beam") for c in ("E", "Px", "Py", "Pz"))


def _tree(path: Path, file: Any, name: str | None) -> Any:
    """Return the tree of this name, or the only one."""
    trees = {key.split(";")[0]: None for key, kind in file.classnames().items() if kind in _TREES}
    if name is None:
        if len(trees) != 1:
            holds = f"the trees {known(trees)}: choose with tree=..." if trees else f"no tree, only {_kinds(file)}"
            msg = f"{path} holds {holds}."
            raise ValueError(msg)
        name = next(iter(trees))
    elif name not in trees:
        msg = f"{path} has no tree {name!r}; it has: {known(trees)}."
        raise ValueError(msg)
    return file[name]


def _kinds(file: Any) -> str:
    return known(sorted({str(kind) for kind in file.classnames().values()}))


def _native(values: Any) -> np.ndarray:
    array = np.asarray(values)
    return array.astype(array.dtype.newbyteorder("="), copy=False) if array.dtype.kind in "fiuc" else array


def _values(arrays: Any, name: str) -> np.ndarray:
    """Return what was read of a branch, or of a field of one that holds records."""
    # Some versions of uproot give RNTuples as structured arrays.
    while name not in (arrays if isinstance(arrays, dict) else arrays.dtype.names or ()):
        outer, _, name = name.partition(".")
        arrays = arrays[outer]
        if arrays.dtype == object:
            return arrays
    return arrays[name]


def _is_jagged(values: np.ndarray) -> bool:
    return values.dtype == object and len(values) > 0 and not isinstance(values[0], str)


def _chunks(
    path: Path,
    rows: int | None,
    columns: list[str] | None,
    start: int = 0,
    *,
    tree: str | None = None,
    beam_polarization: bool = False,
) -> Iterator[Any]:
    """Read branches with one value, or a fixed number of values, per event, from an event on."""
    uproot = needs("uproot", "root", "reading ROOT files")
    # uproot would keep what was read, up to 100 MB of it.
    with parsing(path), uproot.open(path, array_cache=None) as file:
        branches = _tree(path, file, tree)
        names = list(branches.keys())
        if set(_AMPTOOLS) <= set(names) and (columns is None or not set(columns) <= set(names)):
            for table in _amptools(path, branches, rows, start, beam_polarization):
                check_columns(path, list(table), columns)
                yield table if columns is None else Dataset({name: table[name] for name in columns})
            return
        if beam_polarization:
            msg = f"{path}: beam_polarization is for AmpTools trees, which have {known(_AMPTOOLS)}."
            raise ValueError(msg)
        check_columns(path, names, columns)
        # Records of RNTuples come field by field.
        wanted = columns or [n for n in names if not getattr(branches[n], "fields", None)]
        noticed = False
        for arrays in _arrays(branches, wanted, rows, start):
            table = {name: _native(arrays[name]) for name in wanted}
            jagged = [n for n, values in table.items() if _is_jagged(values)]
            if jagged and columns is not None:
                msg = f"{path}: branch {known(jagged)} has a varying number of values per event: choose others."
                raise ValueError(msg)
            if jagged and not noticed:
                noticed = True
                msg = f"{path}: left out {known(jagged)}, with a varying number of values per event."
                warnings.warn(msg, JaxpwaWarning, stacklevel=4)
            if len(jagged) == len(table):
                msg = f"{path}: no branch has a fixed number of values per event."
                raise ValueError(msg)
            yield as_table({n: v for n, v in table.items() if n not in jagged})


def _arrays(branches: Any, names: list[str], rows: int | None, start: int) -> Iterator[dict[str, Any]]:
    """Yield the branches so many events at a time; one table, perhaps without events, for the whole."""
    n_events = int(branches.num_entries)
    if rows is None or n_events - start <= rows:
        whole = branches.arrays(names, library="np", entry_start=start)
        yield {name: _values(whole, name) for name in names}
        return
    # uproot decodes a basket or cluster as a whole, and again for each step that begins within.
    largest = max(_entries_at_once(branches, names), rows)
    for arrays in branches.iterate(names, library="np", entry_start=start, step_size=largest // rows * rows):
        values = {name: _values(arrays, name) for name in names}
        for part in slices(len(values[names[0]]), rows):
            yield {name: values[name][part] for name in names}


def _entries_at_once(branches: Any, names: list[str]) -> int:
    """Return how many entries the largest basket of a tree, or cluster of an RNTuple, has."""
    if branches.classname == "ROOT::RNTuple":
        return max((int(c.num_entries) for c in branches.ntuple.cluster_summaries), default=1)
    return max(int(np.diff(branches[name].entry_offsets).max(initial=1)) for name in names)


def _count(path: Path, *, tree: str | None = None, **_: Any) -> int:
    """Return the number of events that the tree says it has."""
    uproot = needs("uproot", "root", "reading ROOT files")
    with parsing(path), uproot.open(path, array_cache=None) as file:
        return int(_tree(path, file, tree).num_entries)


def _amptools(path: Path, branches: Any, rows: int | None, start: int, polarized: bool) -> Iterator[Dataset]:
    """Read an AmpTools tree as four-vectors ``beam``, ``final_1``, ``final_2``, ... of shape ``(events, 4)``.

    With ``beam_polarization=True`` the beam's Px and Py hold its linear polarisation: they become ``pol_magnitude`` and
    ``pol_angle`` (rad, from the x axis), and the beam goes along z.
    """
    wanted = [*_AMPTOOLS, *(n for n in ("Weight",) if n in branches)]
    for arrays in _arrays(branches, wanted, rows, start):
        beam = np.stack([arrays[f"{c}_Beam"].astype(np.float64) for c in ("E", "Px", "Py", "Pz")], axis=1)
        columns: dict[str, np.ndarray] = {}
        if polarized:
            columns["pol_magnitude"] = np.hypot(beam[:, 1], beam[:, 2])
            columns["pol_angle"] = np.arctan2(beam[:, 2], beam[:, 1])
            beam[:, 3], beam[:, 1:3] = beam[:, 0], 0.0
        elif len(beam) and (np.sum(beam[:, 1:] ** 2, axis=1) > (1 + 1e-5) * beam[:, 0] ** 2).any():
            msg = (
                f"{path}: the beam's momentum exceeds its energy: if Px and Py are its polarisation, "
                "pass beam_polarization=True."
            )
            warnings.warn(msg, JaxpwaWarning, stacklevel=5)
        final = []
        for c in ("E", "Px", "Py", "Pz"):
            values = arrays[f"{c}_FinalState"]
            lengths = {len(v) for v in values}
            if len(lengths) > 1:
                msg = (
                    f"{path}: {c}_FinalState has {sorted(lengths)} particles in different events; one number is needed."
                )
                raise ValueError(msg)
            # Without events, branches of varying length don't say how many particles there would be.
            n_particles = lengths.pop() if lengths else (*values.shape, 0)[1]
            final.append(np.array([np.asarray(v, np.float64) for v in values]).reshape(len(values), n_particles))
        columns = {"beam": beam, **columns}
        for k in range(final[0].shape[1]):
            columns[f"final_{k + 1}"] = np.stack([component[:, k] for component in final], axis=1)
        if "Weight" in arrays:
            columns["weight"] = arrays["Weight"].astype(np.float64)
        yield Dataset(columns)


def _write(stream: BinaryIO, table: Any) -> None:
    """Write a TTree named ``events``."""
    uproot = needs("uproot", "root", "writing ROOT files")
    columns = {name: np.asarray(values) for name, values in table_columns(table).items()}
    for name, values in columns.items():
        if values.dtype.kind not in "fiub":
            msg = f"ROOT files hold numbers here, and column {name!r} holds {values.dtype}: convert or drop it."
            raise TypeError(msg)
    with uproot.recreate(stream) as file:
        file.mktree("events", {name: (v.dtype, v.shape[1:]) for name, v in columns.items()})
        if len(next(iter(columns.values()))):
            file["events"].extend(columns)


FORMATS = (
    Format(
        "ROOT",
        (".root",),
        b"root",
        _chunks,
        _write,
        options=("tree", "beam_polarization"),
        parts=_chunks,
        count=_count,
    ),
)
