r"""Fit fractions of waves, with interference.

.. math::

    f_{ii} = \frac{\int I_i}{\int I}, \qquad
    f_{ij} = \frac{\int I_{ij} - \int I_i - \int I_j}{\int I} = \frac{\int 2 \operatorname{Re} A_i A_j^*}{\int I}
    \quad (i \ne j), \qquad \sum_{i \le j} f_{ij} = 1

with :math:`I_i` the intensity of wave i alone and :math:`I_{ij}` that of i and j together. An interference term is the
whole of it, not half: each pair counts once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jaxpwa._checks import known
from jaxpwa.engine.pieces import Events
from jaxpwa.inference import report
from jaxpwa.inference.propagate import Estimate
from jaxpwa.results._integrals import Fitted, PartSums, error_of, estimate, function_sums, sample
from jaxpwa.results._parts import Subset, check_disjoint, chosen, interfere, is_composed

# A matrix of more columns is wider than a terminal; of more waves the largest terms are listed.
_WIDE, _LISTED = 8, 15
# What differences of sums that are 1 leave.
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class FitFractions:
    """Fit fractions and interference terms, as fractions of 1.

    Indexing gives one number with its error: ``fractions["rho"]``, ``fractions["rho", "omega"]``,
    ``fractions["name of a group"]``.

    Attributes
    ----------
    names
        Waves, or sets of waves, ``n`` of them.
    values, errors
        ``(n, n)``, symmetric: fractions on the diagonal, the whole interference term of a pair in both places, so that
        ``np.triu(values).sum()`` is 1. NaN where nothing is known of a pair.
    pairs
        Indices of the entries of the upper triangle that are known, row by row, in the order of ``covariance``.
    covariance
        ``(len(pairs), len(pairs))``, of the errors of the parameters.
    sum
        Sum of the diagonal.
    interference
        1 minus that: all interference terms together.
    groups
        Fractions of coherent subsets, by name.
    group_covariance
        Of these, in their order.
    """

    names: tuple[str, ...]
    values: np.ndarray
    errors: np.ndarray
    pairs: tuple[tuple[int, int], ...]
    covariance: np.ndarray
    sum: Estimate
    interference: Estimate
    groups: dict[str, Estimate]
    group_covariance: np.ndarray

    def __getitem__(self, key: str | tuple[str, str]) -> Estimate:
        if isinstance(key, str) and key in self.groups:
            return self.groups[key]
        first, second = (key, key) if isinstance(key, str) else key
        for name in (first, second):
            if name not in self.names:
                msg = f"there is no fraction of {name!r}; there are {known([*self.names, *self.groups])}."
                raise KeyError(msg)
        i, j = self.names.index(first), self.names.index(second)
        return estimate(self.values[i, j], self.errors[i, j] ** 2)

    @property
    def matrix(self) -> pd.DataFrame:
        """The values with their names, ``(n, n)``."""
        return pd.DataFrame(self.values, self.names, self.names)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per number.

        Returns
        -------
        Columns ``kind`` (``"wave"``, ``"interference"``, ``"group"``, ``"sum"``), ``first``, ``second`` (the other wave
        of an interference term, else empty), ``fraction``, ``error``.
        """
        rows = []
        for i, j in self.pairs:
            kind, second = ("wave", "") if i == j else ("interference", self.names[j])
            rows.append((kind, self.names[i], second, self.values[i, j], self.errors[i, j]))
        rows += [("group", name, "", e.value, e.error) for name, e in self.groups.items()]
        rows.append(("sum", "", "", self.sum.value, self.sum.error))
        return pd.DataFrame(rows, columns=["kind", "first", "second", "fraction", "error"])

    def _is_nothing(self, i: int, j: int) -> bool:
        """Tell whether an entry is 0 without error, but for rounding."""
        return abs(self.values[i, j]) < _ROUNDING and self.errors[i, j] < _ROUNDING

    def _tables(self) -> list[tuple[list[str], list[list[str]]]]:
        """Return headers and rows: fractions, then interference."""

        def percent(e: Estimate) -> str:
            value, error = (0.0 if abs(x) < _ROUNDING else 100 * x for x in (e.value, e.error))
            return report.with_error(value, error)

        numbers = {name: str(k) for k, name in enumerate(self.names, 1)}
        rows = [[f"{numbers[name]} {name}", percent(self[name, name])] for name in self.names]
        rows += [["sum", percent(self.sum)], ["interference", percent(self.interference)]]
        rows += [[name, percent(e)] for name, e in self.groups.items()]
        tables = [(["fit fraction", "%"], rows)]
        others = [(i, j) for i, j in self.pairs if i != j and not self._is_nothing(i, j)]
        if len(self.names) <= _WIDE and others:
            cells = [["" for _ in self.names] for _ in self.names]
            for i, j in others:
                cells[i][j] = percent(self[self.names[i], self.names[j]])
            across, down = (sorted({pair[k] for pair in others}) for k in (1, 0))
            header = ["interference, %", *(f"{j + 1}" for j in across)]
            tables.append((header, [[f"{i + 1}", *(cells[i][j] for j in across)] for i in down]))
        elif others:
            others.sort(key=lambda pair: -abs(self.values[pair]))
            pairs = [(self.names[i], self.names[j]) for i, j in others[:_LISTED]]
            more = f", largest {len(pairs)} of {len(others)}" if len(others) > len(pairs) else ""
            listed = [[f"{numbers[a]} {a} x {numbers[b]} {b}", percent(self[a, b])] for a, b in pairs]
            tables.append(([f"interference{more}", "%"], listed))
        return tables

    def __str__(self) -> str:
        return "\n".join(report.text_table(*table) for table in self._tables())

    def _repr_html_(self) -> str:
        return f"<div>{''.join(report.html_table(*table) for table in self._tables())}</div>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


