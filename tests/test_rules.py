"""Waves from quantum numbers: hand tables, qrules' own search, and expansions in Clebsch-Gordan coefficients."""

import doctest
import importlib
import logging
import pickle
import pkgutil
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import sqrt

import numpy as np
import pytest

import jaxpwa.rules
from jaxpwa.physics import blatt_weisskopf, clebsch_gordan, real_breakup_momentum, relativistic_breit_wigner
from jaxpwa.rules import (
    Particle,
    allowed_chains,
    allowed_two_body_waves,
    chain_model,
    helicity_couplings,
    ls_couplings,
    particle,
    polarised_waves,
    reflectivity_states,
    violated_rules,
)
from jaxpwa.rules.table import collection

qrules = pytest.importorskip("qrules")

HALF = Fraction(1, 2)
SPINS = [Fraction(n, 2) for n in range(5)]


def waves(first, second, max_l, **options):
    return [(w.jpc, w.l, w.s) for w in allowed_two_body_waves(first, second, max_l, **options)]


def couplings(initial, final, *resonances, **options):
    """Couplings of the first vertex, by isobar."""
    return [
        (*(state.name for state in chain.isobars), *chain.vertices[0].coupling)
        for chain in allowed_chains(initial, final, resonances, **options)
    ]


# Two particles


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (("eta", "pi0"), ["0++", "1-+", "2++", "3-+", "4++"]),
        (("eta", "pi-"), ["0++", "1-+", "2++", "3-+", "4++"]),
        (("eta'(958)", "pi+"), ["0++", "1-+", "2++", "3-+", "4++"]),
        (("eta", "eta"), ["0++", "2++", "4++"]),
        (("pi0", "pi0"), ["0++", "2++", "4++"]),
        (("pi+", "pi-"), ["0++", "1--", "2++", "3--", "4++"]),
        (("K+", "K-"), ["0++", "1--", "2++", "3--", "4++"]),
        (("K(S)0", "K(S)0"), ["0++", "2++", "4++"]),
        (("K(S)0", "K(L)0"), ["1--", "3--"]),
        (("K+", "pi-"), ["0+", "1-", "2+", "3-", "4+"]),
        (("K(S)0", "pi+"), ["0+", "1-", "2+", "3-", "4+"]),
    ],
)
def test_two_pseudoscalars_have_the_waves_of_the_textbook(pair, expected):
    found = allowed_two_body_waves(*pair, 4)
    assert [w.jpc for w in found] == expected
    assert all(w.j == w.l and w.s == 0 and w.particles == pair for w in found)
    assert [w.jpc for w in found if w.exotic] == [jpc for jpc in expected if jpc in ("1-+", "3-+")]


@pytest.mark.parametrize(
    ("pair", "even", "odd"),
    [
        (("pi+", "pi-"), {(0, 1), (2, 1)}, {(1, 1)}),
        (("pi+", "pi0"), {(2, 1)}, {(1, 1)}),
        (("pi+", "pi+"), {(2, 1)}, set()),
        (("K+", "K-"), {(0, 1), (1, -1)}, {(0, -1), (1, 1)}),
        (("K+", "K~0"), {(1, -1)}, {(1, 1)}),
        (("K+", "K0"), {(1, None)}, {(0, None)}),
        (("D+", "D~0"), {(1, -1)}, {(1, 1)}),
        (("eta", "pi+"), {(1, -1)}, {(1, -1)}),
    ],
)
def test_isospin_and_g_parity_follow_from_the_symmetry_of_the_pair(pair, even, odd):
    found = {w.l: set(w.isospins) for w in allowed_two_body_waves(*pair, 3)}
    assert found.get(0, set()) == found.get(2, set()) == even
    assert found.get(1, set()) == found.get(3, set()) == odd


def test_omega_pi_has_the_waves_of_the_textbook():
    found = allowed_two_body_waves("omega(782)", "pi0", 2)
    assert [(w.jpc, w.l) for w in found] == [
        ("0--", 1),
        ("1+-", 0),
        ("1--", 1),
        ("1+-", 2),
        ("2--", 1),
        ("2+-", 2),
        ("3+-", 2),
    ]
    assert {w.jpc for w in found if w.exotic} == {"0--", "2+-"}
    assert all(w.s == 1 and w.isospins == ((1, 1),) for w in found)


def test_two_nucleons_obey_paulis_principle_with_isospin():
    # 2S+1 L_J of the deuteron's channel and of two protons.
    assert waves("p", "p", 1) == [("0+", 0, 0), ("0-", 1, 1), ("1-", 1, 1), ("2-", 1, 1)]
    triplet = [w for w in allowed_two_body_waves("p", "n", 2) if w.isospins == ((0, None),)]
    assert [(w.jpc, w.l, w.s) for w in triplet] == [
        ("1+", 0, 1),
        ("1-", 1, 0),
        ("1+", 2, 1),
        ("2+", 2, 1),
        ("3+", 2, 1),
    ]


