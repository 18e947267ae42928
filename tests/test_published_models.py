"""LHCb's model of Lambda_c+ -> p pi+ K-, published with numbers by two projects, rebuilt from the library's parts.

RUB-EP1/amplitude-serialization has the intensity at one point, ComPWA/polarimetry the amplitudes of all chains as
LHCb's own code gives them. Particles are 1 = p, 2 = pi, 3 = K. Couplings, masses and widths are read from the files.
"""

import json
import re
from math import sqrt

import numpy as np
import pytest

import jax.numpy as jnp

from jaxpwa.physics.kinematics.breakup import real_breakup_momentum
from jaxpwa.physics.kinematics.threebody import invariants_of_angle, pair
from jaxpwa.physics.lineshapes.barriers import blatt_weisskopf
from jaxpwa.physics.lineshapes.breitwigner import bugg_breit_wigner, relativistic_breit_wigner
from jaxpwa.physics.lineshapes.multichannel import flatte
from jaxpwa.physics.waves.isobar_models import IsobarAmplitude, isobar_model
from jaxpwa.physics.waves.isobars import LS, Chain, Helicities, ThreeBodyDecay
from jaxpwa.physics.waves.vertices import parity_factor

PROTON, PION, KAON, SIGMA = 0.938272046, 0.13957018, 0.493677, 1.18937
MASS, MASSES = 2.28646, (PROTON, PION, KAON)
LAMBDA_C = ThreeBodyDecay(MASS, MASSES, 0.5, (0.5, 0, 0))
COLUMNS = ("m23", "m31", "m12")
ADLER_ZERO = KAON**2 - PION**2 / 2


def number(text):
    """A complex number or a fraction, as the files spell them."""
    text = str(text).replace(" ", "").replace("i", "j")
    return complex(text) if "/" not in text else complex(int(text.split("/")[0]) / int(text.split("/")[1]))


def half(text):
    return number(text).real


# amplitude-serialization ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def serialized(shared_data):
    return json.loads((shared_data / "amplitude_serialization" / "lc2ppik-lhcb-2683025.json").read_text())


def shape_of(function):
    """Line shape of the mass, from its record."""
    if function["type"] == "BreitWigner":
        names = {"mass0": "mass", "width": "width", "m1": "ma", "m2": "mb", "l": "l"}
        arguments = {name: function[key] for name, key in names.items()}
        return lambda p, m: relativistic_breit_wigner(m, q_scale=1 / function["d"], **arguments)
    if function["type"] == "MultichannelBreitWigner":
        channels, mass = function["channels"], function["mass"]
        assert all(channel["l"] == 0 for channel in channels)
        couplings = [sqrt(mass * channel["gsq"]) for channel in channels]
        return lambda p, m: flatte(m, mass, couplings, [(channel["ma"], channel["mb"]) for channel in channels])
    form = r"1/\((\S+)\^2 - σ - i \* (\S+) \* \(σ - (\S+)\) / \((\S+)\^2 - (\S+)\) \* (\S+) \* exp\(-(\S+) \* σ\)\)"
    mass, again, zero, third, zero_again, width, slope = map(float, re.fullmatch(form, function["expression"]).groups())
    assert mass == again == third
    assert zero == zero_again == pytest.approx(ADLER_ZERO, rel=1e-14)
    return lambda p, m: bugg_breit_wigner(m, mass, width, slope, zero)


def form_factor(function, momentum):
    """Barrier that is 1 far away from the threshold: the library's is 1 at q = q_R."""
    far = {1: sqrt(2), 2: sqrt(13)}[function["l"]]
    return blatt_weisskopf(function["l"], momentum, 1 / function["radius"]) / far


def vertex_of(record):
    mirrored = int(record.get("parity_factor", "0") + "1") if record["type"] == "parity" else 0
    return Helicities(*map(half, record["helicities"]), mirrored)


