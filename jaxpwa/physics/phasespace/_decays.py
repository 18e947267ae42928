"""What generators of phase space share: chains of two-body decays, boosts, keys and checks.

A decay into n daughters is a chain: system k, of mass ``M_k``, holds daughters 1 to k and decays into system k - 1 and
daughter k. The kinetic energy ``M_n - sum(m)`` is shared out among the n - 1 decays of the chain; a share is the part
that a decay gets.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jaxpwa._random import key_words
from jaxpwa.physics._arrays import floating

# Events tried at once, and the fraction of them that must be kept, where events come without weights.
_LARGEST_BATCH = 2**18
_LEAST_EFFICIENCY = 1e-3

Chain = list[tuple[jax.Array, jax.Array, jax.Array]]


def is_traced(*values: Any) -> bool:
    """Whether one of the values is only known when compiled code runs."""
    return any(isinstance(v, Tracer) for v in values)


def random_key(key_or_seed: Any) -> jax.Array:
    """Return the key that a seed or a key of any kind stands for, also inside `jax.jit` and `jax.vmap`."""
    if is_traced(key_or_seed):
        typed = jnp.issubdtype(key_or_seed.dtype, jax.dtypes.prng_key)
        key = key_or_seed if typed else jax.random.wrap_key_data(key_or_seed)
        words = jax.random.bits(key, (2,), jnp.uint32)
    else:
        with jax.ensure_compile_time_eval():
            words = jnp.asarray(key_words(key_or_seed))
    return jax.random.wrap_key_data(words, impl="threefry2x32")


def checked_number_of_events(n_events: Any) -> int:
    """Return a whole number of at least 1."""
    if isinstance(n_events, bool) or not isinstance(n_events, (int, np.integer)):
        msg = f"n_events must be a whole number, got {n_events!r} ({type(n_events).__name__})."
        raise TypeError(msg)
    if n_events < 1:
        msg = f"n_events must be at least 1, got {n_events}."
        raise ValueError(msg)
    return int(n_events)


def per_event(values: Any, what: str, n_events: int) -> jax.Array:
    """Return one number, or one for each event, that must be finite and not negative."""
    values = floating(values)
    if values.shape not in {(), (n_events,)}:
        msg = f"{what} must be one number or have shape ({n_events},), got shape {values.shape}."
        raise ValueError(msg)
    return not_negative(values, what)


def not_negative(values: jax.Array, what: str) -> jax.Array:
    """Return the values, or name the first that is negative or not finite."""
    if not is_traced(values):
        bad = ~(np.isfinite(values) & (np.asarray(values) >= 0))
        if bad.any():
            msg = f"{what} must be finite and not negative, got {np.asarray(values)[bad][0]}."
            raise ValueError(msg)
    return values


def checked_masses(masses: Any) -> list[Any]:
    """Return the masses of two or more daughters."""
    if isinstance(masses, (str, Mapping)) or not isinstance(masses, (Sequence, np.ndarray, jax.Array)):
        msg = f"masses must be a sequence of the daughters' masses, got {type(masses).__name__}."
        raise TypeError(msg)
    if len(masses) < 2:
        msg = f"masses must name two or more daughters, got {len(masses)}."
        raise ValueError(msg)
    return list(masses)


def kinetic_energy(mass: jax.Array, masses: list[jax.Array], slack: Any = 0.0) -> jax.Array:
    """Return what a mass has above the sum of the daughters'; below the threshold that is an error, or 0 if traced."""
    total = sum(masses[1:], masses[0])
    kinetic = mass - total
    if not is_traced(kinetic):
        # A sum of masses taken in another order than here may differ by rounding.
        rounding = 4 * len(masses) * np.finfo(np.asarray(kinetic).dtype).eps
        bad = np.asarray(kinetic) < -(rounding * np.asarray(mass) + np.asarray(slack))
        if bad.any():
            event = int(np.argmax(bad))
            m, s = (np.broadcast_to(np.asarray(v), bad.shape).ravel()[event] for v in (mass, total))
            where = f" for event {event}" if bad.ndim else ""
            msg = f"the mass must reach the sum of the daughters' masses: got {m} GeV for a sum of {s} GeV{where}."
            raise ValueError(msg)
    return jnp.maximum(kinetic, 0.0)


