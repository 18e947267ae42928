r"""Events of beam + target -> X + recoil, with X decaying into two or more daughters.

Phase space of all final particles (see `jaxpwa.physics.phasespace.nbody`) is that of X and recoil times that of the
decay of X:

.. math:: d\Phi_{n+1}(W) = \frac{\pi}{4 (2\pi)^6\, W p_b}\, dt\, \frac{d\varphi}{2\pi}\;
          (2\pi)^3\, 2 m_X\, dm_X\; d\Phi_n(m_X)

with the centre-of-mass energy :math:`W`, the momentum of the beam :math:`p_b` in the centre-of-mass system, and
:math:`t = (p_{beam} - p_X)^2`.

References
----------
R. L. Workman et al. (Particle Data Group), Review of Particle Physics (2022), section 49, Kinematics: the recursion of
phase space, and the limits of t.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import floating
from jaxpwa.physics.phasespace._decays import (
    back_to_back,
    boost_from_rest,
    checked_number_of_events,
    decay,
    draw_shares,
    is_traced,
    kept_shares,
    momentum,
    not_negative,
    per_event,
    product_of_momenta,
    random_key,
    volume_per_momenta,
)
from jaxpwa.physics.phasespace.proposals import Proposal, UniformProposal


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GeneratedEvents:
    """Events of beam + target -> X + recoil, in the laboratory, where the target rests and the beam runs along z.

    Attributes
    ----------
    beam, target, recoil
        Four-vectors ``(events, 4)``, GeV.
    daughters
        Four-vectors ``(events, 4)`` of the particles that X decays into, GeV, by name.
    weights
        One for each event, ``(events,)``.
    """

    beam: jax.Array
    target: jax.Array
    recoil: jax.Array
    daughters: dict[str, jax.Array]
    weights: jax.Array


@dataclass(frozen=True)
class _Collision:
    """What is known of each event before its mass and t: energies in the centre-of-mass system, all ``(events,)``."""

    energy: jax.Array
    lab_energy: jax.Array
    lab_momentum: jax.Array
    beam_momentum: jax.Array
    beam_mass: jax.Array
    target_mass: jax.Array
    recoil_mass: jax.Array

    def range_of_t(self, mass: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return the smallest and the largest t, and the momentum of X."""
        q = momentum(jnp.maximum(self.energy - mass - self.recoil_mass, 0.0), mass, self.recoil_mass)
        squares = self.beam_mass**2 - mass**2 - self.target_mass**2 + self.recoil_mass**2
        transferred = squares / (2 * self.energy)
        p = self.beam_momentum
        highest = (transferred - (p - q)) * (transferred + (p - q))
        return highest - 4 * p * q, highest, q


def _collision(
    energy: ArrayLike, beam_mass: ArrayLike, target_mass: ArrayLike, recoil_mass: ArrayLike, n_events: int
) -> _Collision:
    """Check energies and masses of a reaction and work out its centre-of-mass system."""
    lab = per_event(energy, "beam_energy", n_events)
    beam, target, recoil = (
        not_negative(floating(v), what)
        for v, what in ((beam_mass, "beam_mass"), (target_mass, "target_mass"), (recoil_mass, "recoil_mass"))
    )
    for value, what in ((beam, "beam_mass"), (target, "target_mass"), (recoil, "recoil_mass")):
        if value.ndim:
            msg = f"{what} must be one number, got shape {value.shape}."
            raise ValueError(msg)
    if not is_traced(target) and target == 0:
        msg = "target_mass must be positive: the target is at rest."
        raise ValueError(msg)
    if not is_traced(lab, beam) and np.any(np.asarray(lab) <= np.asarray(beam)):
        msg = f"beam_energy must be above the mass of the beam, {float(beam)} GeV, got {float(jnp.min(lab))} GeV."
        raise ValueError(msg)
    lab = jnp.broadcast_to(lab, (n_events,))
    lab = lab.astype(jnp.result_type(lab, beam, target, recoil))
    momentum_in_lab = jnp.sqrt(jnp.maximum((lab - beam) * (lab + beam), 0.0))
    total = jnp.sqrt(beam**2 + target**2 + 2 * lab * target)
    return _Collision(total, lab, momentum_in_lab, momentum_in_lab * target / total, beam, target, recoil)


