r"""Phase space of n bodies: its volume, and events that fill it, weighted or not.

The convention is that of the Particle Data Group, without :math:`(2\pi)^4`:

.. math:: d\Phi_n(P; p_1, \ldots, p_n)
          = \delta^4\!\left(P - \sum_i p_i\right) \prod_i \frac{d^3 p_i}{(2\pi)^3\, 2 E_i}

so that a width is :math:`d\Gamma = (2\pi)^4 |\mathcal M|^2 d\Phi_n / 2M`. Units are :math:`\mathrm{GeV}^{2n - 4}`.
Where the delta function comes with :math:`(2\pi)^4`, volumes and weights are larger by that factor. Daughters are
distinguishable: no factorials for identical ones.

References
----------
R. L. Workman et al. (Particle Data Group), Review of Particle Physics (2022), section 49, Kinematics: the element of
phase space, and its recursion.
F. James, Monte Carlo phase space, CERN 68-15 (1968): the method of Raubold and Lynch.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import floating
from jaxpwa.physics.kinematics.fourvectors import invariant_mass
from jaxpwa.physics.phasespace._decays import (
    boost_from_rest,
    checked_masses,
    checked_number_of_events,
    decay,
    draw_shares,
    is_traced,
    kept_shares,
    kinetic_energy,
    largest_product,
    momentum,
    not_negative,
    per_event,
    product_of_momenta,
    random_key,
    volume_per_momenta,
)


def _nodes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return nodes, what they lack to 1, and weights of a quadrature on [0, 1] for roots at both ends."""
    x, w = np.polynomial.legendre.leggauss(48)
    angle = (x + 1) * np.pi / 4
    sine, cosine = np.sin(angle), np.cos(angle)
    return sine**2, cosine**2, w * np.pi / 2 * sine * cosine


def _volume(kinetic: jax.Array, masses: list[jax.Array]) -> jax.Array:
    """Return the volume from the kinetic energy: two bodies, or the recursion over the mass of all but the last."""
    mass = sum(masses[1:], masses[0]) + kinetic
    two_body = math.pi / (2 * math.pi) ** 6 / jnp.where(mass > 0, mass, 1.0)
    if len(masses) == 2:
        return two_body * momentum(kinetic, *masses)
    kinetic, two_body, *masses = (v[..., None] for v in (kinetic, two_body, *masses))
    share, rest, weights = (jnp.asarray(v, kinetic.dtype).reshape((1,) * (kinetic.ndim - 1) + (-1,)) for v in _nodes())
    inner = kinetic * share
    system = sum(masses[1:-1], masses[0]) + inner
    outer = two_body * momentum(kinetic * rest, system, masses[-1])
    integrand = _volume(inner, masses[:-1]) * outer * (2 * math.pi) ** 3 * 2 * system
    return jnp.sum(integrand * (weights * kinetic), axis=-1)


def phase_space_volume(mass: ArrayLike, masses: Sequence[ArrayLike]) -> jax.Array:
    r"""Volume of n-body phase space.

    .. math:: \Phi_2(M) = \frac{\pi}{(2\pi)^6} \frac{q(M; m_1, m_2)}{M}, \quad
              \Phi_n(M) = \int \Phi_{n-1}(\mu)\, \Phi_2(M; \mu, m_n)\, (2\pi)^3\, 2\mu\, d\mu

    Parameters
    ----------
    mass
        Invariant mass of all daughters, GeV, any shape.
    masses
        Masses of two or more daughters, GeV, not negative, of shapes that broadcast.

    Returns
    -------
    :math:`\mathrm{GeV}^{2n-4}`, of the common shape; 0 below the threshold and on it, with slope 0. Exact for two
    daughters; Gauss-Legendre quadrature for more, to 1e-11 where checked, with :math:`48^{n-2}` points for each mass in
    memory at once: quick for three daughters, and for four at not too many masses. Differentiable in all masses.

    Raises
    ------
    TypeError, ValueError
        If ``masses`` is no sequence or has fewer than two entries, or a mass is negative or not finite.

    Examples
    --------
    >>> from jaxpwa.physics.phasespace.nbody import phase_space_volume
    >>> round(float((2 * 3.141592653589793) ** 4 * phase_space_volume(1.0, [0.0, 0.0])), 6)  # 1 / (8 pi)
    0.039789
    """
    arrays = [not_negative(floating(m), "masses") for m in checked_masses(masses)]
    total = not_negative(floating(mass), "mass")
    total, *arrays = jnp.broadcast_arrays(total, *arrays)
    excess = total - sum(arrays[1:], arrays[0])
    return _volume(jnp.where(excess > 0, excess, 0.0), arrays)


