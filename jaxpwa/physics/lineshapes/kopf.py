r"""K matrices of light mesons from the coupled-channel analysis of Kopf et al.

.. math:: K_{ij} = A \sum_\alpha B_{\alpha i} \left( \frac{g_{\alpha i}\, g_{\alpha j}}{m_\alpha^2 - s} + c_{ij} \right)
          B_{\alpha j}, \quad F = (1 + K C)^{-1} P, \quad
          P_i = \sum_\alpha B_{\alpha i} \left( \frac{\beta_\alpha\, g_{\alpha i}}{m_\alpha^2 - s} + b_i \right)

with :math:`B_{\alpha i} = F_l(|q_i(s)|) / F_l(|q_i(m_\alpha^2)|)`, :math:`q_R = 0.1973` GeV, and :math:`C = -` the
S-wave `chew_mandelstam`, 0 at the threshold. The background stands beside every pole, so that it counts as many times
as there are poles; the Adler zero of the f0 is in K and not in P. This is read from the authors' scripts for f0, f2 and
pi1 and the class behind them, which agree; of the paper only the abstract was at hand. Below thresholds the scripts
have :math:`|q|`, versions of the class a continuation (``momenta="complex"``).

Couplings, backgrounds and masses of poles are the five digits of the paper's tables as other programs copied them;
those of f0, f2 and pi1 are the scripts' long numbers, cut, and so is 1.97000 for the fourth f2. Daughters' masses are
the scripts'. Other programs differ:

* halld_sim and laddu take neutral pions and slightly other kaons everywhere, and 1.96700 for the fourth f2: that is
  `KOPF_GLUEX`.
* laddu has 1.04595 for the coupling of the pi1 to :math:`\pi \eta'`, where the authors have 1.04695. Its version 0.15
  has no barriers at the background; later ones continue barriers below thresholds.
* halld_sim has barriers of a D wave for the rho, and none for the pi1.

References
----------
B. Kopf et al., Eur. Phys. J. C 81 (2021) 1056.
B. Kopf, M. Küßner et al., Pawian: scripts KmatUtils, Kmatf0, Kmatf2, KmatPi11600 and PVecCOMPASSPi11600, and the class
KMatrixRelBg.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from jaxpwa.physics.lineshapes.coupledchannels import KMatrix


def _symmetric(*rows: tuple[float, ...]) -> np.ndarray:
    """Return a symmetric matrix from the rows of its lower triangle."""
    n = len(rows)
    lower = np.array([[*row, *[0.0] * (n - len(row))] for row in rows])
    return lower + np.tril(lower, -1).T


_PI, _TWO_PI, _KPLUS, _K0, _ETA, _ETA_PRIME = 0.13957, 0.26996, 0.49367, 0.497614, 0.547862, 0.95778
_PAIRS = {
    "pi pi": (_PI, _PI),
    "2pi 2pi": (_TWO_PI, _TWO_PI),
    "K K": (_KPLUS, _K0),
    "eta eta": (_ETA, _ETA),
    "eta eta'": (_ETA, _ETA_PRIME),
    "pi eta": (_PI, _ETA),
    "pi eta'": (_PI, _ETA_PRIME),
}
_PI0 = 0.1349768
_GLUEX_PAIRS = {
    "pi pi": (_PI0, _PI0),
    "2pi 2pi": (2 * _PI0, 2 * _PI0),
    "K K": (0.493677, 0.497611),
    "pi eta": (_PI0, _ETA),
    "pi eta'": (_PI0, _ETA_PRIME),
}


def _wave(
    l: int,
    names: tuple[str, ...],
    poles: Mapping[float, tuple[float, ...]],
    background: np.ndarray | None,
    adler: tuple[float, float] | None = None,
) -> KMatrix:
    return KMatrix(
        masses=np.array(list(poles)),
        couplings=np.array(list(poles.values())),
        channels=tuple(_PAIRS[name] for name in names),
        background=background,
        l=l,
        phase_space="chew_mandelstam_s_wave",
        momenta="modulus",
        background_form="per pole",
        adler=adler,
        names=names,
    )


KOPF: Mapping[str, KMatrix] = MappingProxyType(
    {
        "f0": _wave(
            0,
            ("pi pi", "2pi 2pi", "K K", "eta eta", "eta eta'"),
            {
                0.51461: (0.74987, -0.01257, 0.27536, -0.15102, 0.36103),
                0.90630: (0.06401, 0.00204, 0.77413, 0.50999, 0.13112),
                1.23089: (-0.23417, -0.01032, 0.72283, 0.11934, 0.36792),
                1.46104: (0.01270, 0.26700, 0.09214, 0.02742, -0.04025),
                1.69611: (-0.14242, 0.22780, 0.15981, 0.16272, -0.17397),
            },
            _symmetric(
                (0.03728,),
                (0.0, 0.0),
                (-0.01398, 0.0, 0.02349),
                (-0.02203, 0.0, 0.03101, -0.13769),
                (0.01397, 0.0, -0.04003, -0.06722, -0.28401),
            ),
            adler=(0.0091125, 1.0),
        ),
        "f2": _wave(
            2,
            ("pi pi", "2pi 2pi", "K K", "eta eta"),
            {
                1.15299: (0.40033, 0.15479, -0.08900, -0.00113),
                1.48359: (0.01820, 0.17300, 0.32393, 0.15256),
                1.72923: (-0.06709, 0.22941, -0.43133, 0.23721),
                1.97000: (-0.49924, 0.19295, 0.27975, -0.03987),
            },
            _symmetric((-0.04319,), (0.0, 0.0), (0.00984, 0.0, -0.07344), (0.01028, 0.0, 0.05533, -0.05183)),
        ),
        "a0": _wave(0, ("pi eta", "K K"), {0.95395: (0.43215, -0.28825), 1.26767: (0.19000, 0.43372)}, background=None),
        "a2": _wave(
            2,
            ("pi eta", "K K", "pi eta'"),
            {1.30080: (0.30073, 0.21426, -0.09162), 1.75351: (0.68567, 0.12543, 0.00184)},
            _symmetric((-0.40184,), (0.00033, -0.21416), (-0.08707, -0.06193, -0.17435)),
        ),
        "rho": _wave(
            1,
            ("pi pi", "2pi 2pi", "K K"),
            {0.71093: (0.28023, 0.01806, 0.06501), 1.58660: (0.16318, 0.53879, 0.00495)},
            _symmetric((-0.06948,), (0.0, 0.0), (0.07958, 0.0, -0.60000)),
        ),
        "pi1": _wave(
            1, ("pi eta", "pi eta'"), {1.38552: (0.80564, 1.04695)}, _symmetric((1.05000,), (0.15163, -0.24611))
        ),
    }
)
r"""K matrices by wave: ``"f0"``, ``"f2"``, ``"a0"``, ``"a2"``, ``"rho"`` and ``"pi1"``.

Poles are in the order of their masses: f0(500), f0(980), f0(1370), f0(1500), f0(1710); f2(1270), f2'(1525), f2(1810),
f2(1950); a0(980), a0(1450); a2(1320), a2(1700); rho(770), rho(1700); pi1(1600). Names of channels are in ``names``;
2pi 2pi stands for all that decays into four pions.
"""


def _as_in_gluex(wave: KMatrix) -> KMatrix:
    pairs = _PAIRS | _GLUEX_PAIRS
    masses = np.where(wave.masses == 1.97000, 1.96700, wave.masses)
    return replace(wave, masses=masses, channels=tuple(pairs[name] for name in wave.names))


KOPF_GLUEX: Mapping[str, KMatrix] = MappingProxyType({name: _as_in_gluex(wave) for name, wave in KOPF.items()})
"""The same with the masses that halld_sim and laddu take."""