def test_proton_antiproton_has_the_waves_of_quark_antiquark():
    found = {(w.l, w.s): set() for w in allowed_two_body_waves("p", "p~", 2)}
    for w in allowed_two_body_waves("p", "p~", 2):
        found[w.l, w.s].add(w.jpc)
        assert not w.exotic
    assert found == {
        (0, 0): {"0-+"},
        (0, 1): {"1--"},
        (1, 0): {"1+-"},
        (1, 1): {"0++", "1++", "2++"},
        (2, 0): {"2-+"},
        (2, 1): {"1--", "2--", "3--"},
    }


def test_photons_leave_out_what_transversality_forbids():
    # L. D. Landau, C. N. Yang: no spin 1 to two photons; no spin 0 to photon and spin 0.
    assert {w.j for w in allowed_two_body_waves("gamma", "gamma", 2)} == {0, 2, 3, 4}
    assert {w.j for w in allowed_two_body_waves("gamma", "pi0", 2)} == {1, 2, 3}
    assert all(w.isospins == () for w in allowed_two_body_waves("gamma", "pi0", 2))


def test_vector_mesons_of_opposite_charge_have_c_by_l_plus_s():
    for w in allowed_two_body_waves("K*(892)+", "K*(892)-", 2):
        assert w.c_parity == (-1) ** (w.l + w.s)
    for w in allowed_two_body_waves("rho(770)+", "rho(770)-", 2):
        assert w.c_parity == (-1) ** (w.l + w.s)
        assert all(g == 1 and (-1) ** isospin == w.c_parity for isospin, g in w.isospins)


def test_weak_interaction_keeps_neither_parity_nor_c():
    assert waves("pi+", "pi-", 1, interaction="weak") == [
        (f"{j}{p}{c}", j, 0) for j in (0, 1) for p, c in product("+-", "+-")
    ]


# Couplings from spins


@pytest.mark.parametrize(
    ("arguments", "conserved", "expected"),
    [
        ((1, -1, 0, -1, 0, -1), True, [(1, 0)]),  # K* -> K pi, rho -> pi pi
        ((HALF, 1, 1.5, -1, 0, -1), False, [(1, 1.5), (2, 1.5)]),  # Lambda_c -> Lambda(1520) pi
        ((1.5, -1, 0.5, 1, 0, -1), True, [(2, 0.5)]),  # Lambda(1520) -> p K
        ((1.5, 1, 0.5, 1, 0, -1), True, [(1, 0.5)]),  # Delta -> p pi
        ((0.5, 1, 1, -1, 0.5, 1), False, [(0, 0.5), (1, 0.5), (1, 1.5), (2, 1.5)]),  # Lambda_c -> K* p
        ((1, 1, 1, -1, 0, -1), True, [(0, 1), (2, 1)]),  # a1 -> rho pi
        ((1, -1, 1, -1, 0, -1), True, [(1, 1)]),
        ((0, -1, 1, -1, 0, -1), True, [(1, 1)]),
        ((0, 1, 1, -1, 0, -1), True, []),
        ((2, -1, 2, 1, 0, -1), True, [(0, 2), (2, 2), (4, 2)]),  # pi2 -> f2 pi
        ((1, -1, 1, -1, 2, 1), True, [(0, 1), (2, 1), (2, 2), (2, 3), (4, 3)]),  # J/psi -> omega f2
        ((1, -1, 0.5, 1, 0.5, -1), True, [(0, 1), (2, 1)]),  # J/psi -> p anti-p
        ((0, -1, 1, -1, 1, -1), True, [(1, 1)]),  # eta_c -> V V
        ((0, 1, 1, -1, 1, -1), True, [(0, 0), (2, 2)]),
        ((1, 1, 0.5, 1, 0, 1), True, []),
    ],
)
def test_ls_couplings_are_those_of_the_textbook(arguments, conserved, expected):
    assert list(ls_couplings(*arguments, parity_conserved=conserved)) == expected


def test_ls_couplings_are_what_the_rules_of_qrules_let_through():
    rules = qrules.conservation_rules
    parity = qrules.quantum_numbers.Parity
    for j, j1, j2, product_of_parities in product(SPINS, SPINS, SPINS[:4], (1, -1)):
        expected = [
            (l, s)
            for l in range(7)
            for s in (Fraction(n, 2) for n in range(8))
            if rules.spin_magnitude_conservation([j], [j1, j2], rules.SpinMagnitudeNodeInput(l, s))
            and rules.parity_conservation([parity(1)], [parity(product_of_parities), parity(1)], l)
        ]
        assert list(ls_couplings(j, 1, j1, product_of_parities, j2, 1)) == expected


def test_ls_couplings_stop_at_max_l():
    assert ls_couplings(2, -1, 2, 1, 0, -1, max_l=2) == ((0, 2), (2, 2))


def expanded(j, j1, j2, l, s, first, second):
    m = first - second
    if abs(m) > min(j, s):
        return 0.0
    couple = clebsch_gordan(l, 0, s, m, j, m) * clebsch_gordan(j1, first, j2, -second, s, m)
    return sqrt((2 * l + 1) / (2 * j + 1)) * couple