def maximum_weight(mass: ArrayLike, masses: Sequence[ArrayLike]) -> jax.Array:
    r"""Bound of the weights of `generate_phase_space`.

    The logarithm of the weight is a concave function of the masses of the chain of decays, so no weight exceeds any of
    its tangent planes; the bound is the top of a plane that touches it close to its maximum. It is proven, and exceeds
    the largest weight by less than 1e-5 for up to ten daughters.

    Parameters
    ----------
    mass
        Mass of the parent, GeV, any shape.
    masses
        Masses of two or more daughters in the order of `generate_phase_space`, GeV, of shapes that broadcast.

    Returns
    -------
    :math:`\mathrm{GeV}^{2n-4}`, of the common shape; 0 on the threshold.

    Raises
    ------
    TypeError, ValueError
        As `generate_phase_space`.

    Notes
    -----
    The usual bound, the product of the largest momentum of each decay alone, is larger by 2.6 for three massless
    daughters, by 10 for four, and by 10 to the 5 for ten pions close to their threshold.
    """
    arrays = [not_negative(floating(m), "masses") for m in checked_masses(masses)]
    total, *arrays = jnp.broadcast_arrays(_positive(floating(mass)), *arrays)
    kinetic = kinetic_energy(total, arrays)
    return volume_per_momenta(kinetic, total, len(arrays)) * largest_product(kinetic, arrays)


def _positive(mass: jax.Array) -> jax.Array:
    """Return masses of parents, which must be positive."""
    if not is_traced(mass) and not np.all(np.asarray(mass) > 0):
        smallest = np.asarray(mass).ravel()[np.argmin(np.asarray(mass) > 0)]
        msg = f"the mass of a parent must be positive, got {smallest}."
        raise ValueError(msg)
    return not_negative(mass, "mass")


def _family(
    parent: Any, masses: Any, n_events: int
) -> tuple[jax.Array, jax.Array, list[jax.Array], jax.Array | None, Any]:
    """Return mass, kinetic energy, masses of the daughters, the parent's four-vectors if given, and the type."""
    arrays = [per_event(m, "masses", n_events) for m in checked_masses(masses)]
    values, system, slack = floating(parent), None, 0.0
    if values.ndim == 2:
        if values.shape != (n_events, 4):
            msg = f"four-vectors of parents must have shape ({n_events}, 4), got {values.shape}."
            raise ValueError(msg)
        system, mass = values, _positive(invariant_mass(values))
        slack = 8 * jnp.finfo(mass.dtype).eps * values[:, 0] ** 2 / mass
    else:
        mass = _positive(per_event(values, "the mass of the parent", n_events))
    dtype = jnp.result_type(mass, *arrays)
    return mass, kinetic_energy(mass, arrays, slack), arrays, system, dtype


def _in_flight(daughters: tuple[jax.Array, ...], parent: jax.Array | None, mass: jax.Array) -> tuple[jax.Array, ...]:
    """Return daughters of parents at rest as they are if the parents move."""
    return daughters if parent is None else tuple(boost_from_rest(p4, parent, mass) for p4 in daughters)


