r"""Moments of angular distributions with a linearly polarised beam: what they are.

Two spinless mesons at the angles :math:`\Omega = (\theta, \phi)` in the rest frame of their sum, and :math:`\Phi`, the
angle between the polarisation of the beam and the production plane, as in photoproduction of :math:`\eta\pi`. The
degree of polarisation is :math:`P`, and

.. math:: I(\Omega, \Phi) = I^0(\Omega) - P\, I^1(\Omega) \cos 2\Phi - P\, I^2(\Omega) \sin 2\Phi

is the intensity per solid angle. With :math:`d^L_{M0}` of Condon and Shortley's phase the moments are

.. math::
    H^0(LM) &= \frac{1}{2\pi} \int I(\Omega, \Phi)\, d^L_{M0}(\theta) \cos M\phi \; d\Omega\, d\Phi \\
    H^1(LM) &= +\frac{2}{P}\, \frac{1}{2\pi} \int I(\Omega, \Phi)\, d^L_{M0}(\theta) \cos M\phi \cos 2\Phi
               \; d\Omega\, d\Phi = -\int I^1 d^L_{M0} \cos M\phi \; d\Omega \\
    \operatorname{Im} H^2(LM) &= -\frac{2}{P}\, \frac{1}{2\pi} \int I(\Omega, \Phi)\, d^L_{M0}(\theta) \sin M\phi
               \sin 2\Phi \; d\Omega\, d\Phi = +\int I^2 d^L_{M0} \sin M\phi \; d\Omega

for :math:`0 \le M \le L`. :math:`H^0` and :math:`H^1` are real and :math:`H^2` is imaginary; :math:`H^2(L0) = 0`. What
is stored of it is its imaginary part, for :math:`M \ge 1`. The intensity is back from its moments by

.. math:: I = \sum_{LM} \frac{2L + 1}{4\pi} (2 - \delta_{M0})\, d^L_{M0}(\theta) \left[\cos M\phi
          \left(H^0 + P H^1 \cos 2\Phi\right) - P \sin M\phi \sin 2\Phi \operatorname{Im} H^2 \right]

so :math:`H^0(00)` is the intensity integrated over all angles, and the beam asymmetry integrated over all angles is
:math:`\Sigma_{4\pi} = H^1(00) / H^0(00)`.

=========================================  ==========================================================
`moments_of_models.moments_of_amplitudes`  of partial waves, exactly
`moments_of_models.moments_of_waves`       of partial waves that are functions of parameters
`moments_of_models.moments_of_model`       of any intensity, by Monte Carlo
`moments_of_data.moments_of_data`          of events, with or without correction for the acceptance
`intensity_of_moments`                     the way back
=========================================  ==========================================================

Notes
-----
The signs are those of the relations between moments and waves that the paper gives, where :math:`H^1(00) \ge 0` for
waves of positive reflectivity with :math:`m \ge 0`. On the web page of the model that goes with the paper the
integral of :math:`H^1` has the factor :math:`-2/P`, which contradicts them, and that of :math:`H^2` has
:math:`\cos M\phi`, which would make it vanish.

References
----------
V. Mathieu et al. (JPAC), Phys. Rev. D 100 (2019) 054017, arXiv:1906.04841.
B. Grube, Moment analysis of two-(pseudo)scalar meson systems, GlueX-doc-6124: the same with every step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import pi, sqrt
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa._checks import known
from jaxpwa.physics._arrays import floating

Index: TypeAlias = tuple[int, int, int]
"""Which moment: ``(alpha, L, M)``."""


def moment_indices(lmax: int, *, polarised: bool = True) -> tuple[Index, ...]:
    """List the moments up to ``lmax``, in the order of every array of them.

    Parameters
    ----------
    lmax
        Highest L, a whole number from 0; waves up to spin l have moments up to 2 l.
    polarised
        Whether those with alpha 1 and 2 are there.

    Returns
    -------
    ``(alpha, L, M)`` with alpha slowest and ``0 <= M <= L``; none with alpha 2 and M 0.

    Raises
    ------
    ValueError
        If ``lmax`` is not a whole number from 0.

    Examples
    --------
    >>> from jaxpwa.physics.moments.expansion import moment_indices
    >>> moment_indices(1)
    ((0, 0, 0), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 1, 1))
    """
    if isinstance(lmax, bool) or not isinstance(lmax, int) or lmax < 0:
        msg = f"lmax must be a whole number from 0, the highest L of the moments, got {lmax!r}."
        raise ValueError(msg)
    alphas = (0, 1, 2) if polarised else (0,)
    return tuple((a, big_l, m) for a in alphas for big_l in range(lmax + 1) for m in range(int(a == 2), big_l + 1))


@partial(jax.tree_util.register_dataclass, data_fields=["values", "covariance"], meta_fields=["indices"])
@dataclass(frozen=True, eq=False)
class Moments:
    """Moments, and their covariance where it is known. A pytree: functions that JAX transforms may return it.

    ``moments[1, 2, 0]`` is the value of H1(2,0).

    Attributes
    ----------
    indices
        ``(alpha, L, M)`` of each.
    values
        ``(moments,)``, or ``(moments, bins)`` from amplitudes per bin; for alpha 2 the imaginary part.
    covariance
        ``(moments, moments)``, or ``(moments, bins, moments, bins)``; None where it is not known.
    """

    indices: tuple[Index, ...]
    values: jax.Array
    covariance: jax.Array | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names such as ``H0(2,1)``; ``H2(2,1)`` stands for the imaginary part."""
        return tuple(f"H{a}({big_l},{m})" for a, big_l, m in self.indices)

    @property
    def errors(self) -> jax.Array:
        """Standard deviations, the shape of ``values``.

        Raises
        ------
        ValueError
            If the covariance is not known.
        """
        if self.covariance is None:
            msg = "these moments have no covariance: give covariance= where they are made."
            raise ValueError(msg)
        n = self.values.size
        variances = jnp.diagonal(self.covariance.reshape(n, n))
        # Rounding can leave a variance of 0 below 0, as that of a normalised H0(0,0).
        return jnp.sqrt(jnp.maximum(variances, 0)).reshape(self.values.shape)

    def __getitem__(self, index: Index) -> jax.Array:
        return self.values[self._place(index)]

    def error(self, index: Index) -> jax.Array:
        """Return the standard deviation of one moment, ``(alpha, L, M)``."""
        return self.errors[self._place(index)]

    def normalised(self) -> "Moments":
        """Return the moments divided by H0(0,0), with the covariance of the ratios.

        Its own error is 0. The error of the number of events drops out: these are the errors for a fixed number, too.
        """
        first = self._place((0, 0, 0))
        return _transformed(lambda values: values / values[first : first + 1], self)

    def _place(self, index: Index) -> int:
        """Return where a moment stands, or say which there are."""
        if index not in self.indices:
            msg = f"no moment (alpha, L, M) = {index!r}; there are: {known([str(i) for i in self.indices])}."
            raise ValueError(msg)
        return self.indices.index(index)


