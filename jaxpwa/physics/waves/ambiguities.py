r"""Solutions that no data can tell apart: phases, complex conjugates, Barrelet zeros.

Always
    One phase for all couplings that interfere with each other, directly or through others: `rotated`, `to_reference`.
Where the amplitudes that couplings multiply are real up to a common phase
    The complex conjugate of all couplings that interfere: `conjugated`. So it is for two pseudoscalars, from a beam
    without spin in the reflectivity basis and from linearly polarised photons, for each reflectivity (and
    configuration) alone. Complex line shapes that differ from wave to wave fix the signs of phases.
Beams without spin, waves of :math:`m \le 1`
    The unnatural waves are a polynomial in :math:`u = \tan(\theta/2)` of degree :math:`2 l_{max}`, whose zeros
    (Barrelet's) may each be conjugated: :math:`2^{2 l_{max}} / 2` solutions apart from complex conjugation, 8 for S, P
    and D. In each of them the natural waves take up what the squares of the unnatural ones with m = 1 lose, in
    :math:`2^{l_{max} - 1} / 2` ways from l = 2 on, and where they would need a negative intensity the solution does not
    exist. Waves of m = 0 alone are a polynomial in :math:`\cos\theta`: :math:`2^{l_{max}} / 2` solutions. Zeros that
    are real, and waves that a set lacks, leave fewer. There are no others, if unnatural and natural
    waves are one coherent sum each.
Linearly polarised photons
    A reflectivity whose waves all have the same m is seen through the square of one polynomial in :math:`\cos\theta` of
    degree :math:`l_{max} - |m|`, and has its zeros to conjugate. Others have only phases and complex conjugates, if
    there are enough waves for many moments, S and D for example. Few waves of both reflectivities leave as many
    unknowns as moments or more: P waves of all m have a second solution that is found by fits from random starts and by
    no formula here; with m = 1 and -1 alone, they can be changed continuously. So can several configurations of the
    nucleons' spins, whose real and imaginary parts an orthogonal matrix may mix. `flat_directions` finds what is
    continuous.

All here works with a handful of numbers on the host, in double precision, and not within jit.

References
----------
E. Barrelet, Nuovo Cimento A 8 (1972) 331. S. U. Chung, Phys. Rev. D 56 (1997) 7299: beams without spin. W. A. Smith et
al. (JPAC), Phys. Rev. D 108 (2023) 076001, and J. Guo et al., arXiv:2506.15128: polarised photons.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from jaxpwa._checks import known
from jaxpwa.physics.waves import _barrelet
from jaxpwa.physics.waves._couplings import (
    Model,
    close,
    columns_of,
    groups_of,
    intensities,
    referenced,
    representable,
    values_of,
    with_values,
)
from jaxpwa.physics.waves.polarised import _Part
from jaxpwa.physics.waves.twopseudoscalars import TwoPseudoscalarWave
from jaxpwa.physics.waves.wave import Wave

_MOST, _AT_ONCE = 2**14, 64


def _checked(waves: Any) -> _barrelet.Sectors:
    if not isinstance(waves, Mapping) or not waves:
        msg = f"waves must be a dict of at least one amplitude by wave, got {waves!r}."
        raise TypeError(msg)
    for key, value in waves.items():
        if not np.all(np.isfinite(np.asarray(value, complex))):
            msg = f"amplitudes must be finite, got {value!r} for {key!r}."
            raise ValueError(msg)
    return _barrelet.sectors(list(waves))


def barrelet_zeros(waves: Mapping[Any, Any]) -> np.ndarray:
    r"""Zeros of the amplitude of two pseudoscalars from a beam without spin.

    Parameters
    ----------
    waves
        As in `ambiguous_solutions`; or each ``(points,)``, such as against mass.

    Returns
    -------
    Complex, ``(zeros,)`` or ``(points, zeros)``. If there are unnatural waves of m = 1, zeros of the unnatural ones in
    :math:`u = \tan(\theta/2)`, :math:`2 l_{max}` many; else zeros in :math:`\cos\theta`, of the natural waves if there
    are no others. Those of each point are put in the order that continues the point before. What is missing because the
    highest power is 0 is at infinity. Solutions meet where a zero is real.

    Raises
    ------
    TypeError, ValueError
        As `ambiguous_solutions`, and if waves have different numbers of points.

    Examples
    --------
    >>> import numpy as np
    >>> from jaxpwa.physics.waves.ambiguities import barrelet_zeros
    >>> barrelet_zeros({"S": 1j, "P": 1.0}).round(3)  # of i + sqrt(3) cos(theta)
    array([-0.-0.577j])
    """
    zero, one, natural = _checked(waves)
    shapes = {np.shape(value) for value in waves.values()}
    if len(shapes) > 1 or len(next(iter(shapes))) > 1:
        msg = f"waves must be numbers or all have one shape (points,), got shapes {known(map(str, shapes))}."
        raise ValueError(msg)
    rows = {key: np.atleast_1d(np.asarray(value, complex)) for key, value in waves.items()}
    found: list[np.ndarray] = []
    for i in range(len(next(iter(rows.values())))):
        here = [{l: complex(rows[key][i]) for l, key in sector.items()} for sector in (zero, one, natural)]
        if one:
            f = _barrelet.in_u(_barrelet.polynomial(here[0], 0), _barrelet.polynomial(here[1], 1))
        else:
            f = _barrelet.polynomial(here[0], 0) if zero else _barrelet.polynomial(here[2], 1)
        zeros = _barrelet.every_zero(f)
        found.append(_barrelet.continued(found[-1], zeros) if found else zeros)
    return np.array(found) if shapes.pop() else found[0]


def ambiguous_solutions(
    waves: Mapping[Any, complex], *, conjugates: bool = False, reference: Sequence[Any] = ()
) -> list[dict[Any, complex]]:
    r"""Partial waves of two pseudoscalars from a beam without spin that have the same angular distribution.

    For polarised photons see `equivalent_solutions`.

    .. math::

        4\pi I = \Big| \sum_l \sqrt{2l+1} \big( [l]_0\, d^l_{00} + \sqrt 2\, [l]_-\, d^l_{10} \cos\phi \big) \Big|^2
               + \Big| \sum_l \sqrt{2l+1}\, \sqrt 2\, [l]_+\, d^l_{10} \sin\phi \Big|^2

    Parameters
    ----------
    waves
        Amplitudes by wave, of one bin of mass. Waves are called ``"S0"``, ``"P0"``, ``"P-"``, ``"P+"``, or with m and
        reflectivity, ``"S0-"``, ``"P0-"``, ``"P1-"``, ``"P1+"``, or by letters alone if all m are 0; or ``(l, m)`` for
        m = 0 and ``(l, m, reflectivity)``. Waves that aren't named are 0, and stay so.
    conjugates
        Whether to list too what differs by complex conjugation of the unnatural or the natural waves.
    reference
        Waves whose amplitude is real and positive, one of each reflectivity; the first of each if nothing is given.

    Returns
    -------
    All solutions, the given one first, each named as the given one is. Different signs of the waves of m = 1, as there
    are with other conventions for harmonics, make no difference.

    Raises
    ------
    TypeError, ValueError
        If waves are no dict or of other kinds, an amplitude isn't finite, a reference isn't there or is one of two of a
        reflectivity, or there would be too many solutions.

    Examples
    --------
    >>> from jaxpwa.physics.waves.ambiguities import ambiguous_solutions
    >>> for solution in ambiguous_solutions({"S": 1.0, "P": 1 + 1j, "D": 0.5j}):
    ...     print({wave: complex(round(c.real, 3), round(c.imag, 3)) for wave, c in solution.items()})
    {'S': (1+0j), 'P': (1+1j), 'D': 0.5j}
    {'S': (1.41+0j), 'P': (0.709-0.713j), 'D': (0.314-0.389j)}
    """
    sectors = _checked(waves)
    groups = [[*sectors[0].values(), *sectors[1].values()], [*sectors[2].values()]]
    groups = [[key for key in waves if key in group] for group in groups if group]
    references = _references(groups, reference)
    values = [{l: complex(waves[key]) for l, key in sector.items()} for sector in sectors]
    out: list[dict[Any, complex]] = []
    for found in _same_intensity(*values, conjugates=conjugates):
        named = {key: f[l] for sector, f in zip(sectors, found, strict=True) for l, key in sector.items()}
        solution = {key: named[key] for key in waves}
        for group, first in zip(groups, references, strict=True):
            if abs(named[first]) > 1e-12 * _barrelet.size_of(*values):
                phase = named[first].conjugate() / abs(named[first])
                solution.update({key: named[key] * phase for key in group})
                solution[first] = complex(abs(named[first]))
        _append(out, solution)
    return out


def _references(groups: list[list[Any]], given: Sequence[Any]) -> list[Any]:
    given = [given] if isinstance(given, (str, tuple)) and any(given in group for group in groups) else list(given)
    for key in given:
        if not any(key in group for group in groups):
            msg = f"reference names {key!r}, which is none of {known(k for group in groups for k in group)}."
            raise ValueError(msg)
    asked = [[key for key in given if key in group] for group in groups]
    for keys in asked:
        if len(keys) > 1:
            msg = f"reference must name one wave of each reflectivity, got {known(keys)}."
            raise ValueError(msg)
    return [(keys or group)[0] for keys, group in zip(asked, groups, strict=True)]


def _append(solutions: list[dict], new: dict) -> None:
    """Add a solution unless it is there; solutions meet where zeros are real or equal."""
    scale = 1e-6 * max(map(abs, new.values()))
    if not any(all(abs(old[key] - new[key]) <= scale for key in new) for old in solutions):
        solutions.append(new)


def _same_intensity(zero: _barrelet.Waves, one: _barrelet.Waves, natural: _barrelet.Waves, *, conjugates: bool) -> Any:
    degree = max([2 * l for l in one] + [(2 if one else 1) * l for l in zero] + [0]) + max([1, *natural]) - 1
    _limit(2**degree)
    return _barrelet.of_spinless_beam(zero, one, natural, conjugates)


def _limit(number: int) -> None:
    if number > _MOST:
        msg = f"the zeros can be conjugated in {number} ways, which is more than {_MOST}: take fewer waves."
        raise ValueError(msg)


def equivalent_solutions(
    model: Model,
    params: Mapping[str, Any],
    data: Mapping[str, Any] | None = None,
    tolerance: float = 1e-9,
) -> list[dict[str, float]]:
    """Parameters of a model that have the same intensity: what other minima of a fit there are.

    Complex conjugates of what interferes are tried in every combination, and Barrelet zeros where there are: for waves
    of one m in `two_pseudoscalar_model`, and for other models whose couplings are named as in `ambiguous_solutions`.
    What is listed has been compared on a sample, and so is true whatever the model is.

    Parameters
    ----------
    model
        A `CoherentSum` or `IncoherentSum`.
    params
        Parameter values by name, as of a fit: ``result.values``.
    data
        Columns, ``(events,)`` each: a sample on which intensities are compared, such as some hundred events of phase
        space. Not needed for a `two_pseudoscalar_model` without shapes.
    tolerance
        As in `equivalent`.

    Returns
    -------
    Parameter values by name, valid starts of a fit, each with phases as `to_reference` chooses them. The given one
    comes first. Continuous ambiguities, of which `flat_directions` tells, are not listed.

    Raises
    ------
    TypeError, ValueError
        If the model is of another kind, parameters are missing, data is needed, an intensity isn't finite, or there
        would be too many solutions.

    Examples
    --------
    >>> from jaxpwa.physics.waves.ambiguities import equivalent_solutions
    >>> from jaxpwa.physics.waves.twopseudoscalars import two_pseudoscalar_model
    >>> model = two_pseudoscalar_model(["S0+", "D2+", "D1-"], polarisation=0.35)
    >>> for solution in equivalent_solutions(model, model.start({"D2+": 1 - 2j, "S0+": -1.0})):
    ...     print(solution)
    {'S0+.re': 1.0, 'D2+.re': -1.0, 'D2+.im': 2.0, 'D1-.re': 1.0}
    {'S0+.re': 1.0, 'D2+.re': -1.0, 'D2+.im': -2.0, 'D1-.re': 1.0}
    """
    values = values_of(model, params)
    columns = columns_of(_sample(model) if data is None else data)
    blocks = _blocks(model, values)
    _limit(int(np.prod([len(block) for block in blocks])))
    candidates: list[dict[str, complex]] = []
    for choice in product(*blocks):
        solution = referenced(model, {name: block[name] for block in choice for name in block})
        if representable(model, solution):
            _append(candidates, solution)
    found = [with_values(model, params, solution) for solution in candidates]
    out: list[dict[str, float]] = []
    for first in range(0, len(found), _AT_ONCE):
        some = found[first : first + _AT_ONCE]
        # All evaluations are of one shape, for each shape is compiled.
        padding = [params] * (_AT_ONCE - len(some)) if first else []
        expected, *there = intensities(model, [params, *some, *padding], columns)
        out += [p for p, here in zip(some, there, strict=False) if close(here, expected, tolerance)]
    return out


def _angular(model: Any) -> dict[str, tuple[_Part, bool]]:
    """Return the angular function of each coupling of polarised photons, and whether it has no shape."""
    return {
        part.coupling.name: (part.factors[0], len(part.factors) == 1)
        for _, part in model._parts()
        if isinstance(part, Wave) and isinstance(part.factors[0], _Part)
    }


def _blocks(model: Any, values: Mapping[str, complex]) -> list[list[dict[str, complex]]]:
    """Return what the couplings of each part of a model may be, the given ones first."""
    out: list[list[dict[str, complex]]] = []
    angular, others = _angular(model), []
    for group in groups_of(model):
        here = {name: values[name] for name in group}
        polarised = [angular[name] for name in group if name in angular]
        if len(polarised) < len(group):
            others.append(here)
            continue
        waves = [part.wave for part, plain in polarised if plain and isinstance(part.wave, TwoPseudoscalarWave)]
        if len(waves) == len(group) and len({wave.m for wave in waves}) == 1:
            names, m = {wave.l: name for wave, name in zip(waves, group, strict=True)}, abs(waves[0].m)
            _limit(2 ** (max(names) - m))
            found = _barrelet.of_one_m({l: values[name] for l, name in names.items()}, m, True)
            out.append([{names[l]: value for l, value in one.items()} for one in found])
        else:
            out.append([here, {name: value.conjugate() for name, value in here.items()}])
    named = [name for here in others for name in here]
    if named and all(_barrelet.numbers(name) for name in named):
        sectors = _barrelet.sectors(named)
        found = _same_intensity(
            *({l: values[name] for l, name in sector.items()} for sector in sectors), conjugates=True
        )
        out.append([{s[l]: f[l] for s, f in zip(sectors, one, strict=True) for l in s} for one in found])
    else:
        out += [[here, {name: value.conjugate() for name, value in here.items()}] for here in others]
    return out


def _sample(model: Any) -> dict[str, np.ndarray]:
    """Return angles and polarisations at which intensities are compared."""
    rng, out = np.random.default_rng(1), {}
    for _, part in model._parts():
        angular = part.factors[0] if isinstance(part, Wave) and len(part.factors) == 1 else None
        if not isinstance(angular, _Part) or not isinstance(angular.wave, TwoPseudoscalarWave):
            msg = f"data must be given, as {part.name!r} reads columns that aren't known: some hundred events."
            raise ValueError(msg)
        ranges = {angular.wave.costheta: (-1, 1), angular.wave.phi: (-np.pi, np.pi)}
        ranges[angular.polarisation_angle] = (-np.pi, np.pi)
        if isinstance(angular.polarisation, str):
            ranges[angular.polarisation] = (0.1, 0.9)
        out.update({name: rng.uniform(low, high, 300) for name, (low, high) in ranges.items() if name not in out})
    return out