def generate_phase_space(
    key_or_seed: Any, parent: ArrayLike, masses: Sequence[ArrayLike], n_events: int
) -> tuple[tuple[jax.Array, ...], jax.Array]:
    r"""Generate weighted events of n-body phase space, by the method of Raubold and Lynch.

    The parent decays by a chain of two-body decays with isotropic directions. The masses of the systems within are
    drawn flat, in order, and the weight makes up for it:

    .. math:: w = \frac{\pi^{n-1}\, 2^{n-2}}{(2\pi)^{3n}}\, \frac{(M - \sum_i m_i)^{n-2}}{(n-2)!\; M}
              \prod_{k=2}^{n} q(M_k; M_{k-1}, m_k)

    The mean of the weights is the volume of phase space, the spread of the mean its error. A function of events,
    summed with the weights and divided by ``n_events``, is its integral over phase space.

    Parameters
    ----------
    key_or_seed
        A whole number, or a JAX key. The same key and arguments give the same events.
    parent
        Mass of the parent, GeV: one number or ``(n_events,)``; or its four-vectors ``(n_events, 4)``, GeV.
    masses
        Masses of two or more daughters, GeV, not negative: each one number or ``(n_events,)``.
    n_events
        How many events.

    Returns
    -------
    daughters : tuple of jax.Array
        Four-vectors ``(n_events, 4)``, GeV, in the order of ``masses``; in the rest frame of the parent, or boosted
        from there, without rotation, to the frame of its four-vectors.
    weights : jax.Array
        ``(n_events,)``, :math:`\mathrm{GeV}^{2n-4}`, at most `maximum_weight`. All equal for two daughters, 0 on the
        threshold.

    Raises
    ------
    TypeError
        If ``n_events`` is no whole number, ``masses`` no sequence, or the key none.
    ValueError
        If ``n_events`` is below 1, shapes do not fit, there are fewer than two daughters, a mass is negative or not
        finite, or a parent's mass is below the sum of the daughters' (within `jax.jit`, where this is not known, such
        an event has weight 0 and its four-vectors mean nothing).

    Examples
    --------
    >>> from jaxpwa.physics.phasespace.nbody import generate_phase_space, phase_space_volume
    >>> (eta, pi1, pi2), weights = generate_phase_space(1, 0.95778, [0.54786, 0.13498, 0.13498], 10_000)
    >>> bool(abs(weights.mean() / phase_space_volume(0.95778, [0.54786, 0.13498, 0.13498]) - 1) < 0.02)
    True
    """
    n_events = checked_number_of_events(n_events)
    mass, kinetic, arrays, system, dtype = _family(parent, masses, n_events)
    of_shares, of_directions = jax.random.split(random_key(key_or_seed))
    shares = draw_shares(of_shares, n_events, len(arrays), dtype)
    weights = volume_per_momenta(kinetic, mass, len(arrays)) * product_of_momenta(shares, kinetic, arrays)
    return _in_flight(decay(of_directions, shares, kinetic, arrays), system, mass), weights


def generate_unweighted(
    key_or_seed: Any, parent: ArrayLike, masses: Sequence[ArrayLike], n_events: int
) -> tuple[jax.Array, ...]:
    """Generate events of n-body phase space without weights.

    Events of `generate_phase_space` are kept with a probability of their weight divided by `maximum_weight`, and drawn
    again until each is kept. Where the mass of the parent differs between events, each has flat phase space at its own
    mass: heavier parents do not become more frequent.

    Parameters
    ----------
    key_or_seed, parent, masses, n_events
        As in `generate_phase_space`; not within `jax.jit`, as nobody knows how often events must be drawn.

    Returns
    -------
    Four-vectors ``(n_events, 4)`` of each daughter, GeV, as in `generate_phase_space`.

    Raises
    ------
    TypeError
        As `generate_phase_space`.
    ValueError
        As `generate_phase_space`, and if fewer than one event in a thousand is kept, as happens from some twenty
        daughters on. Kept are, from fast to slow daughters, 65 to 78 % for three, 43 to 62 % for four and 4 to 16 % for
        ten.

    Examples
    --------
    >>> from jaxpwa.physics.phasespace.nbody import generate_unweighted
    >>> [p4.shape for p4 in generate_unweighted(1, 1.5, [0.14, 0.14, 0.14, 0.14], 100)]
    [(100, 4), (100, 4), (100, 4), (100, 4)]
    """
    n_events = checked_number_of_events(n_events)
    mass, kinetic, arrays, system, dtype = _family(parent, masses, n_events)
    of_shares, of_directions = jax.random.split(random_key(key_or_seed))
    shares = kept_shares(of_shares, kinetic, arrays, n_events, dtype)
    return _in_flight(decay(of_directions, shares, kinetic, arrays), system, mass)