@pytest.mark.parametrize(("conserved", "exchange"), [(False, None), (True, None), (False, 1), (True, 1), (True, -1)])
def test_helicity_couplings_span_what_ls_couplings_span(conserved, exchange):
    tried = 0
    for j, j1, j2, parity in product(SPINS, SPINS[:4], SPINS[:3], (1, -1)):
        if exchange is not None and j1 != j2:
            continue
        arguments = (j, parity, j1, 1, j2, 1)
        options = {"parity_conserved": conserved, "exchange": exchange}
        ls, helicities = ls_couplings(*arguments, **options), helicity_couplings(*arguments, **options)
        assert len(ls) == len(helicities)
        given = [pair for coupling in helicities for pair, _ in coupling]
        assert len(set(given)) == len(given)
        for l, s in ls:
            for coupling in helicities:
                (first, one), *others = coupling
                assert one == 1
                value = expanded(j, j1, j2, l, s, *first)
                for pair, factor in others:
                    assert expanded(j, j1, j2, l, s, *pair) == pytest.approx(factor * value, abs=1e-12)
            total = sum(expanded(j, j1, j2, l, s, *pair) ** 2 for pair in given)
            assert total == pytest.approx(1)  # nothing outside of what is listed
            tried += 1
    assert tried > 10


def test_signs_of_mirrored_helicities_are_those_of_qrules():
    rules = qrules.conservation_rules
    for j, j1, j2, parity in product(SPINS, SPINS, SPINS, (1, -1)):
        for coupling in helicity_couplings(j, parity, j1, 1, j2, -1):
            (first, second), _ = coupling[0]
            assert rules.helicity_conservation([j], [first, second])
            states = [rules.HelicityParityEdgeInput(1, j1, first), rules.HelicityParityEdgeInput(-1, j2, second)]
            sign = dict(coupling)[-first, -second]
            assert rules.parity_conservation_helicity([rules.HelicityParityEdgeInput(parity, j, 0)], states, sign)


def test_massless_particles_have_two_helicities():
    # J/psi -> gamma f2: three amplitudes, where LS counts five.
    photon = helicity_couplings(1, -1, 2, 1, 1, -1, massless=(False, True))
    assert [coupling[0][0] for coupling in photon] == [(2, 1), (1, 1), (0, 1)]
    assert all(len(coupling) == 2 and coupling[1][1] == 1 for coupling in photon)
    assert helicity_couplings(1, 1, 1, -1, 1, -1, exchange=1, massless=(True, True)) == ()
    assert helicity_couplings(0, -1, 1, -1, 1, -1, exchange=1, massless=(True, True)) == (
        (((1, 1), 1), ((-1, -1), -1)),
    )


def test_reflectivity_states_are_those_of_pion_beams():
    # The M = 0 waves of COMPASS, Phys. Rev. D 95 (2017) 032004: 0-+0+, 1++0+, 2-+0+; 1-+ and 2++ start at M = 1.
    for j, parity, reflectivity in [(0, -1, 1), (1, 1, 1), (2, -1, 1), (1, -1, -1), (2, 1, -1)]:
        states = reflectivity_states(j, parity)
        assert [state for state in states if state[0] == 0] == [(0, reflectivity)]
        assert len(states) == 2 * j + 1


def test_reflectivity_states_are_those_that_do_not_vanish():
    for j, parity in product(range(4), (1, -1)):
        expected = [
            (m, e)
            for m in range(j + 1)
            for e in (1, -1)
            if m > 0 or 1 - e * parity * (-1) ** (j - m)  # |J M> - e P (-1)^(J - M) |J -M>
        ]
        assert list(reflectivity_states(j, parity)) == expected
    assert reflectivity_states(3, 1, max_m=1) == ((0, 1), (1, 1), (1, -1))


# Decay chains


def from_qrules(initial, final, resonances, kinds):
    """Resonance, members and L, S of both vertices, by qrules' own search."""
    logging.getLogger("qrules.transition").setLevel(logging.ERROR)
    reaction = qrules.generate_transitions(
        initial,
        final,
        allowed_intermediate_particles=resonances,
        allowed_interaction_types=kinds,
        particle_db=collection(),
        max_angular_momentum=4,
        max_spin_magnitude=3,
        number_of_threads=1,
    )
    found = set()
    for transition in reaction.transitions:
        ((edge, state),) = transition.intermediate_states.items()
        node = transition.topology.edges[edge].ending_node_id
        members = tuple(sorted(transition.topology.get_originating_final_state_edge_ids(node)))
        below = transition.interactions[node]
        (above,) = (v for k, v in transition.interactions.items() if k != node)
        found.add(
            (
                state.particle.name,
                members,
                (above.l_magnitude, above.s_magnitude),
                (below.l_magnitude, below.s_magnitude),
            )
        )
    return found


def as_set(chains):
    return {(c.isobars[0].name, c.isobars[0].members, *(v.coupling for v in c.vertices)) for c in chains}