def chain_of(record, index, functions):
    (i, j), k = record["topology"]
    assert (i, j) == pair(k)
    (propagator,) = record["propagators"]
    decay = next(vertex for vertex in record["vertices"] if vertex["node"] == [i, j])
    production = next(vertex for vertex in record["vertices"] if vertex["node"] == [[i, j], k])
    bare = shape_of(functions[propagator["parametrization"]])
    masses = dict(enumerate(MASSES, 1))

    def shape(p, m):
        out = bare(p, m)
        if decay["formfactor"]:
            out *= form_factor(functions[decay["formfactor"]], real_breakup_momentum(m, masses[i], masses[j]))
        if production["formfactor"]:
            momentum = real_breakup_momentum(MASS, m, masses[k])
            out *= form_factor(functions[production["formfactor"]], momentum)
        return out

    spin = half(propagator["spin"])
    return Chain(f"{record['name']} {index}", k, spin, shape, vertex_of(production), vertex_of(decay))


@pytest.fixture(scope="module")
def rebuilt(serialized):
    (model,) = serialized["distributions"]
    particles = model["decay_description"]["kinematics"]["final_state"]
    assert tuple(particle["mass"] for particle in particles) == MASSES
    functions = {function["name"]: function for function in serialized["functions"]}
    records = model["decay_description"]["chains"]
    chains = [chain_of(record, index, functions) for index, record in enumerate(records)]
    couplings = {chain.name: number(record["weight"]) for chain, record in zip(chains, records, strict=True)}
    return chains, couplings


def checksum(serialized, name):
    return next(c for c in serialized["misc"]["amplitude_model_checksums"] if c["distribution"] == name)


def point(serialized, name):
    (found,) = (p for p in serialized["parameter_points"] if p["name"] == name)
    return {parameter["name"]: parameter["value"] for parameter in found["parameters"]}


def test_line_shapes_have_their_published_checksums(serialized):
    functions = {function["name"]: function for function in serialized["functions"]}
    checked = [c for c in serialized["misc"]["amplitude_model_checksums"] if c["distribution"] in functions]
    assert len(checked) == 10
    for check in checked:
        (squared,) = point(serialized, check["point"]).values()
        got = complex(shape_of(functions[check["distribution"]])({}, np.sqrt(squared)))
        assert got == pytest.approx(number(check["value"]), rel=1e-12), check["distribution"]


@pytest.mark.parametrize("reference", [1, 2, 3])
def test_the_intensity_of_all_26_chains_has_its_published_checksum(serialized, rebuilt, reference):
    chains, couplings = rebuilt
    assert len(chains) == 26
    at = point(serialized, "validation_point")
    sigma = invariants_of_angle(at["m_31_2"], MASSES, 2, at["m_31"] ** 2, at["cos_theta_31"])
    data = {name: jnp.sqrt(s) for name, s in zip(COLUMNS, sigma, strict=True)}
    model = isobar_model(LAMBDA_C, chains, reference=reference)
    got = float(model(model.start(couplings), data))
    assert got == pytest.approx(checksum(serialized, "default_model")["value"], rel=1e-12)


# ComPWA/polarimetry --------------------------------------------------------------------------------------------------


def entries(text, indent):
    """Key and value of the lines of a YAML mapping of one depth."""
    return re.findall(rf"^ {{{indent}}}(\S.*?): *(.*)$", text, re.MULTILINE)


