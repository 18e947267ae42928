"""Moments of partial waves, exactly, and of any intensity, by Monte Carlo: pure functions, with errors on request.

What the moments are, with their signs and normalisation, stands in `jaxpwa.physics.moments.expansion`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from math import pi, sqrt
from typing import Any, TypeAlias

import numpy as np

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa._checks import known
from jaxpwa._types import Columns, Intensity, Params
from jaxpwa.physics.moments.expansion import Index, Moments, moment_functions, moment_indices
from jaxpwa.physics.spin import clebsch_gordan

Wave: TypeAlias = tuple[int, int, int]
"""Which wave: ``(l, m, reflectivity)``."""

Waves: TypeAlias = Mapping[Wave, ArrayLike]
"""Complex amplitudes by wave, numbers or ``(bins,)``."""


@cache
def _overlap(l1: int, m1: int, l2: int, m2: int, big_l: int) -> float:
    """Integral of Y_l1^m1, the conjugate of Y_l2^m2 and D^L_{M0}(phi, theta, 0), M being m1 - m2."""
    if big_l < abs(m1 - m2):
        return 0.0
    straight = clebsch_gordan(l2, 0, big_l, 0, l1, 0)
    return sqrt((2 * l2 + 1) / (2 * l1 + 1)) * straight * clebsch_gordan(l2, m2, big_l, m1 - m2, l1, m1)


@lru_cache(maxsize=64)
def _bilinear(waves: tuple[Wave, ...], indices: tuple[Index, ...]) -> np.ndarray:
    """Coefficients ``(moments, waves, waves)`` of each product of an amplitude and a conjugate one."""
    place = {index: i for i, index in enumerate(indices)}
    out = np.zeros((len(indices), len(waves), len(waves)))
    for i, (l1, m1, r1) in enumerate(waves):
        for j, (l2, m2, r2) in enumerate(waves):
            if r1 != r2:
                continue
            both = (-1) ** (m1 - m2)
            # (alpha, sign, m of the first harmonic, m of the second): the products of U and U-tilde term by term.
            terms = [
                (0, 1, m1, m2),
                (0, both, -m1, -m2),
                (1, r1 * (-1) ** m1, -m1, m2),
                (1, r1 * (-1) ** m2, m1, -m2),
                (2, r1 * (-1) ** m1, -m1, m2),
                (2, -r1 * (-1) ** m2, m1, -m2),
            ]
            for alpha, sign, a, b in terms:
                for big_l in range(abs(l1 - l2), l1 + l2 + 1, 2):
                    if (alpha, big_l, a - b) in place:
                        out[place[alpha, big_l, a - b], i, j] += sign * _overlap(l1, a, l2, b, big_l)
    out.flags.writeable = False
    return out


def _checked(waves: Any) -> tuple[Wave, ...]:
    """Return the quantum numbers of the waves, or say which can't be."""
    if not isinstance(waves, Mapping) or not waves:
        msg = "waves must be a mapping {(l, m, reflectivity): complex amplitude} of at least one wave, or several such."
        raise TypeError(msg)
    for wave in waves:
        whole = isinstance(wave, tuple) and len(wave) == 3 and all(isinstance(n, (int, np.integer)) for n in wave)
        if not whole or wave[0] < abs(wave[1]) or wave[2] not in (1, -1):
            msg = f"waves must be named (l, m, reflectivity), whole numbers with |m| <= l and 1 or -1: got {wave!r}."
            raise ValueError(msg)
    return tuple((int(l1), int(m), int(r)) for l1, m, r in waves)