def test_radiative_decay_has_the_chains_that_qrules_finds():
    final = ["gamma", "pi0", "pi0"]
    resonances = ["f(0)(980)", "f(2)(1270)", "omega(782)"]
    chains = allowed_chains("J/psi(1S)", final, [*resonances, "K*(892)"])
    assert len(chains) == 8
    expected = from_qrules(("J/psi(1S)", [1]), [("gamma", [1, -1]), "pi0", "pi0"], resonances, ["s", "e"])
    # qrules takes either of the identical pions.
    assert as_set(chains) == {(name, tuple(1 if i == 2 and 0 in m else i for i in m), *r) for name, m, *r in expected}


def test_weak_decay_has_the_chains_that_qrules_finds_with_parity_kept_by_the_isobar():
    resonances = ["Lambda(1520)", "Delta(1232)++", "K*(892)~0"]
    chains = allowed_chains("Lambda(c)+", ["p", "K-", "pi+"], ["Lambda(1520)", "Delta(1232)", "K*(892)"])
    every = from_qrules(("Lambda(c)+", [0.5]), ["p", "K-", "pi+"], resonances, ["w", "s"])
    kept = {"Lambda(1520)": 2, "Delta(1232)++": 1, "K*(892)~0": 1}
    assert as_set(chains) == {chain for chain in every if chain[-1][0] == kept[chain[0]]}
    assert len(chains) == 8


def test_tutorial_content_of_radiative_decay_to_two_pions():
    names = ["f(0)(500)", "f(0)(980)", "f(0)(1500)", "f(0)(1710)", "f(2)(1270)", "f(2)(1950)"]
    chains = allowed_chains("J/psi(1S)", ["gamma", "pi0", "pi0"], [*names, "rho(1450)", "a(2)(1320)", "eta"])
    found = {chain.isobars[0].name for chain in chains if chain.isobars[0].members == (1, 2)}
    assert found == set(names)
    for chain in chains:
        first, second = chain.vertices
        if chain.isobars[0].name in names:
            assert (first.interaction, second.interaction) == ("EM", "strong")
            assert second.coupling[0] % 2 == 0


def test_resonances_not_given_means_all_of_the_table():
    chains = allowed_chains("D(s)+", ["pi+", "pi-", "pi+"], max_l=1)
    assert {c.isobars[0].particle.jpc for c in chains} == {"0++", "1--"}
    assert {"rho(770)0", "f(0)(980)", "rho(1450)0"} <= {c.isobars[0].name for c in chains}


def test_chains_with_a_neutral_kaon_eigenstate():
    chains = allowed_chains("D0", ["K(S)0", "pi+", "pi-"], ["K*(892)", "rho(770)", "f(0)(980)"])
    assert as_set(chains) == {
        ("K*(892)+", (0, 1), (1, 1), (1, 0)),
        ("K*(892)-", (0, 2), (1, 1), (1, 0)),
        ("rho(770)0", (1, 2), (1, 1), (1, 0)),
        ("f(0)(980)", (1, 2), (0, 0), (0, 0)),
    }
    assert {c.vertices[0].interaction for c in chains} == {"weak"}
    assert couplings("phi(1020)", ["K(S)0", "K(L)0"]) == [(1, 0)]
    assert couplings("f(2)(1270)", ["K(S)0", "K(S)0"]) == [(2, 0)]
    assert couplings("K(S)0", ["pi0", "pi0"]) == [(0, 0)]  # qrules refuses, as K0 has odd parity


def test_pairs_of_spin_keep_c_by_l_plus_s():
    final = ["K*(892)+", "K*(892)-"]
    assert couplings("J/psi(1S)", final) == [(1, 0), (1, 2), (3, 2)]  # qrules adds (1, 1)
    assert couplings("chi(c1)(1P)", final) == [(2, 2)]
    assert couplings("h(c)(1P)", final) == [(0, 1), (2, 1)]  # and refuses these
    assert couplings("eta(c)(1S)", ["rho(770)0", "rho(770)0"]) == [(1, 1)]


def test_photon_may_come_from_a_weak_decay():
    chains = allowed_chains("Lambda(b)0", ["p", "K-", "gamma"], ["Lambda(1520)"], basis="helicity")
    # Helicity 3/2 or 1/2 of the Lambda with the photon's of the same sign.
    assert [c.vertices[0].helicities for c in chains] == [
        (((Fraction(3, 2), 1), 1),),
        (((HALF, 1), 1),),
        (((-HALF, -1), 1),),
        (((Fraction(-3, 2), -1), 1),),
    ]
    assert all(c.vertices[0].interaction == "weak" for c in chains)


def test_helicity_basis_has_the_right_number_of_amplitudes():
    radiative = allowed_chains("J/psi(1S)", ["gamma", "pi0", "pi0"], ["f(0)(980)", "f(2)(1270)"], basis="helicity")
    assert [c.isobars[0].name for c in radiative] == ["f(0)(980)"] + 3 * ["f(2)(1270)"]
    options = {"resonances": ["Lambda(1520)", "Delta(1232)", "K*(892)"]}
    ls, helicity = (allowed_chains("Lambda(c)+", ["p", "K-", "pi+"], **options, basis=b) for b in ("LS", "helicity"))
    assert len(ls) == len(helicity) == 8
    assert ls[0].vertices[1].helicities is None
    assert helicity[0].vertices[1].l is None


