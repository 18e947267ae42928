r"""Phase differences of waves.

.. math:: \varphi_{ab} = \arg(c_a c_b^*), \qquad d\varphi = \operatorname{Im}(dc_a / c_a - dc_b / c_b)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

import jax
import jax.numpy as jnp

from jaxpwa._checks import known
from jaxpwa.inference import report
from jaxpwa.inference.propagate import Estimate
from jaxpwa.results._integrals import Fitted, error_of, estimate
from jaxpwa.results._parts import is_composed, sums_of

# A modulus within so many standard deviations of 0 may be 0, and then has any phase.
_COMPATIBLE = 2.0


def wrap(angle: Any) -> Any:
    r"""Return an angle of the same direction in :math:`(-\pi, \pi]`.

    Parameters
    ----------
    angle
        Angles in rad, a number or an array.

    Returns
    -------
    Float64, of the same shape.

    Examples
    --------
    >>> from jaxpwa.results import wrap
    >>> round(float(wrap(3.5)), 6)
    -2.783185
    """
    turned = np.pi - np.mod(np.pi - np.asarray(angle, np.float64), 2 * np.pi)
    # The remainder of a tiny negative number is rounded to the whole turn.
    return np.where(turned <= -np.pi, np.pi, turned)[()]


@dataclass(frozen=True, eq=False)
class PhaseDifferences:
    r"""Phase differences of pairs of waves.

    Indexing gives one with its error: ``phases["D2+", "S0+"]``.

    Attributes
    ----------
    pairs
        Names ``(a, b)``.
    values, errors
        :math:`\arg(c_a c_b^*)` in rad, in :math:`(-\pi, \pi]`, and its standard deviation, ``(pairs,)``; NaN where a
        coupling is 0.
    covariance
        ``(pairs, pairs)``.
    meaningful
        Whether both moduli differ from 0 by more than two standard deviations: otherwise the phase may be anything, and
        the error, which supposes that it is small, says nothing.
    """

    pairs: tuple[tuple[str, str], ...]
    values: np.ndarray
    errors: np.ndarray
    covariance: np.ndarray
    meaningful: tuple[bool, ...]

    def __getitem__(self, pair: tuple[str, str]) -> Estimate:
        for sign, key in ((1, tuple(pair)), (-1, tuple(pair)[::-1])):
            if key in self.pairs:
                k = self.pairs.index(key)
                return estimate(float(wrap(sign * self.values[k])), self.covariance[k, k])
        msg = f"there is no phase difference of {pair!r}; there are {known(' - '.join(p) for p in self.pairs)}."
        raise KeyError(msg)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per pair.

        Returns
        -------
        Columns ``first``, ``second``, ``phase`` and ``error`` (rad), ``degrees`` and ``degrees_error``, ``meaningful``.
        """
        first, second = zip(*self.pairs, strict=True) if self.pairs else ((), ())
        columns: dict[str, Any] = {"first": first, "second": second, "phase": self.values, "error": self.errors}
        columns |= {"degrees": np.degrees(self.values), "degrees_error": np.degrees(self.errors)}
        return pd.DataFrame(columns | {"meaningful": self.meaningful})

    def _table(self) -> tuple[list[str], list[list[str]]]:
        header, rows = ["phase difference", "rad", "degrees", ""], []
        for pair, value, error, good in zip(self.pairs, self.values, self.errors, self.meaningful, strict=True):
            shown = [report.with_error(scale * value, scale * error) for scale in (1.0, 180 / np.pi)]
            rows.append([" - ".join(pair), *shown, "" if good else "size compatible with 0"])
        if all(self.meaningful):
            return header[:-1], [row[:-1] for row in rows]
        return header, rows

    def __str__(self) -> str:
        return report.text_table(*self._table())

    def _repr_html_(self) -> str:
        return report.html_table(*self._table())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


