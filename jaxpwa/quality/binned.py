"""Chi-squared of a fit in bins: projections, pairs of columns, and one table over all columns."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jaxpwa.engine.devices import Devices
from jaxpwa.quality._bins import Bins, boxes, edges_of, grid, merged, spec_of
from jaxpwa.quality._samples import Samples, n_effective, number_of_free, samples
from jaxpwa.quality._tables import BinTable, Chi2Test

_EVENTS_PER_BOX = 25
_MOST_BOXES = 1000


def chi2_test(
    result_or_params: Any,
    model: Any,
    data: Any,
    mc: Any,
    columns: str | Sequence[str],
    *,
    bins: Any = 20,
    pairs: Iterable[tuple[str, str]] = (),
    joint_bins: int | None = None,
    n_fitted: int | None = None,
    n_generated: float | None = None,
    min_expected: float = 10.0,
    devices: Devices = None,
    progress: bool | None = None,
) -> Chi2Test:
    r"""Compare a fit with data in bins.

    With :math:`o_b = \sum w` of data, :math:`m_b = s \sum w I` of Monte Carlo in bin :math:`b`, and the variance
    :math:`v_b` of their difference,

    .. math::
        \chi^2 = \sum_b \frac{(o_b - m_b)^2}{v_b}
        - \frac{\left[\sum_b m_b (o_b - m_b) / v_b\right]^2}{\sum_b m_b^2 / v_b}

    The second term is there where the model is scaled to the data (``n_generated=None``:
    :math:`s = \sum_b o_b / \sum_b \sum w I`), and leaves exactly one degree of freedom fewer; it is 0 where variances
    are in proportion to the expectation. With ``n_generated``, :math:`s` is its inverse, as in `jaxpwa.ExtendedNLL`.
    :math:`v_b = \sigma_b^2 + s^2 \sum (w I)^2`, where :math:`\sigma_b^2` is :math:`m_b` for data without weights
    (Pearson), else :math:`\sum w^2` of data.

    The parameters of an unbinned fit come from more than the bins, so that the minimum of chi-squared is not reached:
    chi-squared is then larger than its distribution with ``ndof`` degrees of freedom says (Chernoff and Lehmann).
    The right p-value lies between `BinTable.p_value`, with all fitted parameters subtracted, and
    `BinTable.p_value_unfitted`. In a projection few parameters matter, and the latter is closer.

    Parameters
    ----------
    result_or_params
        A `jaxpwa.FitResult`, or numbers by name.
    model
        ``intensity(params, data) -> (events,)``. None: ``mc`` has the expected distribution already.
    data
        Events, with weights of either sign.
    mc
        Monte Carlo of the fit: flat in phase space, reconstructed like data. Weights multiply the intensity.
    columns
        Names of the columns to compare; of all together a table in boxes of about equal expectation is made.
    bins
        Bins of the projections. A whole number: so many of about equal expectation. Edges: these, bins closed
        below, the last one at both ends; events outside do not count. Or either by name of the column.
    pairs
        Pairs of columns for which there shall be a table in the product of their bins.
    joint_bins
        Boxes of the table over all columns. None: such that 25 events fall into each, at most 1000.
    n_fitted
        Degrees of freedom that the fit took. None: parameters of the result that were free; 0 for plain numbers.
        An extended fit that is scaled to data all the same has one fewer, since its yield is counted twice.
    n_generated
        Events generated to get ``mc``, for an extended fit. None: scale the model to the data, table by table.
    min_expected
        Bins are joined to the next one until the expectation is worth so many events of data, Monte Carlo has
        so many effective events, and weighted data so many events. In boxes and pairs "next" is a neighbour.
    devices, progress
        As in `jaxpwa.evaluate`.

    Returns
    -------
    Chi2Test
        Tables with edges, contents, errors and pulls; ``statistic``, ``ndof`` and ``p_value`` of that over all columns.

    Raises
    ------
    ValueError, TypeError
        If columns, bins or numbers do not fit, values are not finite, or no degree of freedom is left.

    References
    ----------
    H. Chernoff, E. L. Lehmann, The use of maximum likelihood estimates in chi-squared tests for goodness of fit,
    Ann. Math. Statist. 25 (1954) 579.

    Examples
    --------
    >>> import numpy as np, jaxpwa as jp
    >>> from jaxpwa.quality import chi2_test
    >>> rng = np.random.default_rng(1)
    >>> x, flat = rng.random(2000) ** 0.5, rng.random(50_000)  # data follow 2 x
    >>> test = chi2_test({"b": 1.0}, lambda p, d: d["x"] ** p["b"], {"x": x}, {"x": flat}, "x", bins=10)
    >>> test.ndof, 0.01 < test.p_value < 0.99
    (9, True)
    """
    wanted_pairs = [tuple(pair) for pair in pairs]
    number = number_of_free(result_or_params) if n_fitted is None else n_fitted
    _check_numbers(number, n_generated, min_expected, joint_bins)
    both = samples(result_or_params, model, data, mc, columns, devices=devices, progress=progress)
    for pair in wanted_pairs:
        if len(pair) != 2 or not set(pair) <= set(both.names) or pair[0] == pair[1]:
            msg = f"pairs must be pairs of the columns {', '.join(both.names)}, got {pair!r}."
            raise ValueError(msg)
    wanted, place = spec_of(bins, both.names), {name: k for k, name in enumerate(both.names)}
    edges = {n: edges_of(wanted[n], n, both.data[:, k], both.mc[:, k], both.mc_weights) for n, k in place.items()}

    def table(names: tuple[str, ...], binning: Bins) -> BinTable:
        return _compare(both, names, binning, number, n_generated, min_expected)

    projections: dict[Any, BinTable] = {}
    for names in [*((name,) for name in both.names), *wanted_pairs]:
        at = [place[name] for name in names]
        binning = grid(both.data[:, at], both.mc[:, at], [edges[name] for name in names])
        projections[names if len(names) == 2 else names[0]] = table(names, binning)
    joint = projections[both.names[0]]
    if len(both.names) > 1:
        n_boxes = _number_of_boxes(both) if joint_bins is None else joint_bins
        joint = table(both.names, boxes(both.data, both.mc, both.mc_weights, n_boxes))
    if joint.ndof < 1:
        msg = (
            f"no degree of freedom is left of {joint.n_bins} bins (a bin holds at least {min_expected:g} events), "
            f"{joint.n_norm} for the normalisation and {number} fitted parameters: ask for more bins "
            f"({'joint_bins' if len(both.names) > 1 else 'bins'}) or say n_fitted."
        )
        raise ValueError(msg)
    return Chi2Test(joint, projections)


def _check_numbers(n_fitted: Any, n_generated: Any, min_expected: Any, joint_bins: Any) -> None:
    """Refuse numbers that make no test."""
    for what, value, least in (("n_fitted", n_fitted, 0), ("joint_bins", joint_bins, 2)):
        if value is not None and (not isinstance(value, (int, np.integer)) or value < least):
            msg = f"{what} must be a whole number of at least {least}, got {value!r}."
            raise ValueError(msg)
    for what, value in (("n_generated", n_generated), ("min_expected", min_expected)):
        if value is not None and not (isinstance(value, (int, float, np.number)) and 0 < value < np.inf):
            msg = f"{what} must be a positive number, got {value!r}."
            raise ValueError(msg)


def _number_of_boxes(both: Samples) -> int:
    """Return the number of boxes into which events of data and of Monte Carlo can be divided well."""
    fewest = min(n_effective(both.data_weights), n_effective(both.mc_weights))
    return int(np.clip(fewest / _EVENTS_PER_BOX, 2, _MOST_BOXES))


def _sums(cell: np.ndarray, weights: np.ndarray, n_bins: int) -> list[np.ndarray]:
    """Return sums of weights, of their squares, and numbers of events, per bin."""
    inside = cell >= 0
    cell, w = cell[inside], weights[inside]
    return [np.bincount(cell, weights=x, minlength=n_bins) for x in (w, w**2, np.ones_like(w))]


def _compare(
    both: Samples, names: tuple[str, ...], bins: Bins, n_fitted: int, n_generated: float | None, least: float
) -> BinTable:
    """Return the table of one binning."""
    n_bins = len(bins.lower)
    data = _sums(bins.data, both.data_weights, n_bins)
    mc = _sums(bins.mc, both.mc_weights, n_bins)
    total, mc_total = data[0].sum(), mc[0].sum()
    if not (total > 0 and mc_total > 0):
        msg = (
            f"the weights inside the bins of {', '.join(names)} must have positive sums, got {total:.6g} for data "
            f"and {mc_total:.6g} for the model."
        )
        raise ValueError(msg)
    scale = total / mc_total if n_generated is None else 1.0 / n_generated
    weighted = bool(np.any(both.data_weights != 1.0))
    worth = data[1].sum() / total  # of one event of data

    def full(sums: np.ndarray) -> bool:
        _, _, n_data, expected, squares, _ = sums
        enough = scale * expected >= least * worth and expected**2 >= least * squares
        return bool(expected > 0 and enough and (not weighted or n_data >= least))

    group = merged(np.stack([*data, *mc], axis=1), full)
    joined = np.bincount(group)
    o, squares, _, m, mc_squares, _ = (np.bincount(group, weights=x) for x in (*data, *mc))
    m, mc_variance = scale * m, scale**2 * mc_squares
    variance = squares if weighted else m
    r, v = o - m, variance + mc_variance
    chi2 = np.sum(r**2 / v)
    if n_generated is None:
        chi2 -= np.sum(m * r / v) ** 2 / np.sum(m**2 / v)
    lower, upper = (np.stack([f(x[group == g], axis=0) for g in range(len(joined))]) for f, x in _ends(bins))
    outside = int(np.count_nonzero(bins.data < 0))
    n_norm = int(n_generated is None)
    return BinTable(names, lower, upper, o, m, variance, mc_variance, joined, float(chi2), n_norm, n_fitted, outside)


def _ends(bins: Bins) -> tuple[tuple[Any, np.ndarray], ...]:
    return (np.min, bins.lower), (np.max, bins.upper)