def test_identical_bosons_give_one_chain_with_its_exchanges():
    (chain, *_) = allowed_chains("J/psi(1S)", ["gamma", "pi0", "pi0"], ["omega(782)"])
    assert chain.exchanges == ((1, (0, 1, 2)), (1, (0, 2, 1)))
    (chain,) = allowed_chains("eta", ["pi0", "pi0", "pi0"], ["f(0)(500)"])
    pairs = [tuple(sorted(order[i] for i in chain.isobars[0].members)) for sign, order in chain.exchanges]
    assert pairs == [(0, 1), (0, 2), (1, 2)]
    (chain, *_) = allowed_chains("J/psi(1S)", ["gamma", "pi0", "pi0"], ["f(0)(980)"])
    assert chain.exchanges == ((1, (0, 1, 2)),)


def test_identical_fermions_exchange_with_a_minus_sign():
    dibaryon = Particle("X", 2, parity=-1, mass=2.5, charge=2, isospin=1, baryon_number=2)
    chains = allowed_chains(dibaryon, ["p", "pi0", "p"], ["Delta(1232)"], isobar_interactions="strong")
    assert chains
    assert all(chain.exchanges == ((1, (0, 1, 2)), (-1, (2, 1, 0))) for chain in chains)


def test_four_particles_are_divided_both_ways():
    chains = allowed_chains("D0", ["pi+", "pi-", "pi+", "pi-"], ["rho(770)", "a(1)(1260)"])
    quasi_two_body = [c for c in chains if c.isobars[0].name == "rho(770)0"]
    # Two identical vectors: L + S even.
    assert [c.vertices[0].coupling for c in quasi_two_body] == [(0, 0), (1, 1), (2, 2)]
    assert [order for _, order in quasi_two_body[0].exchanges] == [(0, 1, 2, 3), (0, 3, 2, 1)]
    cascade = [c for c in chains if c.isobars[0].name == "a(1)(1260)+"]
    assert [c.vertices[1].coupling for c in cascade] == [(0, 1), (2, 1)]
    assert all(len(c.exchanges) == 4 and [len(s.members) for s in c.isobars] == [3, 2] for c in cascade)
    assert len(chains) == 3 + 2 * 2


def test_states_of_ones_own_can_be_isobars():
    pentaquark = Particle("P(c)(4312)+", 0.5, -1, mass=4.312, width=0.01, charge=1, isospin=0.5, baryon_number=1)
    chains = allowed_chains("Lambda(b)0", ["J/psi(1S)", "p", "K-"], pentaquark)
    assert as_set(chains) == {
        ("P(c)(4312)+", (0, 1), above, below) for above in ((0, HALF), (1, HALF)) for below in ((0, HALF), (2, 1.5))
    }
    scalars = [Particle("X", 0, 1, 1.0, c_parity=c_parity, isospin=0) for c_parity in (1, -1)]
    assert [violated_rules(p, ["pi0", "pi0"]) for p in scalars] == [(), ("c_parity_conservation",)]


def test_interactions_are_the_strongest_that_allow_a_decay():
    final = ["pi+", "pi-"]
    assert [allowed_chains(name, final)[0].vertices[0].interaction for name in ("rho(770)0", "omega(782)", "K0")] == [
        "strong",
        "EM",
        "weak",
    ]
    with pytest.raises(ValueError, match="g_parity_conservation"):
        allowed_chains("omega(782)", final, interactions="strong")
    assert couplings("rho(770)0", final, interactions="weak") == [(1, 0)]
    tau = allowed_chains("tau-", ["pi-", "pi0", "nu(tau)"], ["rho(770)"])
    assert {c.vertices[0].interaction for c in tau} == {"weak"}


def test_masses_are_tested_within_widths():
    narrow = ("D0", ["K-", "pi+", "pi0"], ["K(2)*(1430)"])
    assert allowed_chains(*narrow)
    with pytest.raises(ValueError, match="MassConservation"):
        allowed_chains("Lambda(c)+", ["p", "K-", "pi+"], ["K(2)*(1430)"], widths=0.5)
    assert allowed_chains("Lambda(c)+", ["p", "K-", "pi+"], ["K(2)*(1430)"], widths=None)


def test_chains_read_as_text_and_are_plain_records():
    (chain, *_) = allowed_chains("Lambda(c)+", ["p", "K-", "pi+"], ["K*(892)"])
    expected = "Lambda(c)+ -> K*(892)~0 p [L=0 S=1/2, weak]; K*(892)~0 -> K- pi+ [L=1 S=0, strong]"
    assert str(chain) == expected
    assert pickle.loads(pickle.dumps(chain)) == chain
    assert hash(chain) == hash(pickle.loads(pickle.dumps(chain)))
    (vertex, *_) = allowed_chains("rho(770)0", ["pi0", "gamma"], basis="helicity")[0].vertices
    assert str(vertex) == "rho(770)0 -> pi0 gamma [helicities +(0, 1), -(0, -1), EM]"
    assert vertex.parity_conserved


# The table, and what is refused