def moments_of_amplitudes(waves: Waves | Iterable[Waves], *, lmax: int | None = None) -> Moments:
    r"""Moments of partial waves in the reflectivity basis.

    The waves :math:`[l]_m^{(\epsilon)}` make

    .. math::
        U^{(\epsilon)} &= \sum_{lm} [l]_m^{(\epsilon)}\, Y_l^m(\Omega), \qquad
        \tilde U^{(\epsilon)} = \sum_{lm} [l]_m^{(\epsilon)}\, [Y_l^m(\Omega)]^*, \\
        I^0 &= \sum_\epsilon |U^{(\epsilon)}|^2 + |\tilde U^{(\epsilon)}|^2, \quad
        I^1 = -2 \sum_\epsilon \epsilon \operatorname{Re} U^{(\epsilon)} \tilde U^{(\epsilon)*}, \quad
        I^2 = -2 \sum_\epsilon \epsilon \operatorname{Im} U^{(\epsilon)} \tilde U^{(\epsilon)*},

    which for each :math:`\epsilon` is the intensity of :math:`Z_l^m = Y_l^m e^{-i\Phi}`,

    .. math:: I = 2 (1 + \epsilon P) \left|\textstyle\sum_{lm} [l]_m \operatorname{Re} Z_l^m\right|^2
                + 2 (1 - \epsilon P) \left|\textstyle\sum_{lm} [l]_m \operatorname{Im} Z_l^m\right|^2 .

    The integrals of three harmonics are products of Clebsch-Gordan coefficients:

    .. math::
        H^0(LM) &= \sum [l]_m [l']_{m'}^* \left(C^{l m}_{l' m'} + (-1)^{m - m'} C^{l, -m}_{l', -m'}\right) \\
        H^1(LM) &= \sum \epsilon\, [l]_m [l']_{m'}^* \left((-1)^m C^{l, -m}_{l' m'}
                   + (-1)^{m'} C^{l m}_{l', -m'}\right) \\
        H^2(LM) &= i \sum \epsilon\, [l]_m [l']_{m'}^* \left((-1)^m C^{l, -m}_{l' m'}
                   - (-1)^{m'} C^{l m}_{l', -m'}\right) \\
        C^{l m}_{l' m'} &= \sqrt{\frac{2l' + 1}{2l + 1}}\, \langle l' 0\, L 0 | l 0 \rangle
                   \langle l' m'\, L M | l m \rangle

    Parameters
    ----------
    waves
        Amplitudes by ``(l, m, reflectivity)``, complex numbers or arrays ``(bins,)``, with the factor of phase space
        already in them. Reflectivity is 1 or -1; m may have either sign. Several such mappings in a list are
        configurations k that do not interfere, as spin-flip and non-flip of the nucleon: their moments add.
    lmax
        Highest L of the moments, to have the same as other ones; twice the highest l if not given.

    Returns
    -------
    `Moments` without covariance, ``(moments,)`` or ``(moments, bins)``, differentiable. :math:`H^0(00)` is twice the
    sum of the squares of all amplitudes; models that leave out the factor 2 of I have half these moments.

    Raises
    ------
    TypeError
        If ``waves`` is no mapping, or there is none.
    ValueError
        If a name is not ``(l, m, reflectivity)``.

    References
    ----------
    V. Mathieu et al. (JPAC), Phys. Rev. D 100 (2019) 054017.

    Examples
    --------
    >>> from jaxpwa.physics.moments.of_models import moments_of_amplitudes
    >>> moments = moments_of_amplitudes({(0, 0, 1): 2.0, (1, 1, 1): 1j})  # S0 and P1
    >>> float(moments[0, 0, 0]), float(moments[1, 0, 0])
    (10.0, 8.0)
    """
    several = isinstance(waves, Iterable) and not isinstance(waves, Mapping)
    sets: list[Any] = (list(waves) or [None]) if several else [waves]
    names = [_checked(one) for one in sets]
    indices = moment_indices(2 * max(l1 for some in names for l1, _, _ in some) if lmax is None else lmax)
    parts = []
    for one, some in zip(sets, names, strict=True):
        arrays = [jnp.asarray(value) for value in one.values()]
        kind = jnp.result_type(complex, *arrays)
        amplitudes = jnp.stack(jnp.broadcast_arrays(*(a.astype(kind) for a in arrays)))
        products = jnp.real(amplitudes[:, None] * jnp.conj(amplitudes)[None])
        table = jnp.asarray(_bilinear(some, indices), products.dtype)
        parts.append(jnp.tensordot(table, products, axes=2, precision="highest"))
    total = parts[0]
    for part in parts[1:]:
        total = jnp.add(*jnp.broadcast_arrays(total, part))
    return Moments(indices, total)