def momentum(kinetic: jax.Array, m1: jax.Array, m2: jax.Array) -> jax.Array:
    """Momentum of two particles at rest together, from their kinetic energy, exact near the threshold and smooth."""
    # The four factors of Kallen's function, without differences.
    product = kinetic * (kinetic + 2 * m1) * (kinetic + 2 * m2) * (kinetic + 2 * (m1 + m2))
    moving = product > 0
    root = jnp.sqrt(jnp.where(moving, product, 1.0))
    return jnp.where(moving, root / (2 * jnp.where(moving, kinetic + m1 + m2, 1.0)), 0.0)


def boost_from_rest(p4: jax.Array, system: jax.Array, mass: jax.Array) -> jax.Array:
    """Boost four-vectors from the rest frame of a system of known mass; exact however fast the system moves."""
    energy, along = system[:, 0], jnp.sum(system[:, 1:] * p4[:, 1:], axis=-1)
    shift = (along / (energy + mass) + p4[:, 0]) / mass
    boosted = (energy * p4[:, 0] + along) / mass
    return jnp.concatenate([boosted[:, None], p4[:, 1:] + shift[:, None] * system[:, 1:]], axis=-1)


def draw_shares(key: jax.Array, n_events: int, n_daughters: int, dtype: Any) -> list[jax.Array]:
    """Draw the shares of each decay, ``(events,)``, flat where they are positive and sum to 1."""
    # A first share of exactly 0 would leave two massless daughters in a system without mass.
    smallest = float(jnp.finfo(dtype).eps)
    cuts = jax.random.uniform(key, (n_daughters - 2, n_events), dtype, minval=smallest)
    ends = jnp.zeros((1, n_events), dtype)
    return list(jnp.diff(jnp.concatenate([ends, jnp.sort(cuts, axis=0), ends + 1]), axis=0))


def chain(shares: list[jax.Array], kinetic: jax.Array, masses: list[jax.Array]) -> Chain:
    """Return kinetic energy, mass of the system and mass of the daughter for each decay, from the innermost out."""
    out, system = [], masses[0]
    for share, daughter in zip(shares, masses[1:], strict=True):
        energy = share * kinetic
        out.append((energy, system, daughter))
        system = system + daughter + energy
    return out


def product_of_momenta(shares: list[jax.Array], kinetic: jax.Array, masses: list[jax.Array]) -> jax.Array:
    """Return the product of the momenta of all decays of a chain."""
    first, *others = (momentum(*step) for step in chain(shares, kinetic, masses))
    return math.prod(others, start=first)


def volume_per_momenta(kinetic: jax.Array, mass: jax.Array, n_daughters: int) -> jax.Array:
    """Return the weight of an event of flat shares, divided by its product of momenta."""
    n = n_daughters
    norm = math.pi ** (n - 1) * 2 ** (n - 2) / ((2 * math.pi) ** (3 * n) * math.factorial(n - 2))
    return norm * kinetic ** (n - 2) / mass


def _slopes(shares: list[jax.Array], kinetic: jax.Array, masses: list[jax.Array]) -> list[jax.Array]:
    """Return the derivatives of the logarithm of the product of momenta, by kinetic energy, times all of that."""
    own, later = [], []
    for energy, system, daughter in chain(shares, kinetic, masses):
        common = 1 / (energy + 2 * system) + 1 / (energy + 2 * (system + daughter))
        outer = 1 / (system + daughter + energy)
        own.append((1 / energy + 1 / (energy + 2 * daughter) + common) / 2 - outer)
        # All that the inner decays get makes the system of this one heavier.
        later.append(common - outer)
    return [kinetic * sum(later[i + 1 :], own[i]) for i in range(len(own))]


def largest_product(kinetic: jax.Array, masses: list[jax.Array]) -> jax.Array:
    r"""Return a bound of `product_of_momenta`, which it exceeds by less than 1e-5 for up to ten daughters.

    With ``S = M + M'`` and ``D = M - M'`` the momentum of ``M -> M' + m`` obeys
    ``2 log q = log(S^2 - m^2) + log(D^2 - m^2) - 2 log(S + D)``. Along a line with slopes a and b of S and D its second
    derivative is at most ``-2 (a/S)^2 - 2 (b/D)^2 + 2 ((a + b)/(S + D))^2``, which is not positive, since
    ``|a + b|/(S + D)`` is at most the larger of ``|a|/S`` and ``|b|/D``. All masses of a chain are linear in its
    shares, so the logarithm of the product is concave in them: it lies below each of its tangent planes, and the
    largest value of a plane over all shares is the bound. The plane is taken close to the maximum.
    """
    n = len(masses) - 1
    open_ = kinetic > 0
    safe = jnp.where(open_, kinetic, 1.0)
    shares = [jnp.full(jnp.shape(kinetic), 1 / n, safe.dtype)] * n
    for _ in range(10):
        # At the maximum all slopes are equal; they are positive everywhere.
        raised = [share * slope for share, slope in zip(shares, _slopes(shares, safe, masses), strict=True)]
        total = sum(raised[1:], raised[0])
        shares = [r / total for r in raised]
    slopes = _slopes(shares, safe, masses)
    mean = sum(share * slope for share, slope in zip(shares, slopes, strict=True))
    steepest = slopes[0]
    for slope in slopes[1:]:
        steepest = jnp.maximum(steepest, slope)
    rounding = 1 + 64 * len(masses) * float(jnp.finfo(safe.dtype).eps)
    bound = product_of_momenta(shares, safe, masses) * jnp.exp(steepest - mean) * rounding
    return jnp.where(open_, bound, 0.0)