def test_particles_are_those_of_the_table():
    found = particle("Lambda(1520)")
    entry = collection()["Lambda(1520)"]
    assert (found.jpc, found.mass, found.width, found.pid) == ("3/2-", entry.mass, entry.width, 3124)
    assert particle("f(2)(1270)").jpc == "2++"
    for entry in collection():
        found = particle(entry.name)
        assert (found.charge, found.spin, found.mass) == (entry.charge, entry.spin, entry.mass)
        if entry.isospin is not None:
            assert (found.isospin, found.isospin_projection) == (entry.isospin.magnitude, entry.isospin.projection)
    assert replace(particle("K(S)0"), name="K0", pid=311, strangeness=1, isospin=HALF) == particle("K0")


@pytest.mark.parametrize(
    ("initial", "final", "interaction", "expected"),
    [
        ("K*(892)0", ["K+", "pi-"], "strong", ()),
        ("rho(770)0", ["pi0", "pi0"], "strong", ("c_parity_conservation", "exchange_symmetry", "isospin_conservation")),
        ("eta", ["pi+", "pi-"], "EM", ("parity_conservation",)),
        ("pi0", ["gamma", "gamma", "gamma"], "EM", ("c_parity_conservation",)),
        ("f(1)(1285)", ["gamma", "gamma"], "EM", ("helicity_conservation",)),
        ("D0", ["K0", "gamma"], "weak", ("helicity_conservation",)),
        ("pi+", ["p", "n"], "weak", ("BaryonNumberConservation", "MassConservation")),
        ("Lambda", ["pi+", "pi-"], "weak", ("BaryonNumberConservation", "spin_magnitude_conservation")),
        ("mu-", ["e-", "gamma"], "EM", ("ElectronLNConservation", "MuonLNConservation")),
        ("rho(770)0", ["pi0", "gamma"], "strong", ("not_strong",)),
        ("omega(1420)", ["rho(770)+", "rho(770)-"], "strong", ("g_parity_conservation",)),
    ],
)
def test_violated_rules_have_the_names_of_qrules(initial, final, interaction, expected):
    assert violated_rules(initial, final, interaction=interaction) == expected


def test_violated_rules_agree_with_qrules_check():
    for initial, final in [("pi0", ["gamma", "gamma", "gamma"]), ("D0", ["K-", "pi+"]), ("phi(1020)", ["pi+", "pi-"])]:
        kind = "EM" if "gamma" in final else "strong"
        groups = qrules.check_reaction_violations(initial, final, particle_db=collection())
        # Its groups count couplings that spins exclude.
        names = frozenset().union(*groups) - {"spin_magnitude_conservation"}
        assert set(violated_rules(initial, final, interaction=kind)) - {"exchange_symmetry"} == names


def test_forbidden_reactions_say_which_rule_is_in_the_way():
    with pytest.raises(
        ValueError, match=r"D0 -> K- pi\+ pi\+ is not allowed: it breaks ChargeConservation \(weak inter"
    ):
        allowed_chains("D0", ["K-", "pi+", "pi+"])
    with pytest.raises(ValueError, match=r"it breaks c_parity_conservation \(EM interaction\)"):
        allowed_chains("J/psi(1S)", ["pi0", "pi0", "pi0"])
    with pytest.raises(ValueError, match=r"phi\(1020\) -> K\(S\)0 K\(S\)0 breaks exchange_symmetry"):
        allowed_chains("phi(1020)", ["K(S)0", "K(S)0"])
    with pytest.raises(ValueError, match=r"no allowed chain: J/psi\(1S\) -> a\(0\)\(980\)0 gamma breaks isospin|rho"):
        allowed_chains("J/psi(1S)", ["gamma", "pi0", "pi0"], ["rho(3)(1690)+"])
    with pytest.raises(ValueError, match="there is no resonance to try"):
        allowed_chains("D0", ["K-", "pi+", "pi0"], [])
    with pytest.raises(ValueError, match=r"K\*\(892\)0 -> K\+ pi- breaks max_l"):
        allowed_chains("K(1)(1270)+", ["K+", "pi-", "pi+"], ["K*(892)"], max_l=0)
    with pytest.raises(ValueError, match=r"; \.\.\. \(\d+ in all\)"):
        allowed_chains("D(s)+", ["pi+", "pi+", "pi-"], max_l=-1)


def test_unknown_names_are_answered_with_near_ones():
    for name, near in [("Lambda_c+", r"Lambda\(c\)\+"), ("J/psi", r"J/psi\(1S\)"), ("K0S", r"K\(S\)0"), ("", "none")]:
        with pytest.raises(
            ValueError, match=f"unknown particle '{name}'; names that are near: .*{near}".replace("+'", "\\+'")
        ):
            particle(name)
    with pytest.raises(ValueError, match="unknown particle 'f0_980'"):
        allowed_chains("J/psi(1S)", ["gamma", "pi0", "pi0"], ["f0_980"])


