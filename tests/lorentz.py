"""Relativity in plain numpy, as oracle: boosts by matrices, events made decay by decay."""

import numpy as np

PROTON, PION, PI_ZERO = 0.93827208816, 0.13957039, 0.1349768


def on_shell(momentum, mass):
    momentum = np.atleast_2d(momentum)
    return np.column_stack([np.sqrt(mass**2 + (momentum**2).sum(1)), momentum])


def boost_matrix(velocity):
    """Lorentz matrices (events, 4, 4) to a frame in which what is at rest moves with the velocity."""
    beta = np.atleast_2d(velocity)
    square = (beta**2).sum(1)
    gamma = 1 / np.sqrt(1 - square)
    matrix = np.zeros((len(beta), 4, 4))
    matrix[:, 0, 0] = gamma
    matrix[:, 0, 1:] = matrix[:, 1:, 0] = gamma[:, None] * beta
    outer = beta[:, :, None] * beta[:, None, :] / np.where(square == 0, 1, square)[:, None, None]
    matrix[:, 1:, 1:] = np.eye(3) + (gamma - 1)[:, None, None] * outer
    return matrix


def to_rest(p, system):
    return np.einsum("nij,nj->ni", boost_matrix(-system[:, 1:] / system[:, :1]), p)


def unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def angles(v, z, y):
    """Angles of vectors in terms of axes z, y and y cross z, all of them normalised here."""
    z, y = unit(z), unit(y)
    x = np.cross(y, z)
    v = unit(v)
    return (v * z).sum(1), np.arctan2((v * y).sum(1), (v * x).sum(1))


def momentum(m, a, b):
    return np.sqrt((m**2 - (a + b) ** 2) * (m**2 - (a - b) ** 2)) / (2 * m)


def decay(rng, parent, a, b, costheta=None):
    """Two-body decay of the parents to the masses a and b: isotropic, or at given polar angles."""
    m = np.sqrt(parent[:, 0] ** 2 - (parent[:, 1:] ** 2).sum(1))
    c = rng.uniform(-1, 1, len(m)) if costheta is None else costheta
    phi, s = rng.uniform(-np.pi, np.pi, len(m)), np.sqrt(1 - c**2)
    p = momentum(m, a, b)[:, None] * np.column_stack([s * np.cos(phi), s * np.sin(phi), c])
    matrix = boost_matrix(parent[:, 1:] / parent[:, :1])
    return tuple(np.einsum("nij,nj->ni", matrix, on_shell(k, mass)) for k, mass in ((p, a), (-p, b)))


def omega_pi_events(n, seed=0, costheta=None):
    """Events of gamma p -> X p, X -> omega pi0, omega -> pi+ pi- pi0, with photons of 3 to 9 GeV along z."""
    rng = np.random.default_rng(seed)
    energy = rng.uniform(3, 9, n)
    beam = np.column_stack([energy, 0 * energy, 0 * energy, energy])
    target = np.tile([PROTON, 0, 0, 0], (n, 1))
    system, recoil = decay(rng, beam + target, rng.uniform(1.0, 1.5, n), PROTON, costheta)
    omega, bachelor = decay(rng, system, rng.uniform(0.75, 0.82, n), PI_ZERO)
    pair, pi_zero = decay(rng, omega, rng.uniform(0.3, 0.55, n), PI_ZERO)
    pi_plus, pi_minus = decay(rng, pair, PION, PION)
    return {
        "beam": beam,
        "target": target,
        "recoil": recoil,
        "system": system,
        "bachelor": bachelor,
        "omega": omega,
        "pi_plus": pi_plus,
        "pi_minus": pi_minus,
        "pi_zero": pi_zero,
    }