def block(text, title):
    """Lines below the title of a mapping that starts in the first column."""
    return re.split(r"^\S.*:\n", text.split(f"{title}:\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.fixture(scope="module")
def polarimetry(shared_data):
    return shared_data / "compwa_polarimetry"


@pytest.fixture(scope="module")
def crosscheck(polarimetry):
    return json.loads((polarimetry / "crosscheck.json").read_text())


def published(polarimetry, title):
    """Quantum numbers, line shapes and central values of one of the models."""
    text = block((polarimetry / "model-definitions.yaml").read_text(), title)
    shapes, values = text.split("  parameters:\n")
    parameters = {key: float(value.split(" ")[0]) for key, value in entries(values, 4) if "±" in value}
    resonances = {}
    for name, kind in entries(shapes, 4):
        record = dict(entries(block((polarimetry / "particle-definitions.yaml").read_text(), name), 2))
        spin, parity = half(record["jp"].split("^")[0]), int(record["jp"][-1] + "1")
        mass, width = (
            parameters[f"{letter}{name}"] if f"{letter}{name}" in parameters else float(record[key]) / 1000
            for letter, key in (("M", "mass"), ("G", "width"))
        )
        resonances[name] = (spin, parity, mass, width, kind.split("_")[0])
    return resonances, parameters


SPECTATOR = {"K": 1, "L": 2, "D": 3}
PARITY = {1: 1, 2: -1, 3: -1}


def lhcb_shape(resonances, parameters, name, l_production=None):
    """LHCb's line shape with barriers that are 1 at the mass of the resonance."""
    spin, parity, mass, width, kind = resonances[name]
    k = SPECTATOR[name[0]]
    i, j = pair(k)
    masses = dict(enumerate(MASSES, 1))
    if kind == "BuggBreitWignerMinL":
        return lambda p, m: bugg_breit_wigner(m, mass, width, parameters[f"gamma{name}"], ADLER_ZERO)
    if name[0] == "K":
        l = int(spin)
        first = 0
    else:
        first = int(spin - 0.5)
        l = first if parity == -PARITY[1] * (-1) ** first * 1 else first + 1
    l_production = first if l_production is None else l_production

    def barrier(l, radius, momentum, m):
        ends = (blatt_weisskopf(l, momentum(at), 1 / radius) for at in (m, mass))
        return next(ends) / next(ends)

    if kind == "Flatte1405":
        coupling = sqrt(mass**2 * width / (2 * float(real_breakup_momentum(mass, SIGMA, PION))))

    def shape(p, m):
        produced = barrier(l_production, 5.0, lambda at: real_breakup_momentum(MASS, at, masses[k]), m)
        if kind == "Flatte1405":
            return produced * flatte(m, mass, [coupling] * 2, [(PROTON, KAON), (SIGMA, PION)])
        decayed = barrier(l, 1.5, lambda at: real_breakup_momentum(at, masses[i], masses[j]), m)
        return produced * decayed * relativistic_breit_wigner(m, mass, width, masses[i], masses[j], l, 1 / 1.5)

    return shape


def decay_vertex(name, spin, parity):
    if name[0] == "K":
        return Helicities()
    i, j = pair(SPECTATOR[name[0]])
    eta = parity_factor(parity, PARITY[i], PARITY[j], spin, LAMBDA_C.spin_of(i), LAMBDA_C.spin_of(j))
    return Helicities(0.5, 0, eta) if i == 1 else Helicities(0, 0.5, eta)


def helicity_pair(name, spin, number_of_coupling):
    if name[0] in "DL":
        return {1: (-0.5, 0), 2: (0.5, 0)}[number_of_coupling]
    if spin == 0:
        return {1: (0, 0.5), 2: (0, -0.5)}[number_of_coupling]
    return {1: (0, -0.5), 2: (-1, -0.5), 3: (1, 0.5), 4: (0, 0.5)}[number_of_coupling]


def ls_pair(name, spin, number_of_coupling):
    if name[0] in "DL":
        return round(spin - 0.5) + number_of_coupling - 1, spin
    return {1: (0, 0.5), 2: (1, 0.5), 3: (1, 1.5), 4: (2, 1.5)}[number_of_coupling]


def lhcb_sign(name, spin, parity):
    """What the convention of LHCb's couplings differs by, as polarimetry has found it."""
    return {"K": 1, "L": -parity, "D": -parity * (-1) ** round(spin - 0.5)}[name[0]]


def chain_of_coupling(resonances, parameters, key, ls=False):
    """Chain that belongs to a coupling, ArD(1232)2 for instance, in the normalisation of polarimetry."""
    name, coupling = key[2:-1], int(key[-1])
    spin, parity, *_ = resonances[name]
    produced = LS(*ls_pair(name, spin, coupling)) if ls else Helicities(*helicity_pair(name, spin, coupling))
    shape = lhcb_shape(resonances, parameters, name, produced.l if ls else None)
    sign = lhcb_sign(name, spin, parity)
    if ls and not (name[0] == "K" and spin == 0):
        # LHCb couples the spins in the other order.
        sign *= (-1) ** (coupling - 1)
    vertex = decay_vertex(name, spin, parity)
    plain = sign / sqrt(2 * spin + 1)
    return Chain(key[2:], SPECTATOR[name[0]], spin, lambda p, m: plain * shape(p, m), produced, vertex)


def compared(crosscheck, which, resonances, parameters):
    variables = crosscheck["chainvars"]
    data = {n: np.sqrt(variables[v]) for n, v in zip(COLUMNS, ("m2kpi", "m2pk", "m2ppi"), strict=True)}
    keys = [key for key in crosscheck[which] if key.startswith("Ar")]
    for key in keys:
        chain = chain_of_coupling(resonances, parameters, key, ls=which == "chains_LS")
        for signs, value in crosscheck[which][key].items():
            projection, helicity = (0.5 if sign == "+" else -0.5 for sign in signs[1:])
            # LHCb counts the helicity of the proton the other way round, without the sign of a second particle.
            amplitude = IsobarAmplitude(LAMBDA_C, (chain,), projection, (-helicity, 0, 0))
            got = complex(amplitude({}, data)) * (-1) ** round(0.5 + helicity)
            yield f"{key} {signs}", got, complex(value)
            if f"Ai{key[2:]}" in crosscheck[which]:
                yield f"Ai {signs}", 1j * got, complex(crosscheck[which][f"Ai{key[2:]}"][signs])


def test_lhcb_line_shapes_are_those_of_the_cross_check(polarimetry, crosscheck):
    resonances, parameters = published(polarimetry, "Default amplitude model")
    masses = {"K": "m2kpi", "L": "m2pk"}
    for key, value in crosscheck["lineshapes"].items():
        name = key.split("_")[1]
        m = np.sqrt(crosscheck["mainvars"][masses[name[0]]])
        assert complex(lhcb_shape(resonances, parameters, name)({}, m)) == pytest.approx(complex(value), rel=1e-12)


@pytest.mark.parametrize(
    ("which", "title", "n"),
    [
        ("chains", "Default amplitude model", 26 + 24),
        ("chains_LS", "Alternative amplitude model obtained using LS couplings", 26),
    ],
)
def test_every_chain_has_lhcbs_amplitudes(polarimetry, crosscheck, which, title, n):
    pairs = list(compared(crosscheck, which, *published(polarimetry, title)))
    assert len(pairs) == 4 * n
    assert sum(value != 0 for _, _, value in pairs) > 2 * n
    for name, got, value in pairs:
        assert got == pytest.approx(value, rel=1e-12, abs=1e-14), name


def test_fit_fractions_are_the_published_ones(polarimetry):
    """Rates of LHCb, arXiv:2208.03262, in percent, to the digits that they are given with."""
    resonances, parameters = published(polarimetry, "Default amplitude model")
    keys = [key for key in parameters if key.startswith("Ar")]
    chains = [chain_of_coupling(resonances, parameters, key) for key in keys]
    model = isobar_model(LAMBDA_C, chains)
    couplings = {key[2:]: complex(parameters[key], parameters[f"Ai{key[2:]}"]) for key in keys}
    params = model.start(couplings)
    # Over the Dalitz plot in m(Kp), fine enough for the narrow Lambda(1520), and the cosine of its decay angle.
    low, high = KAON + PROTON, MASS - PION
    m = low + (high - low) * (np.arange(240) + 0.5) / 240
    nodes, weights = np.polynomial.legendre.leggauss(24)
    m, cosine = (a.ravel() for a in np.meshgrid(m, nodes, indexing="ij"))
    sigma = invariants_of_angle(MASS, MASSES, 2, m**2, cosine)
    data = {name: jnp.sqrt(s) for name, s in zip(COLUMNS, sigma, strict=True)}
    momenta = real_breakup_momentum(MASS, m, PION) * real_breakup_momentum(m, KAON, PROTON)
    area = np.tile(weights, 240) * np.asarray(momenta)
    text = (polarimetry / "observable-references.yaml").read_text().split("  rate:\n")[1].split("\nPoint")[0]
    rates = {name: float(value.split(" ")[0]) for name, value in entries(text, 4)}
    total = area @ np.asarray(model(params, data))
    assert rates.keys() == resonances.keys()
    for name, rate in rates.items():
        got = 100 * area @ np.asarray(model.only(f"{name}*")(params, data)) / total
        assert got == pytest.approx(rate, abs=0.05), name
