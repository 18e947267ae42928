"""Tables cut into bins: what the cost of each bin is made of, and why some bins have none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxpwa._checks import known, numbers_per
from jaxpwa.data.binning import bin_by_edges
from jaxpwa.data.dataset import Dataset, as_dataset
from jaxpwa.engine.integrals import fingerprint

DATA, ACCEPTED, GENERATED = "data", "accepted_mc", "generated_mc"


@dataclass(frozen=True, eq=False)
class Bin:
    """Events of one bin; ``bin["data"]`` is a table of it.

    Attributes
    ----------
    number
        Its position, from 0.
    low, high
        Its edges; ``low`` belongs to it, ``high`` does not but in the last bin.
    tables
        Its `jaxpwa.Dataset` by name, such as ``"data"`` and ``"accepted_mc"``; any of them may be empty.
    n_generated
        Events that were generated in it, or None where that was not said.
    """

    number: int
    low: float
    high: float
    tables: dict[str, Dataset]
    n_generated: float | None

    def __getitem__(self, name: str) -> Dataset:
        """Return the events of a table that are in this bin."""
        if name not in self.tables:
            msg = f"there is no table {name!r}; there are: {known(self.tables)}."
            raise ValueError(msg)
        return self.tables[name]

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(table)} of {name}" for name, table in self.tables.items())
        return f"Bin({self.number}: {self.low:.6g} to {self.high:.6g}, {sizes})"

    @property
    def centre(self) -> float:
        """Half-way between the edges."""
        return 0.5 * (self.low + self.high)

    @property
    def n_data(self) -> int:
        """Events of data that count: weight not 0. None: 0."""
        return int(np.count_nonzero(self.tables[DATA].weights)) if DATA in self.tables else 0

    @property
    def sum_of_weights(self) -> float:
        """Sum of the weights of data, NaN where no table has this name."""
        return self.tables[DATA].sum_of_weights if DATA in self.tables else float("nan")

    @property
    def acceptance(self) -> float:
        """Accepted over generated Monte Carlo, by sums of weights; NaN where one is not known."""
        accepted, generated = self.tables.get(ACCEPTED), self.tables.get(GENERATED)
        whole = self.n_generated
        if generated is not None and whole == len(generated):
            whole = generated.sum_of_weights
        return accepted.sum_of_weights / whole if accepted is not None and whole else float("nan")

    def fingerprint(self) -> str:
        """Return a hash of all numbers in the tables, of the weights, and of ``n_generated``."""
        hashes = [f"{self.low!r} {self.high!r} {self.n_generated!r}"]
        for name, table in sorted(self.tables.items()):
            columns = tuple(c for c in sorted(table.columns) if _is_numeric(table, c))
            hashes.append(f"{name} {len(table)} {fingerprint(table, columns)}")
        return "; ".join(hashes)

    def why_not(self, min_events: int, is_usual: bool) -> str:
        """Say why there is nothing to fit, or return an empty string.

        Parameters
        ----------
        min_events
            Fewer events of data are too few.
        is_usual
            Whether the cost is made of ``data`` and ``accepted_mc``, which then must be there.
        """
        n = self.n_data
        if DATA in self.tables and not n:
            return "all weights of data are 0" if len(self.tables[DATA]) else "there are no data"
        if DATA in self.tables and n < min_events:
            return f"{n} events of data, fewer than min_events={min_events}"
        if not is_usual:
            return ""
        if not self.sum_of_weights > 0:
            return f"the weights of data add up to {self.sum_of_weights:.6g}, which is not positive"
        if not np.any(self.tables[ACCEPTED].weights):
            return "there is no accepted_mc"
        if self.n_generated is not None and not self.n_generated > 0:
            return "n_generated is 0"
        return ""


def _is_numeric(table: Dataset, name: str) -> bool:
    """Tell whether an intensity could read a column."""
    try:
        table.numbers(name)
    except TypeError:
        return False
    return True


def cut(tables: Any, edges: Any, by: Any, n_generated: Any) -> list[Bin]:
    """Cut tables into bins.

    Parameters
    ----------
    tables
        Tables by name.
    edges
        As of `bin_by_edges`.
    by
        A column that all tables have, or the column, or one number per event, by name of the table.
    n_generated
        One number per bin, or None: the events of ``generated_mc``, where there is such a table.

    Raises
    ------
    TypeError, ValueError
        If they are not of this form; the message names the table.
    """
    if not isinstance(tables, Mapping):
        kind = type(tables).__name__
        msg = f"tables must map names to tables, such as {{'data': ..., 'accepted_mc': ...}}, got {kind}."
        raise TypeError(msg)
    if not tables:
        msg = "tables must hold at least one table, got none."
        raise ValueError(msg)
    parts: dict[str, list[Dataset]] = {}
    for name, table in tables.items():
        what = f"tables[{name!r}]"
        dataset = as_dataset(table, what)
        if isinstance(by, Mapping) and name not in by:
            msg = f"by must say what every table is cut by, got nothing for {name!r}."
            raise ValueError(msg)
        try:
            parts[name] = bin_by_edges(dataset, by[name] if isinstance(by, Mapping) else by, edges)
        except ValueError as error:
            msg = f"{what}: {error}"
            raise ValueError(msg) from None
    cuts = np.asarray(edges, dtype=np.float64)
    n_bins = len(cuts) - 1
    numbers = _generated(n_generated, parts.get(GENERATED), n_bins)
    return [
        Bin(i, float(cuts[i]), float(cuts[i + 1]), {name: parts[name][i] for name in parts}, numbers[i])
        for i in range(n_bins)
    ]


def _generated(n_generated: Any, generated: Sequence[Dataset] | None, n_bins: int) -> list[float | None]:
    """Return the events generated in each bin."""
    if n_generated is None:
        return [None] * n_bins if generated is None else [float(len(table)) for table in generated]
    if np.ndim(n_generated) == 0:
        msg = (
            f"n_generated must be one number per bin, got {n_generated!r}: of events generated over all bins, those of "
            "each bin are needed. Give generated_mc in tables, and they are counted."
        )
        raise TypeError(msg)
    numbers = numbers_per("bin", np.asarray(n_generated), "n_generated", n_bins)
    if not (np.isfinite(numbers) & (numbers >= 0)).all():
        msg = f"n_generated must be finite and not negative, got {numbers.tolist()}."
        raise ValueError(msg)
    return numbers.tolist()