def _transformed(function: Callable[[jax.Array], jax.Array], moments: Moments) -> Moments:
    """Apply a function that keeps the shape to the values, with its exact Jacobian."""
    values, n = moments.values, moments.values.size
    if moments.covariance is None:
        return Moments(moments.indices, function(values))
    jacobian = jax.jacfwd(function)(values).reshape(n, n)
    covariance = jacobian @ moments.covariance.reshape(n, n) @ jacobian.T
    return Moments(moments.indices, function(values), covariance.reshape(moments.covariance.shape))


def moment_functions(
    costheta: ArrayLike,
    phi: ArrayLike,
    lmax: int,
    *,
    Phi: ArrayLike | None = None,
    polarisation: ArrayLike | None = None,
) -> jax.Array:
    r"""Functions of the angles that go with each moment.

    .. math:: f^0_{LM} = d^L_{M0}(\theta) \cos M\phi, \quad f^1_{LM} = P \cos 2\Phi\, d^L_{M0}(\theta) \cos M\phi, \quad
              f^2_{LM} = -P \sin 2\Phi\, d^L_{M0}(\theta) \sin M\phi

    Parameters
    ----------
    costheta
        Cosine of the polar angle, ``(events,)``, in [-1, 1].
    phi
        Azimuth, ``(events,)``, rad.
    lmax
        Highest L.
    Phi
        Angle of the polarisation, ``(events,)``, rad; without it only the functions of alpha 0.
    polarisation
        Degree of polarisation, ``(events,)`` or one number, -1 to 1; it goes with ``Phi``.

    Returns
    -------
    ``(moments, events)`` in the order of `moment_indices`. They are orthogonal over the sphere and uniform ``Phi``.

    Raises
    ------
    ValueError
        If only one of ``Phi`` and ``polarisation`` is given.
    """
    if (Phi is None) != (polarisation is None):
        msg = "Phi and polarisation go together: give both for all moments, or neither for those of alpha 0."
        raise ValueError(msg)
    indices = moment_indices(lmax, polarised=Phi is not None)
    d, waves = _small_d_to_0(floating(costheta), lmax), _multiples(floating(phi), lmax)
    rows = [d[big_l, m] * waves[m][0] for a, big_l, m in indices if a == 0]
    if Phi is not None and polarisation is not None:
        p, twice = floating(polarisation), 2 * floating(Phi)
        even, odd = p * jnp.cos(twice), -p * jnp.sin(twice)
        rows += [even * rows[i] for i in range(len(rows))]
        rows += [odd * (d[big_l, m] * waves[m][1]) for a, big_l, m in indices if a == 2]
    return jnp.stack(jnp.broadcast_arrays(*rows))