def phase_differences(
    result: Any, model: Any, pairs: Sequence[tuple[str, str]] | tuple[str, str] | None = None
) -> PhaseDifferences:
    r"""Compute phase differences of the couplings of waves, and their errors by exact derivatives.

    .. math:: \varphi_{ab} = \arg(c_a c_b^*) \in (-\pi, \pi]

    They are those of the couplings: phases of line shapes and angular functions are not in them.

    Parameters
    ----------
    result
        A `FitResult`, or parameter values by name, which have no errors.
    model
        Composed of waves (`jaxpwa.physics`).
    pairs
        Names ``(a, b)`` of waves or of couplings. None: of the couplings that coherent sums connect, each against a
        reference: one that is real or whose phase was fixed in the fit, else the first. No phase is defined between
        sets of waves that share no coherent sum.

    Returns
    -------
    PhaseDifferences

    Raises
    ------
    TypeError, ValueError
        If the model is not composed of waves, a name is unknown or stands for several couplings, or a parameter has no
        value.

    Examples
    --------
    >>> from jaxpwa.physics import two_pseudoscalar_model
    >>> from jaxpwa.results import phase_differences
    >>> model = two_pseudoscalar_model(["S0+", "P1+", "D2+"], polarisation=0.35)
    >>> print(phase_differences(model.start({"S0+": 1.0, "P1+": -1j, "D2+": -2.0}), model))
    ----------------------------------
    phase difference      rad  degrees
    ----------------------------------
    P1+ - S0+         -1.5708      -90
    D2+ - S0+         3.14159      180
    ----------------------------------
    """
    fit = Fitted.of(result)
    if not is_composed(model) or not hasattr(model, "couplings"):
        msg = f"model must be composed of waves with couplings, got {getattr(model, '__name__', type(model).__name__)}."
        raise TypeError(msg)
    missing = [n for c in model.couplings.values() for n in c.parameters if n not in fit.values]
    if missing:
        have = known(fit.values)
        msg = f"the couplings need parameter {known(missing)}, which the result does not have; it has {have}."
        raise ValueError(msg)
    if pairs is None:
        named = _default_pairs(model, frozenset(getattr(result, "fixed", ())))
    else:
        named = [(pair, (_coupling(model, pair[0]), _coupling(model, pair[1]))) for pair in _pairs(pairs)]
    names = list(model.couplings)
    size, slope = _couplings(model, names, fit.values)
    far = _far_from_zero(size, slope, fit)
    index = np.array([[names.index(c) for c in pair] for _, pair in named], np.intp).reshape(-1, 2)
    a, b = index.T
    with np.errstate(divide="ignore", invalid="ignore"):
        turns = (slope / size[:, None]).imag
        phases = wrap(np.where((size[a] == 0) | (size[b] == 0), np.nan, np.angle(size[a] * np.conj(size[b]))))
    jacobian = turns[a] - turns[b]
    v = fit.covariance_of(jacobian)
    bad = ~np.isfinite(phases)
    v[bad], v[:, bad] = np.nan, np.nan
    return PhaseDifferences(
        tuple(pair for pair, _ in named), phases, error_of(v), v, tuple(bool(far[i] and far[j]) for i, j in index)
    )


def _pairs(pairs: Any) -> list[tuple[str, str]]:
    """Return pairs of names; a single pair may come without a list around it."""
    given = [pairs] if len(pairs) == 2 and all(isinstance(name, str) for name in pairs) else list(pairs)
    for pair in given:
        if isinstance(pair, str) or len(pair) != 2:
            msg = f"pairs must be pairs of names, such as [('D', 'S')], got {pair!r}."
            raise ValueError(msg)
    return [(str(a), str(b)) for a, b in given]


def _coupling(model: Any, name: str) -> str:
    """Return the name of a wave's coupling."""
    found = {
        wave.coupling.name for one in sums_of(model) or () for wave in getattr(one, "waves", ()) if wave.name == name
    }
    if not found and name in model.couplings:
        found = {name}
    if not found:
        every = dict.fromkeys([*model.names, *model.couplings])
        msg = f"there is no wave or coupling {name!r}; there are {known(every)}."
        raise ValueError(msg)
    if len(found) > 1:
        msg = f"wave {name!r} has several couplings in different sums, name one of them: {known(sorted(found))}."
        raise ValueError(msg)
    return found.pop()


def _default_pairs(model: Any, fixed: frozenset[str]) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Return pairs of names of waves, and of couplings, each against the reference of what coherent sums connect."""
    label: dict[str, str] = {}
    sets: list[set[str]] = []
    for one in sums_of(model) or ():
        waves = getattr(one, "waves", ())
        here = {wave.coupling.name for wave in waves}
        for wave in waves:
            label.setdefault(wave.coupling.name, wave.name)
        touching = [s for s in sets if s & here]
        sets = [s for s in sets if not s & here] + ([here.union(*touching)] if here else [])
    found = []
    for group in sorted((sorted(s, key=list(label).index) for s in sets), key=lambda g: list(label).index(g[0])):
        couplings = [model.couplings[name] for name in group]
        held = [c.name for c in couplings if c.real or (len(c.parameters) > 1 and c.parameters[1] in fixed)]
        reference = next((c.name for c in couplings if c.real), (held or group)[0])
        found += [((label[c], label[reference]), (c, reference)) for c in group if c != reference]
    return found


@lru_cache(maxsize=64)
def _compiled_couplings(couplings: tuple[Any, ...], names: tuple[str, ...]) -> Any:
    """Return the compiled real and imaginary parts of couplings, with derivatives: one code for all bins of a mass."""

    def both(vector: jax.Array) -> jax.Array:
        params = dict(zip(names, vector, strict=True))
        c = jnp.stack([jnp.asarray(coupling(params), complex) for coupling in couplings])
        return jnp.stack([c.real, c.imag])

    return jax.jit(lambda x: (both(x), jax.jacfwd(both)(x)))


def _couplings(model: Any, names: list[str], values: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return couplings ``(couplings,)`` and their derivatives ``(couplings, parameters)``, complex."""
    couplings = tuple(model.couplings[name] for name in names)
    compiled = _compiled_couplings(couplings, tuple(values))
    (real, imag), (slope_real, slope_imag) = jax.device_get(compiled(np.array(list(values.values()))))
    return real + 1j * imag, slope_real + 1j * slope_imag


def _far_from_zero(size: np.ndarray, slope: np.ndarray, fit: Fitted) -> np.ndarray:
    """Tell which moduli differ from 0 significantly."""
    modulus = np.abs(size)
    direction = np.where(modulus > 0, size / np.where(modulus > 0, modulus, 1.0), 1.0)
    along = np.real(np.conj(direction)[:, None] * slope)
    return modulus > _COMPATIBLE * error_of(fit.covariance_of(along))