def kept_shares(
    key: jax.Array, kinetic: jax.Array, masses: list[jax.Array], n_events: int, dtype: Any
) -> list[jax.Array]:
    """Draw shares for all events until each has some that are kept."""
    if len(masses) == 2:
        return [jnp.ones(n_events, dtype)]
    ceiling, *of_events = (np.asarray(v) for v in (largest_product(kinetic, masses), kinetic, *masses))
    out = np.empty((len(masses) - 1, n_events), dtype)
    waiting = np.arange(n_events)
    size = min(max(n_events, 1024), _LARGEST_BATCH)
    tried = kept = 0
    while waiting.size:
        # Many draws for the same event are made when few events wait; the first that is kept counts.
        slots = np.resize(waiting[:size], size)
        of_shares, of_choice = jax.random.split(jax.random.fold_in(key, tried // size))
        shares = draw_shares(of_shares, size, len(masses), dtype)
        its_kinetic, *its_masses = (jnp.asarray(v[slots] if v.ndim else v) for v in of_events)
        values = product_of_momenta(shares, its_kinetic, its_masses)
        chance = jax.random.uniform(of_choice, (size,), dtype)
        good = np.asarray(chance * (ceiling[slots] if ceiling.ndim else ceiling) <= values)
        tried, kept = tried + size, kept + int(good.sum())
        events, first = np.unique(slots[good], return_index=True)
        out[:, events] = np.asarray(shares)[:, good][:, first]
        waiting = np.setdiff1d(waiting, events, assume_unique=True)
        if tried >= 1e5 and kept < _LEAST_EFFICIENCY * tried:
            msg = (
                f"of {tried} events of {len(masses)} daughters {kept} were kept, too few to go on: "
                "use the weighted events of generate_phase_space."
            )
            raise ValueError(msg)
    return list(jnp.asarray(out))


def _isotropic(key: jax.Array, n_decays: int, n_events: int, dtype: Any) -> jax.Array:
    """Draw unit vectors ``(decays, events, 3)``."""
    z, turn = jax.random.uniform(key, (2, n_decays, n_events), dtype)
    costheta, phi = 2 * z - 1, 2 * math.pi * turn
    sintheta = 2 * jnp.sqrt(z * (1 - z))
    return jnp.stack([sintheta * jnp.cos(phi), sintheta * jnp.sin(phi), costheta], axis=-1)


def back_to_back(q: jax.Array, direction: jax.Array, m1: jax.Array, m2: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return four-vectors of two particles of momentum q, the first against the direction, the second along it."""
    vector = q[:, None] * direction
    energies = (jnp.sqrt(q**2 + m**2)[:, None] for m in (m1, m2))
    first, second = (jnp.concatenate(pair, axis=-1) for pair in zip(energies, (-vector, vector), strict=True))
    return first, second


def decay(
    key: jax.Array, shares: list[jax.Array], kinetic: jax.Array, masses: list[jax.Array]
) -> tuple[jax.Array, ...]:
    """Give directions to the decays of a chain: four-vectors of the daughters in the rest frame of the whole."""
    directions = _isotropic(key, len(shares), len(shares[0]), shares[0].dtype)
    (energy, inner, daughter), *others = reversed(chain(shares, kinetic, masses))
    first, last = back_to_back(momentum(energy, inner, daughter), directions[0], inner, daughter)
    daughters = [last]
    for (energy, inner, daughter), direction in zip(others, directions[1:], strict=True):
        pair = back_to_back(momentum(energy, inner, daughter), direction, inner, daughter)
        outer = inner + daughter + energy
        first, last = boost_from_rest(pair[0], first, outer), boost_from_rest(pair[1], first, outer)
        daughters.append(last)
    return (first, *reversed(daughters))