def test_what_makes_no_sense_is_refused():
    with pytest.raises(TypeError, match="a particle must be a name or a jaxpwa.rules.Particle, got 22"):
        allowed_chains("D0", ["K-", 22])
    with pytest.raises(ValueError, match="basis must be 'LS' or 'helicity', got 'canonical'"):
        allowed_chains("D0", ["K-", "pi+"], basis="canonical")
    with pytest.raises(ValueError, match="needs at least two final-state particles, got D0 -> K-"):
        allowed_chains("D0", "K-")
    with pytest.raises(ValueError, match="interactions must be one or more of strong, EM, weak, got 'gravity'"):
        allowed_chains("D0", ["K-", "pi+"], interactions="gravity")
    with pytest.raises(ValueError, match=r"isobar_interactions must be one or more of strong, EM, weak, got \(\)"):
        allowed_chains("D0", ["K-", "pi+"], isobar_interactions=())
    with pytest.raises(ValueError, match="interaction must be one or more"):
        violated_rules("D0", ["K-", "pi+"], interaction="electroweak")
    with pytest.raises(ValueError, match="max_l must not be negative, got -1"):
        allowed_two_body_waves("eta", "pi0", -1)
    with pytest.raises(ValueError, match="j1 must be 0, 1/2, 1, 3/2, ...: got 0.3"):
        ls_couplings(1, 1, 0.3, 1, 0, 1)
    with pytest.raises(ValueError, match="j must be 0, 1/2, 1, 3/2, ...: got -1"):
        helicity_couplings(-1, 1, 0, 1, 0, 1)
    with pytest.raises(ValueError, match=r"parity2 must be 1, -1 or None \(unknown\), got 0"):
        ls_couplings(1, 1, 0, 1, 0, 0)
    with pytest.raises(ValueError, match="all three parities are needed, got None for parity, parity2"):
        ls_couplings(1, None, 0, 1, 0, None)
    with pytest.raises(ValueError, match="exchange needs two particles of one spin, got j1=1 and j2=0"):
        ls_couplings(1, 1, 1, 1, 0, 1, exchange=1)
    with pytest.raises(ValueError, match="exchange needs two particles of one mass"):
        helicity_couplings(1, 1, 1, 1, 1, 1, exchange=1, massless=(True, False))
    with pytest.raises(ValueError, match="j must be a whole number, got 0.5"):
        reflectivity_states(0.5, 1)
    with pytest.raises(ValueError, match="parity must be 1 or -1, got None"):
        reflectivity_states(1, None)
    with pytest.raises(ValueError, match=r"Q of charge 1 can't have isospin 0: its projection, .* is 1"):
        Particle("Q", 0, charge=1, isospin=0)
    with pytest.raises(ValueError, match="the spin of Q must be 0, 1/2"):
        Particle("Q", "one")
    with pytest.raises(ValueError, match="c_parity of Q must be 1, -1 or None"):
        Particle("Q", 0, c_parity=2)


def test_missing_qrules_is_named_with_the_pip_line(monkeypatch):
    table = importlib.import_module("jaxpwa.rules.table")
    monkeypatch.setitem(sys.modules, "qrules", None)
    for cached in (table.table, table.collection):
        cached.cache_clear()
    try:
        with pytest.raises(ModuleNotFoundError, match=r"needs the package 'qrules': pip install 'jaxpwa\[rules\]'"):
            particle("pi0")
        assert ls_couplings(1, -1, 0, -1, 0, -1) == ((1, 0),)
    finally:
        for cached in (table.table, table.collection):
            cached.cache_clear()


@pytest.mark.parametrize("name", [m.name for m in pkgutil.iter_modules(jaxpwa.rules.__path__)])
def test_examples_that_need_qrules_run(name):
    module = importlib.import_module(f"jaxpwa.rules.{name}")
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for example in doctest.DocTestFinder().find(module):
        for line in example.examples:
            line.options.pop(doctest.SKIP, None)
        assert runner.run(example).failed == 0


def test_allowed_waves_of_two_mesons_become_polarised_waves():
    names = [w.name for w in polarised_waves(allowed_two_body_waves("eta", "pi0", 2), projections=(0, 1))]
    assert names == ["S0+", "P0+", "P1+", "D0+", "D1+", "S0-", "P0-", "P1-", "D0-", "D1-"]
    names = [w.name for w in polarised_waves(allowed_two_body_waves("pi0", "pi0", 3), reflectivities=[1])]
    assert names == ["S0+", "D-2+", "D-1+", "D0+", "D1+", "D2+"]
    names = [w.name for w in polarised_waves(allowed_two_body_waves("omega(782)", "pi0", 1), projections=[1])]
    assert names == ["1+(1)S+", "1-(1)P+", "2-(1)P+", "1+(1)S-", "1-(1)P-", "2-(1)P-"]
    with pytest.raises(ValueError, match="got 0-[+] of p and p~ with S=0"):
        polarised_waves(allowed_two_body_waves("p", "p~", 1))
    with pytest.raises(ValueError, match="no wave is left"):
        polarised_waves(allowed_two_body_waves("eta", "pi0", 1), projections=[4])