def with_errors(
    function: Callable[[dict[str, jax.Array]], Moments],
    params: Params,
    covariance: ArrayLike,
    *,
    names: Sequence[str] | None = None,
) -> Moments:
    r"""Moments as a function of parameters, with the covariance that follows from that of the parameters.

    .. math:: V_H = J\, V\, J^T, \qquad J = \partial H / \partial \text{params}, \text{ exact, by forward derivatives}

    Parameters
    ----------
    function
        ``function(params) -> Moments``, differentiable by JAX.
    params
        Real numbers by name, as ``FitResult.values``.
    covariance
        ``(params, params)``, as ``FitResult.covariance``; rows of fixed parameters are 0.
    names
        All names in the order of the covariance; the order of ``params`` if not given. Needed where ``params`` is an
        argument of ``jit`` or ``vmap``: JAX sorts the names in such a dict.

    Returns
    -------
    `Moments` at ``params``, with errors to first order.

    Raises
    ------
    ValueError
        If a parameter is no single number, the covariance has another shape, names differ, or are missing inside jit.
    """
    order = list(params) if names is None else list(names)
    if sorted(order) != sorted(params):
        msg = f"names must be those of params, {known(params)}: got {known(order)}."
        raise ValueError(msg)
    traced = jax.core.Tracer  # pyright: ignore[reportAttributeAccessIssue]
    if names is None and any(isinstance(value, traced) for value in params.values()):
        msg = (
            "the order of params is lost where it is an argument of jit or vmap, which sort its names: call"
            " with_errors(..., names=) with the names in the order of the covariance, or close over params."
        )
        raise ValueError(msg)
    values = [jnp.asarray(params[name]) for name in order]
    for name, value in zip(order, values, strict=True):
        if value.ndim:
            msg = f"parameter {name!r} must be one number, got shape {value.shape}."
            raise ValueError(msg)
    matrix = jnp.asarray(covariance)
    if matrix.shape != (len(order), len(order)):
        msg = (
            f"covariance must have shape ({len(order)}, {len(order)}), one row for each of {known(order)} in this"
            f" order: got shape {matrix.shape}."
        )
        raise ValueError(msg)
    vector = jnp.stack([value.astype(jnp.result_type(float, matrix)) for value in values])

    def at(vector: jax.Array) -> Moments:
        return function(dict(zip(order, vector, strict=True)))

    result = at(vector)
    jacobian = jax.jacfwd(lambda v: at(v).values)(vector).reshape(-1, len(order))
    shape = result.values.shape
    return Moments(result.indices, result.values, (jacobian @ matrix @ jacobian.T).reshape(*shape, *shape))


def moments_of_waves(
    couplings: Callable[[dict[str, jax.Array]], Waves | Iterable[Waves]],
    params: Params,
    *,
    lmax: int | None = None,
    covariance: ArrayLike | None = None,
) -> Moments:
    """Moments of partial waves that are functions of real parameters, such as a fit's.

    Parameters
    ----------
    couplings
        ``couplings(params) -> waves`` as in `moments_of_amplitudes`.
    params
        Real numbers by name.
    lmax
        As in `moments_of_amplitudes`.
    covariance
        Of the parameters, ``(params, params)`` in the order of ``params``: then the moments have theirs, by
        `with_errors`.

    Returns
    -------
    `Moments`, differentiable in ``params``.

    Raises
    ------
    TypeError, ValueError
        As `moments_of_amplitudes` and `with_errors`.

    Examples
    --------
    >>> import numpy as np
    >>> from jaxpwa.physics.moments.of_models import moments_of_waves
    >>> couplings = lambda p: {(0, 0, 1): p["S.re"], (1, 1, 1): p["P.re"] + 1j * p["P.im"]}
    >>> params = {"S.re": 2.0, "P.re": 0.6, "P.im": 0.8}
    >>> moments = moments_of_waves(couplings, params, covariance=0.01 * np.eye(3))
    >>> round(float(moments[0, 0, 0]), 6), round(float(moments.error((0, 0, 0))), 6)
    (10.0, 0.894427)
    """
    if covariance is None:
        return moments_of_amplitudes(couplings(dict(params)), lmax=lmax)
    return with_errors(lambda p: moments_of_amplitudes(couplings(p), lmax=lmax), params, covariance)


