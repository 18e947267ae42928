"""Decay distributions of vector mesons: against explicit density matrices, and from simulation back to the elements."""

import numpy as np
import pytest

import jax
import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.physics.spin import wigner_d
from jaxpwa.physics.waves.sdme import CIRCULAR, ELEMENTS, SchillingModel, parity_asymmetry, schilling_parts

RNG = np.random.default_rng(11)
C, PHI = RNG.uniform(-1, 1, 50), RNG.uniform(-np.pi, np.pi, 50)


def density_matrices():
    """Hermitian matrices rho^0 ... rho^3, helicities 1, 0, -1, with the symmetries of parity conservation."""
    signs = np.array([[(-1) ** (a - b) for b in (1, 0, -1)] for a in (1, 0, -1)])
    rhos = []
    for alpha in range(4):
        m = RNG.normal(size=(3, 3)) + 1j * RNG.normal(size=(3, 3))
        m = (m + m.conj().T) / 2
        flipped = signs * m[::-1, ::-1]
        rhos.append((m + flipped) / 2 if alpha < 2 else (m - flipped) / 2)
    rhos[0] = rhos[0] / np.trace(rhos[0]).real
    return rhos


def elements_of(rhos):
    out = {"rho0_00": rhos[0][1, 1], "re_rho0_10": rhos[0][0, 1], "rho0_1-1": rhos[0][0, 2]}
    out |= {"rho1_11": rhos[1][0, 0], "rho1_00": rhos[1][1, 1], "re_rho1_10": rhos[1][0, 1], "rho1_1-1": rhos[1][0, 2]}
    out = {k: v.real for k, v in out.items()}
    for a in (2, 3):
        out |= {f"im_rho{a}_10": rhos[a][0, 1].imag, f"im_rho{a}_1-1": rhos[a][0, 2].imag}
    return out


def distribution(rho, helicities):
    """Sum over the daughters' helicities of D* rho D."""
    total = np.zeros(len(C), complex)
    for mu in helicities:
        d = np.array([wigner_d(1, h, mu, PHI, np.arccos(C), np.zeros(len(C))) for h in (1, 0, -1)])
        total += np.einsum("ae,ab,be->e", d.conj(), rho, d)
    return 3 / (4 * np.pi) * total.real / len(helicities)


@pytest.mark.parametrize(("radiative", "helicities"), [(False, (0,)), (True, (1, -1))])
def test_the_distribution_is_that_of_the_density_matrix(radiative, helicities):
    rhos = density_matrices()
    parts = schilling_parts(elements_of(rhos), C, PHI, radiative=radiative)
    for rho, part in zip(rhos, parts, strict=True):
        np.testing.assert_allclose(part, distribution(rho, helicities), atol=1e-12)


def test_the_model_adds_the_parts():
    values = elements_of(density_matrices())
    data = {"costheta": C, "phi": PHI, "Phi": PHI[::-1].copy(), "P": C**2, "Pc": 0.3 * C}
    model = SchillingModel(polarisation="P", circular="Pc", elements=ELEMENTS + CIRCULAR)
    w = [np.asarray(part) for part in schilling_parts(values, C, PHI)]
    expected = w[0] - C**2 * (np.cos(2 * data["Phi"]) * w[1] + np.sin(2 * data["Phi"]) * w[2]) + 0.3 * C * w[3]
    np.testing.assert_allclose(model(values, data), expected, atol=1e-14)


@pytest.mark.parametrize("radiative", [False, True])
def test_the_unpolarised_part_integrates_to_one(radiative):
    x, weights = np.polynomial.legendre.leggauss(6)
    f = np.arange(8) * 2 * np.pi / 8
    c, phi = (a.ravel() for a in np.meshgrid(x, f, indexing="ij"))
    w0 = np.asarray(schilling_parts(elements_of(density_matrices()), c, phi, radiative=radiative)[0])
    assert np.sum(np.repeat(weights, 8) * 2 * np.pi / 8 * w0) == pytest.approx(1, rel=1e-12)


def test_a_fit_recovers_the_elements_and_the_gradient_is_finite_at_the_poles():
    truth = {"rho0_00": 0.1, "re_rho0_10": 0.05, "rho0_1-1": -0.05, "rho1_11": 0.02, "rho1_00": -0.03}
    truth |= {"re_rho1_10": 0.01, "rho1_1-1": 0.4, "im_rho2_10": 0.02, "im_rho2_1-1": -0.4}
    n = 40_000
    rng = np.random.default_rng(4)
    mc = {"costheta": rng.uniform(-1, 1, n), "phi": rng.uniform(-np.pi, np.pi, n), "Phi": rng.uniform(-np.pi, np.pi, n)}
    model = SchillingModel(polarisation=0.6)
    mask, _ = jp.rejection_sample(2, model, truth, mc)
    data = {k: v[mask] for k, v in mc.items()}
    result = jp.fit(jp.UnbinnedNLL(model, data, normalization_mc=mc), dict.fromkeys(ELEMENTS, 0.05))
    assert result.valid
    pulls = [(result.values[k] - truth[k]) / result.errors[k] for k in ELEMENTS]
    assert np.max(np.abs(pulls)) < 4
    assert float(parity_asymmetry(truth)) == pytest.approx(0.83)
    slope = jax.vmap(jax.grad(lambda c: schilling_parts(truth, c, 0.3)[0]))(jnp.array([-1.0, 0.0, 1.0]))
    assert np.all(np.isfinite(slope))


def test_unknown_elements_are_refused():
    with pytest.raises(ValueError, match="elements names 'rho_00'; there are rho0_00"):
        schilling_parts({"rho_00": 0.1}, C, PHI)
    with pytest.raises(ValueError, match="elements names 'x'"):
        SchillingModel(elements=("x",))