def test_allowed_chains_become_the_model_written_by_hand():
    d0 = allowed_chains("D0", ["K(S)0", "pi+", "pi-"], ["rho(770)0", "K*(892)-", "f(0)(980)"])
    width = {"f(0)(980)": lambda p, m: 1 / (0.98**2 - m**2 - 1j * p["g"])}
    model = chain_model(d0, shapes=width)
    assert model.names == ("K*(892)- L=1 S=1", "rho(770)0 L=1 S=1", "f(0)(980) L=0 S=0")
    m = {"m23": np.array([0.5, 0.77, 1.1]), "m31": np.array([1.2, 1.1, 0.9])}
    m0, k, pi = (float(particle(name).mass or 0) for name in ("D0", "K(S)0", "pi+"))
    m12 = np.sqrt(m0**2 + k**2 + 2 * pi**2 - m["m23"] ** 2 - m["m31"] ** 2)

    def vector(mass, resonance, a, b, c, sigma_ac, sigma_bc):
        """Zemach's P wave of two vertices, with barriers and a Breit-Wigner."""
        q = real_breakup_momentum(mass, a, b)
        p = real_breakup_momentum(m0, mass, c)
        cosine = (sigma_bc - sigma_ac + (m0**2 - c**2) * (a**2 - b**2) / mass**2) / (4 * p * q * m0 / mass)
        line = relativistic_breit_wigner(mass, resonance.mass, resonance.width, a, b, 1)
        return np.sqrt(3) * cosine * line * blatt_weisskopf(1, q) * blatt_weisskopf(1, p)

    # Of a pair (a, b) beside c the cosine is that between a and c, and its sign that of the chain's order.
    rho = vector(m["m23"], particle("rho(770)0"), pi, pi, k, m12**2, m["m31"] ** 2)
    kstar = vector(m["m31"], particle("K*(892)-"), pi, k, pi, m["m23"] ** 2, m12**2)
    f0 = 1 / (0.98**2 - m["m23"] ** 2 - 0.2j)
    params = model.start({"rho(770)0 L=1 S=1": 0.7j, "K*(892)- L=1 S=1": 1.0, "f(0)(980) L=0 S=0": 0.5}) | {"g": 0.2}
    alone = [np.asarray(model.only(name)(params, m)) for name in model.names]
    for intensity, amplitude in zip(alone, (kstar, 0.7 * rho, 0.5 * f0), strict=True):
        np.testing.assert_allclose(intensity, abs(amplitude) ** 2, rtol=1e-10)
    both = model.only("rho*", "K*")(params, m)
    found = np.asarray(both) - alone[0] - alone[1]
    expected = 2 * (kstar * np.conj(0.7j * rho)).real
    sign = np.sign(found[0] * expected[0])
    np.testing.assert_allclose(found, sign * expected, rtol=1e-9)


def test_models_of_identical_particles_are_symmetric():
    model = chain_model(allowed_chains("D+", ["K-", "pi+", "pi+"], ["K*(892)~0", "K(0)*(1430)~0"]))
    params = model.start(0.8 + 0.3j)
    m12, m31 = np.array([0.7, 0.9, 1.3]), np.array([1.2, 1.1, 0.9])
    np.testing.assert_allclose(
        model(params, {"m12": m12, "m31": m31}), model(params, {"m12": m31, "m31": m12}), rtol=1e-12
    )


def test_models_of_spins_have_a_wave_for_each_coupling():
    chains = allowed_chains("Lambda(c)+", ["p", "K-", "pi+"], ["Lambda(1520)", "K*(892)~0"])
    model = chain_model(chains)
    assert model.names == tuple(f"{c.isobars[0].name} L={c.vertices[0].l} S={c.vertices[0].s}" for c in chains)
    assert len(model.parts) == 4
    values = model(model.start(1 + 0.5j), {"m12": np.array([1.6]), "m23": np.array([0.9])})
    other = chain_model(chains, reference=2)(model.start(1 + 0.5j), {"m12": np.array([1.6]), "m23": np.array([0.9])})
    np.testing.assert_allclose(values, other, rtol=1e-12)


def test_what_makes_no_chain_model_is_refused():
    chains = allowed_chains("D0", ["K(S)0", "pi+", "pi-"], ["rho(770)0", "K*(892)-"])
    with pytest.raises(ValueError, match="got none: see violated_rules"):
        chain_model([])
    with pytest.raises(ValueError, match="shapes names 'rho', which is none of the isobars K"):
        chain_model(chains, shapes={"rho": abs})
    with pytest.raises(ValueError, match="one decay into three particles"):
        chain_model([*chains, *allowed_chains("D+", ["K-", "pi+", "pi+"], ["K*(892)~0"])])
    with pytest.raises(ValueError, match="basis='LS'"):
        chain_model(allowed_chains("D0", ["K(S)0", "pi+", "pi-"], ["rho(770)0"], basis="helicity"))
    narrow = [replace_isobar(c, width=0.0) for c in chains]
    with pytest.raises(ValueError, match="has no mass or width in the table"):
        chain_model(narrow)


def replace_isobar(chain, **changes):
    state = replace(chain.isobars[0], particle=replace(chain.isobars[0].particle, **changes))
    return replace(chain, vertices=(chain.vertices[0], replace(chain.vertices[1], parent=state)))
