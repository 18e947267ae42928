"""Amplitudes of four-vectors are ported from pools of particles and from tables; the original is the oracle."""

import numpy as np

import jaxpwa
from jaxpwa_compat.amplitudes import NestedFunction
from jaxpwa_compat.porting import to_jax
from jaxpwa_compat.vectors import FourVector, Particle, ParticlePool

RNG = np.random.default_rng(4)
N = 150


def momenta(mass, scale):
    p = RNG.normal(scale=scale, size=(3, N))
    return (np.sqrt(mass**2 + (p**2).sum(axis=0)), *p)


def pool():
    beam = RNG.uniform(8.0, 9.0, N)
    return ParticlePool(
        [
            Particle(1, 0, beam, np.zeros(N), np.zeros(N), beam),
            Particle(14, 1, *momenta(0.9382720813, 0.3)),
            Particle(8, 1, *momenta(0.13957, 0.5)),
            Particle(9, -1, *momenta(0.13957, 0.5)),
        ]
    )


class Rho(NestedFunction):
    """Breit-Wigner of the pair's mass with the t-dependence and a decay angle, from the pool's own methods."""

    def setup(self, data):
        plus, minus = data.get_particles_by_id(8)[0], data.get_particles_by_id(9)[0]
        self.m = data.get_event_mass()
        self.t = data.get_t()
        self.cos = (plus + minus).get_cos_theta() * plus.get_cos_theta()
        self.n = data.event_count

    def calculate(self, params):
        pole = params["m0"] ** 2 - self.m**2 - 1j * params["m0"] * params["width"]
        angle = 1 + params["b"] * self.cos**2
        return np.abs(1 / pole) ** 2 * np.exp(params["slope"] * self.t) * angle * np.ones(self.n)


def test_pool_of_particles():
    particles = pool()
    port = to_jax(Rho(), particles)
    assert port.columns[:4] == ("E_1", "px_1", "py_1", "pz_1")
    other = pool()
    point = {"m0": 0.77, "width": 0.15, "b": 0.3, "slope": 2.0}
    amplitude = Rho()
    amplitude.setup(other)
    found = jaxpwa.evaluate(port, point, other.to_table().to_columns())
    np.testing.assert_allclose(found, amplitude.calculate(point), rtol=1e-9)


class Mass(NestedFunction):
    def setup(self, data):
        first = FourVector(data["E_3"], data["px_3"], data["py_3"], data["pz_3"])
        second = FourVector(data["E_4"], data["px_4"], data["py_4"], data["pz_4"])
        self.m = (first + second).get_mass()

    def calculate(self, params):
        return np.exp(-((self.m - params["m0"]) ** 2))


def test_vectors_made_of_columns():
    to_jax(Mass(), pool().to_table().to_columns())