def _small_d_to_0(costheta: jax.Array, lmax: int) -> dict[tuple[int, int], jax.Array]:
    """Return d^L_{M0} up to ``lmax`` by the recurrence of Legendre's functions, which is stable upwards in L."""
    square = (1 - costheta) * (1 + costheta)
    # The root's slope at 0 is infinite: it is taken of 1 there. Rounding may carry a cosine over 1.
    sine = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
    d = {(0, 0): jnp.ones_like(costheta)}
    for m in range(lmax + 1):
        if m:
            d[m, m] = -sqrt((2 * m - 1) / (2 * m)) * sine * d[m - 1, m - 1]
        for n in range(m, lmax):
            below = sqrt(n * n - m * m) * d[n - 1, m] if n > m else 0.0
            d[n + 1, m] = ((2 * n + 1) * costheta * d[n, m] - below) / sqrt((n + 1) ** 2 - m * m)
    return d


def _multiples(phi: jax.Array, lmax: int) -> list[tuple[jax.Array, jax.Array]]:
    """Return cosine and sine of 0, 1, ..., lmax times the angle."""
    cosine, sine = jnp.cos(phi), jnp.sin(phi)
    out = [(jnp.ones_like(cosine), jnp.zeros_like(sine))]
    for _ in range(lmax):
        c, s = out[-1]
        out.append((c * cosine - s * sine, s * cosine + c * sine))
    return out


def expansion_weights(indices: tuple[Index, ...]) -> list[float]:
    r"""Weight of each moment in the intensity, times the full solid angle.

    Parameters
    ----------
    indices
        ``(alpha, L, M)`` of each.

    Returns
    -------
    :math:`(2L + 1)(2 - \delta_{M0})`, one over the mean square of the angular part of each function.
    """
    return [float((2 * big_l + 1) * (1 if m == 0 else 2)) for _, big_l, m in indices]


def intensity_of_moments(
    moments: Moments,
    costheta: ArrayLike,
    phi: ArrayLike,
    *,
    Phi: ArrayLike | None = None,
    polarisation: ArrayLike | None = None,
) -> jax.Array:
    """Intensity that has given moments: the sum at the head of this module.

    Parameters
    ----------
    moments
        With values ``(moments,)``; those that are not there count as 0.
    costheta, phi, Phi, polarisation
        As in `moment_functions`; without ``Phi`` and ``polarisation`` it is the mean over ``Phi``.

    Returns
    -------
    ``(events,)``, per solid angle. Measured or truncated moments can make it negative.

    Raises
    ------
    ValueError
        As `moment_functions`.
    """
    lmax = max(big_l for _, big_l, _ in moments.indices)
    rows = moment_functions(costheta, phi, lmax, Phi=Phi, polarisation=polarisation)
    indices = moment_indices(lmax, polarised=Phi is not None)
    weights = expansion_weights(indices)
    terms = [w * moments[i] if i in moments.indices else 0.0 for i, w in zip(indices, weights, strict=True)]
    coefficients = jnp.stack([jnp.asarray(t, moments.values.dtype) for t in terms]) / (4 * pi)
    return jnp.tensordot(coefficients, rows, axes=1, precision="highest")