def _checked_daughters(daughters: Any) -> dict[str, jax.Array]:
    """Return the masses of two or more daughters by name."""
    if not isinstance(daughters, Mapping):
        msg = f"daughters must be masses by name, such as {{'eta': 0.547862}}, got {type(daughters).__name__}."
        raise TypeError(msg)
    if len(daughters) < 2:
        msg = f"daughters must name two or more particles, got {list(daughters)}."
        raise ValueError(msg)
    masses = {name: not_negative(floating(mass), f"the mass of {name}") for name, mass in daughters.items()}
    for name, mass in masses.items():
        if mass.ndim:
            msg = f"the mass of {name} must be one number, got shape {mass.shape}."
            raise ValueError(msg)
    return masses


def _range_of_mass(collision: _Collision, masses: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """Return the smallest and the largest mass of X for each event; the beam must have energy for it."""
    low = jnp.broadcast_to(sum(masses[1:], masses[0]), collision.energy.shape).astype(collision.energy.dtype)
    high = collision.energy - collision.recoil_mass
    if not is_traced(low, high):
        bad = np.asarray(high) <= np.asarray(low)
        if bad.any():
            event = int(np.argmax(bad))
            msg = (
                f"beam_energy is too low for event {event}: {float(collision.lab_energy[event])} GeV makes a "
                f"centre-of-mass energy of {float(collision.energy[event]):.6g} GeV, and recoil and daughters weigh "
                f"{float(low[event] + collision.recoil_mass):.6g} GeV."
            )
            raise ValueError(msg)
    return low, high


def generate_production(
    key_or_seed: Any,
    beam_energy: ArrayLike,
    target_mass: ArrayLike,
    recoil_mass: ArrayLike,
    daughters: Mapping[str, ArrayLike],
    n_events: int,
    *,
    mass: Proposal | None = None,
    t: Proposal | None = None,
    beam_mass: ArrayLike = 0.0,
    follow: Literal["phase space", "proposals"] = "phase space",
) -> GeneratedEvents:
    r"""Generate beam + target -> X + recoil, with X -> daughters.

    The mass of X and t are drawn from proposals; the azimuth is uniform, and X decays by phase space.

    Parameters
    ----------
    key_or_seed
        A whole number, or a JAX key. The same key and arguments give the same events.
    beam_energy
        In the laboratory, GeV: one number, or one for each event, ``(n_events,)``, such as a spectrum of
        bremsstrahlung that was drawn before.
    target_mass, recoil_mass
        GeV; the target is at rest.
    daughters
        Masses of two or more particles that X decays into, GeV, by name.
    n_events
        How many events.
    mass, t
        Proposals for the mass of X, GeV, and for :math:`t = (p_{beam} - p_X)^2`, GeV². None: `UniformProposal`.
    beam_mass
        GeV. 0: a photon.
    follow
        "phase space": the weighted events are distributed like phase space of all final particles, whatever the
        proposals. "proposals": the mass and t are distributed as proposed, the decay is flat at each mass, and all
        weights are 1; not within `jax.jit`.

    Returns
    -------
    Events in the laboratory. With ``follow="phase space"`` the weights, :math:`\mathrm{GeV}^{2n-2}` for n daughters,
    are the density of phase space divided by that of the proposals: their mean is the volume of phase space of recoil
    and daughters, averaged over the beam's energies, of which a proposal with a range of its own covers a part. To give
    the events a model, multiply the weights by its intensity, such as :math:`e^{bt}`.

    Raises
    ------
    TypeError
        If ``n_events`` is no whole number, ``daughters`` no mapping, or the key none.
    ValueError
        If a mass or an energy is negative, not finite or of the wrong shape, the target has no mass, the beam is too
        slow to make recoil and daughters, the range of a proposal lies outside of what is physical, or ``follow`` is
        neither of the two.

    See Also
    --------
    jaxpwa.physics.phasespace.nbody.generate_unweighted : phase space of all final particles without weights, from
        ``beam + target`` as the parent.

    Examples
    --------
    >>> from jaxpwa.physics.phasespace.production import generate_production
    >>> from jaxpwa.physics.phasespace.proposals import BreitWignerProposal, ExponentialProposal
    >>> events = generate_production(
    ...     1, 8.5, 0.938272, 0.938272, {"eta": 0.547862, "pi0": 0.134977}, 1000,
    ...     mass=BreitWignerProposal(1.318, 0.107, high=2.0), t=ExponentialProposal(5.0),
    ... )
    >>> events.daughters["eta"].shape
    (1000, 4)
    """
    if follow not in {"phase space", "proposals"}:
        msg = f"follow must be 'phase space' or 'proposals', got {follow!r}."
        raise ValueError(msg)
    n_events = checked_number_of_events(n_events)
    of_daughters = _checked_daughters(daughters)
    masses = list(of_daughters.values())
    collision = _collision(beam_energy, beam_mass, target_mass, recoil_mass, n_events)
    mass = UniformProposal() if mass is None else mass
    t = UniformProposal() if t is None else t
    of_mass, of_t, of_phi, of_shares, of_decay = jax.random.split(random_key(key_or_seed), 5)

    mass_range = _range_of_mass(collision, masses)
    its_mass = mass.draw(of_mass, *mass_range)
    *t_range, q = collision.range_of_t(its_mass)
    its_t = t.draw(of_t, *t_range)
    system, recoil = _outgoing(of_phi, collision, its_mass, q, t_range[1] - its_t)

    kinetic = jnp.maximum(its_mass - mass_range[0], 0.0)
    if follow == "phase space":
        shares = draw_shares(of_shares, n_events, len(masses), its_mass.dtype)
        decay_weights = volume_per_momenta(kinetic, its_mass, len(masses))
        decay_weights = decay_weights * product_of_momenta(shares, kinetic, masses)
        density = mass.density(its_mass, *mass_range) * t.density(its_t, *t_range)
        weights = _phase_space_of_production(collision, its_mass) * decay_weights / density
    else:
        shares = kept_shares(of_shares, kinetic, masses, n_events, its_mass.dtype)
        weights = jnp.ones_like(its_mass)
    vectors = [boost_from_rest(p4, system, its_mass) for p4 in decay(of_decay, shares, kinetic, masses)]
    zero = jnp.zeros_like(its_mass)
    beam = jnp.stack([collision.lab_energy, zero, zero, collision.lab_momentum], axis=-1)
    target = jnp.stack([zero + collision.target_mass, zero, zero, zero], axis=-1)
    return GeneratedEvents(beam, target, recoil, dict(zip(of_daughters, vectors, strict=True)), weights)


def _phase_space_of_production(collision: _Collision, mass: jax.Array) -> jax.Array:
    """Return the density of phase space in the mass of X and t, without the decay of X."""
    of_t = math.pi / (4 * (2 * math.pi) ** 6 * collision.energy * collision.beam_momentum)
    return of_t * (2 * math.pi) ** 3 * 2 * mass


def _outgoing(
    key: jax.Array, collision: _Collision, mass: jax.Array, q: jax.Array, below_highest: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return X and recoil in the laboratory, with t by how much it lies below the largest that is possible."""
    # The square of the sine of half the angle between beam and X: 4 p q times it is that difference.
    area = 4 * collision.beam_momentum * q
    part = jnp.clip(below_highest / jnp.where(area > 0, area, 1.0), 0.0, 1.0)
    sine = 2 * jnp.sqrt(part * (1 - part))
    phi = jax.random.uniform(key, mass.shape, mass.dtype, 0.0, 2 * math.pi)
    direction = jnp.stack([sine * jnp.cos(phi), sine * jnp.sin(phi), 1 - 2 * part], axis=-1)
    recoil, system = back_to_back(q, direction, collision.recoil_mass, mass)
    zero = jnp.zeros_like(mass)
    total = jnp.stack([collision.lab_energy + collision.target_mass, zero, zero, collision.lab_momentum], axis=-1)
    return boost_from_rest(system, total, collision.energy), boost_from_rest(recoil, total, collision.energy)