def fit_fractions(
    result: Any,
    model: Any,
    mc: Any,
    *,
    names: Sequence[str] | Mapping[str, Any] | None = None,
    groups: Mapping[str, Any] | None = None,
    components: Mapping[str, Callable] | None = None,
    progress: bool | None = None,
) -> FitFractions:
    r"""Compute fit fractions with all interference terms, and their errors by exact gradients.

    .. math:: f_{ii} = \int I_i \Big/ \int I, \qquad f_{ij} = \int (I_{ij} - I_i - I_j) \Big/ \int I

    Integrals are sums :math:`\sum_m w_m I(x_m)` over Monte Carlo. All of them come from one compiled sum, in which
    parameters switch parts of the model off, over pseudo-events where the intensity allows.

    Parameters
    ----------
    result
        A `FitResult`: errors follow from its covariance. Or parameter values by name: there are no errors then.
    model
        What was fitted: a model composed of waves (`jaxpwa.physics`), whose parts are known by name; or any intensity,
        with ``components``.
    mc
        Monte Carlo that is flat in phase space, or weighted to be; weights count. Fractions that don't depend on the
        detector need generated events, as from `jaxpwa.physics.generate_phase_space`: with accepted events fractions
        are those of what was observed. Events in files (`Dataset.from_files`) are read piece by piece.
    names
        The rows of the matrix: names or patterns of waves, backgrounds or coherent sums, or sets of them by label:
        ``{"D waves": ["D1+", "D2+"], "S": "S*"}``. None: each wave and background. Waves of one name in several
        coherent sums are one row. If the rows leave something out, the matrix adds up to less or more than 1.
    groups
        Coherent subsets besides, which may overlap: ``{"positive reflectivity": "*+"}``.
    components
        For intensities of one piece: functions ``component(params, data)`` by name, intensities of parts. There are no
        interference terms of pairs then.
    progress
        None: a bar on terminals and in Jupyter for work of more than two seconds. False: none.

    Returns
    -------
    FitFractions
        Errors are of the first order, from the parameters alone: the statistics of ``mc`` is not in them.

    Raises
    ------
    TypeError, ValueError
        If a name fits nothing, rows overlap, a parameter has no value, ``model`` is of one piece and there are no
        ``components``, or an integral is not finite or that of the whole is not positive.

    Examples
    --------
    Two waves, :math:`|1 + i x|^2` on -1 < x < 1:

    >>> import numpy as np
    >>> from jaxpwa.physics import CoherentSum, Wave
    >>> from jaxpwa.results import fit_fractions
    >>> model = CoherentSum("m", [Wave("flat", lambda p, d: 1.0 + 0 * d["x"]), Wave("linear", lambda p, d: d["x"])])
    >>> x = np.linspace(-1, 1, 2001)
    >>> fractions = fit_fractions(model.start({"flat": 1.0, "linear": 1j}), model, {"x": x})
    >>> print(fractions)
    ---------------------
    fit fraction        %
    ---------------------
    1 flat        74.9813
    2 linear      25.0187
    sum               100
    interference        0
    ---------------------
    """
    fit = Fitted.of(result)
    mc = sample(mc, "mc")
    if components is not None:
        labels, flags = list(components), {} if groups is None else dict(groups)
        if names is not None or flags:
            msg = "components come by name already: names and groups choose from models composed of waves."
            raise ValueError(msg)
        return _of_components(labels, [model, *components.values()], fit, mc)
    if not is_composed(model):
        msg = (
            f"model must be composed of waves with names, got {getattr(model, '__name__', type(model).__name__)}: "
            "give components={'name': function}."
        )
        raise TypeError(msg)
    rows = chosen(model, names, "names")
    if not rows:
        msg = f"names must hold at least one of {known(model.names)}."
        raise ValueError(msg)
    check_disjoint(rows)
    extra = chosen(model, groups or {}, "groups")
    return _of_parts(model, rows, extra, fit, mc, progress)