def moments_of_model(
    intensity: Intensity,
    params: Params,
    phase_space: Columns,
    lmax: int,
    *,
    polarisation: ArrayLike | None = None,
    volume: float = 4 * pi,
    covariance: ArrayLike | None = None,
) -> Moments:
    r"""Moments of any intensity, by generated phase-space Monte Carlo.

    .. math:: H^0(LM) = \frac{V}{\sum_i v_i} \sum_i v_i\, I(x_i)\, f^0_{LM}(x_i), \qquad
              H^{1,2}(LM) = \frac{2 V}{\sum_i v_i P_i^2} \sum_i v_i\, I(x_i)\, f^{1,2}_{LM}(x_i)

    with the functions f of `moment_functions`; the second is the factor 2/P of the definition where P is the same for
    all events.

    Parameters
    ----------
    intensity
        ``intensity(params, data) -> (events,)``; it sees all columns.
    params
        Real numbers by name.
    phase_space
        *Generated* events, before any acceptance, uniform in ``costheta``, ``phi`` and ``Phi``: columns of these
        names, ``(events,)`` and rad, ``weights`` if they have any, and whatever the intensity needs. Other variables,
        such as a mass, are averaged over.
    lmax
        Highest L.
    polarisation
        Degree of polarisation that the intensity was computed with, a number or ``(events,)``; without it only the
        moments of alpha 0 are had, and ``Phi`` need not be there.
    volume
        V. The default, the full solid angle, gives the moments as they are defined, those of the waves; 1 makes H0(00)
        the mean of the intensity, which is the number of events that an extended likelihood expects.
    covariance
        Of the parameters, ``(params, params)`` in the order of ``params``: then the moments have theirs. The
        statistical error of the Monte Carlo itself is not in it.

    Returns
    -------
    `Moments`, differentiable in ``params``. ``(moments, events)`` numbers are held in memory, and with a covariance
    one more set of all that is computed for each parameter.

    Raises
    ------
    ValueError
        If a column is missing or the intensity is not one number per event; as `with_errors`.

    Examples
    --------
    >>> import numpy as np
    >>> from jaxpwa.physics.moments.of_models import moments_of_model
    >>> rng = np.random.default_rng(1)
    >>> mc = {"costheta": rng.uniform(-1, 1, 1000), "phi": rng.uniform(-np.pi, np.pi, 1000)}
    >>> moments = moments_of_model(lambda p, d: p["a"] + 0 * d["phi"], {"a": 0.5}, mc, 2, volume=1.0)
    >>> round(float(moments[0, 0, 0]), 6)
    0.5
    """
    needed = ("costheta", "phi") if polarisation is None else ("costheta", "phi", "Phi")
    for name in needed:
        if name not in phase_space:
            msg = f"phase_space must have the column {name!r}, the angle of each event; it has: {known(phase_space)}."
            raise ValueError(msg)
    costheta, phi = jnp.asarray(phase_space["costheta"]), jnp.asarray(phase_space["phi"])
    angle = None if polarisation is None else jnp.asarray(phase_space["Phi"])
    rows = moment_functions(costheta, phi, lmax, Phi=angle, polarisation=polarisation)
    weights = jnp.asarray(phase_space["weights"]) if "weights" in phase_space else jnp.ones_like(costheta)
    indices = moment_indices(lmax, polarised=polarisation is not None)
    scale = volume / jnp.sum(weights)
    polarised = scale if polarisation is None else 2 * volume / jnp.sum(weights * jnp.asarray(polarisation) ** 2)
    scales = jnp.stack([scale if alpha == 0 else polarised for alpha, _, _ in indices])

    def moments(params: Params) -> Moments:
        values = intensity(params, phase_space)
        if jnp.shape(values) != costheta.shape:
            msg = f"intensity must be one number per event, shape {costheta.shape}, got shape {jnp.shape(values)}."
            raise ValueError(msg)
        return Moments(indices, scales * jnp.matmul(rows, weights * values, precision="highest"))

    return moments(params) if covariance is None else with_errors(moments, params, covariance)