def _of_parts(
    model: Any,
    rows: Mapping[str, frozenset],
    groups: Mapping[str, frozenset],
    fit: Fitted,
    mc: Events,
    progress: bool | None,
) -> FitFractions:
    """Return the fractions of a composed model."""
    labels, sets = list(rows), list(rows.values())
    n = len(labels)
    pairs = [(i, j) for i in range(n) for j in range(i, n)]
    together = [(i, j) for i, j in pairs if i != j and interfere(sets[i], sets[j])]
    subsets: list[Subset] = [None, *sets, *(sets[i] | sets[j] for i, j in together), *groups.values()]
    sums, gradients = PartSums(model, subsets, fit, mc, "mc").run(1.0, progress)
    shares, slopes = _relative(sums, gradients)
    # Each entry of the matrix is a combination of shares: those of i and j together less those of each alone.
    combine = np.zeros((len(pairs), len(shares)))
    for row, (i, j) in enumerate(pairs):
        if i == j:
            combine[row, i] = 1.0
        elif (i, j) in together:
            combine[row, [n + together.index((i, j)), i, j]] = 1.0, -1.0, -1.0
    first = n + len(together)
    of_groups = fit.covariance_of(slopes[first:])
    named = dict(zip(groups, map(estimate, shares[first:], np.diag(of_groups)), strict=True))
    return _record(labels, pairs, combine @ shares, combine @ slopes, fit, named, of_groups)


def _of_components(labels: list[str], functions: list[Callable], fit: Fitted, mc: Events) -> FitFractions:
    """Return the fractions of functions in an intensity, the first of them."""
    shares, slopes = _relative(*function_sums(functions, fit, mc, "mc", 1.0))
    pairs = [(i, i) for i in range(len(labels))]
    return _record(labels, pairs, shares, slopes, fit, {}, np.zeros((0, 0)))


def _relative(sums: np.ndarray, gradients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sums and gradients relative to the first sum, which is left out."""
    if not sums[0] > 0:
        msg = f"the integral of the whole intensity over mc must be positive, got {sums[0]:.6g}."
        raise ValueError(msg)
    shares = sums / sums[0]
    slopes = (gradients - np.outer(shares, gradients[0])) / sums[0]
    return shares[1:], slopes[1:]


def _record(
    labels: list[str],
    pairs: list[tuple[int, int]],
    packed: np.ndarray,
    jacobian: np.ndarray,
    fit: Fitted,
    groups: dict[str, Estimate],
    group_covariance: np.ndarray,
) -> FitFractions:
    """Put the packed upper triangle into matrices."""
    n = len(labels)
    v = fit.covariance_of(jacobian)
    values, errors = np.full((n, n), np.nan), np.full((n, n), np.nan)
    rows, columns = np.array(pairs).T
    for matrix, numbers in ((values, packed), (errors, error_of(v))):
        matrix[rows, columns] = matrix[columns, rows] = numbers
    diagonal = (rows == columns).astype(float)
    total, variance = float(diagonal @ packed), float(diagonal @ v @ diagonal)
    return FitFractions(
        tuple(labels),
        values,
        errors,
        tuple(pairs),
        v,
        estimate(total, variance),
        estimate(1 - total, variance),
        groups,
        group_covariance,
    )
