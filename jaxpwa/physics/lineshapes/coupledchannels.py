r"""A K matrix with its channels: thresholds, barriers, Adler zero, and where they enter.

.. math:: K_{ij}(s) = A\, F_i \left[ \sum_\alpha \frac{\tilde g_{\alpha i}\, \tilde g_{\alpha j}}{m_\alpha^2 - s}
          + c_{ij} \right] F_j, \quad
          P_i(s) = F_i \left[ \sum_\alpha \frac{\beta_\alpha\, \tilde g_{\alpha i}}{m_\alpha^2 - s} + b_i \right],
          \quad \tilde g_{\alpha i} = \frac{g_{\alpha i}}{|F_i(m_\alpha^2)|}

with the barriers :math:`F_i(s)` of `blatt_weisskopf`, so that :math:`g_{\alpha i}` is the coupling at the pole's mass.
The formulas are those of `jaxpwa.physics.lineshapes.kmatrix`; as barriers only stand at the channels' ends, they are
put into the loops and in front of the result.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import floating, upper_root
from jaxpwa.physics.kinematics.breakup import breakup_momentum_squared, phase_space_factor
from jaxpwa.physics.lineshapes.barriers import ONE_FERMI, blatt_weisskopf, blatt_weisskopf_squared, checked_momentum
from jaxpwa.physics.lineshapes.chewmandelstam import chew_mandelstam
from jaxpwa.physics.lineshapes.kmatrix import as_array, as_numbers, f_vector, k_matrix, t_matrix

_PHASE_SPACES = ("chew_mandelstam", "chew_mandelstam_s_wave", "rho")
_CHOICES = {"momenta": ("complex", "modulus"), "background_form": ("once", "per pole")}


def _check_shape(name: str, x: Any, expected: tuple[int, ...], meaning: str) -> None:
    if x.shape != expected:
        msg = f"{name} must have the shape {expected} = {meaning}, got {x.shape}."
        raise ValueError(msg)


def _between(ends: jax.Array, matrix: jax.Array) -> jax.Array:
    return ends[..., :, None] * matrix * ends[..., None, :]


@dataclass(frozen=True, eq=False)
class KMatrix:
    r"""A K matrix and its channels.

    All numbers may be parameters of a fit: make the record inside the model, or change some of its numbers there by
    ``dataclasses.replace``.

    Attributes
    ----------
    masses
        :math:`m_\alpha`, ``(n_poles,)``, GeV.
    couplings
        :math:`g_{\alpha i}`, real, ``(n_poles, n_channels)``, GeV.
    channels
        Masses of the two particles of every channel, GeV.
    background
        :math:`c_{ij}`, symmetric, ``(n_channels, n_channels)``, or ``(n, n_channels, n_channels)``: coefficients of
        1, s, s², ...; none if not given.
    l
        Orbital angular momentum of all channels, 0 to 8.
    q_scale
        :math:`q_R` of the barriers, GeV, a number.
    phase_space
        What stands for :math:`i \rho_i F_i^2` in the loops. ``"chew_mandelstam"`` is the function of that name with
        the barrier in its integral, and the only one without singularities below thresholds if ``l`` is above 0;
        ``"chew_mandelstam_s_wave"`` is :math:`F_i^2` times that for ``l = 0``; ``"rho"`` is :math:`i \rho_i F_i^2`
        itself. A function ``f(s, m1, m2)`` of arrays that broadcast takes the place of :math:`i \rho_i` there.
    momenta
        Below a threshold, ``"complex"`` continues :math:`F_i` analytically, where it has poles for ``l`` above 0 (at
        :math:`q^2 = -q_R^2` for ``l = 1``); ``"modulus"`` takes it at :math:`|q|`, which has none, but has a kink at
        the threshold.
    normalised
        Whether couplings are divided by :math:`|F_i|` at the mass of the pole. Then a pole at a threshold makes no
        sense for ``l`` above 0.
    background_form
        ``"once"`` is as above. With ``"per pole"``, :math:`c_{ij}` stands beside every pole between that pole's
        normalised barriers, :math:`\sum_\alpha c_{ij} / |F_i(m_\alpha^2) F_j(m_\alpha^2)|`, and so does :math:`b_i`.
    adler
        :math:`(s_0, s_n)` of a factor :math:`A = (s - s_0) / s_n` in K, GeV², or a function of s; none if not given.
        P has no such factor.
    names
        Names of the channels.

    Raises
    ------
    ValueError
        If shapes do not fit, the background is not symmetric, or a choice is not one of those above.

    Examples
    --------
    One pole in one channel is a Breit-Wigner amplitude, with ``i g² rho`` as ``i m Γ``:

    >>> from jaxpwa.physics.lineshapes.coupledchannels import KMatrix
    >>> one = KMatrix([0.77], [[0.3]], [(0.13957, 0.13957)], phase_space="rho")
    >>> complex(one.t_matrix(0.77**2)[0, 0]).imag.__round__(6)  # 1 / rho
    1.072989
    """

    masses: Any
    couplings: Any
    channels: Sequence[tuple[Any, Any]]
    background: Any = None
    l: int = 0
    q_scale: Any = ONE_FERMI
    phase_space: str | Callable[[Any, Any, Any], Any] = "chew_mandelstam"
    momenta: str = "complex"
    normalised: bool = True
    background_form: str = "once"
    adler: Any = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("masses", "couplings", "background"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, as_array(getattr(self, name)))
        n = len(self.channels)
        if self.masses.ndim != 1 or not self.masses.size or not n:
            msg = f"There must be one mass per pole and one pair of masses per channel, got {self.masses!r} and {n}."
            raise ValueError(msg)
        _check_shape("couplings", self.couplings, (self.masses.size, n), "(poles, channels)")
        self._check_background(n)
        checked_momentum(self.l)
        if len(self.names) not in (0, n):
            msg = f"names must be one for each of the {n} channels, got {self.names!r}."
            raise ValueError(msg)
        if not callable(self.phase_space) and self.phase_space not in _PHASE_SPACES:
            msg = f"phase_space must be one of {_PHASE_SPACES} or a function of s, m1, m2, got {self.phase_space!r}."
            raise ValueError(msg)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                msg = f"{name} must be one of {choices}, got {getattr(self, name)!r}."
                raise ValueError(msg)

    def _check_background(self, n: int) -> None:
        c = self.background
        if c is None:
            return
        shape = (n, n) if c.ndim < 3 else (c.shape[0], n, n)
        _check_shape("background", c, shape, "(channels, channels), of each power of s if there are three axes")
        if isinstance(c, np.ndarray) and not np.array_equal(c, np.swapaxes(c, -1, -2)):
            msg = f"background must be symmetric, got {c!r}: give both c_ij and c_ji."
            raise ValueError(msg)

    def _channels(self, s: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return s and the channels' masses, of shapes that broadcast to ``(..., n_channels)``."""
        m1, m2 = (as_numbers([pair[k] for pair in self.channels], s) for k in (0, 1))
        before = tuple(range(s.ndim))
        return s[..., None], jnp.expand_dims(m1, before), jnp.expand_dims(m2, before)

    def _z(self, s: jax.Array) -> jax.Array:
        """Return (q / q_R)^2 of all channels, or its absolute value."""
        z = breakup_momentum_squared(*self._channels(s)) / self.q_scale**2
        return jnp.abs(z) if self.momenta == "modulus" else z

    def _weights(self, like: jax.Array) -> jax.Array:
        """Return 1 / |F_i(m_a^2)|, ``(n_poles, n_channels)``."""
        m = as_numbers(self.masses, like)
        if not self.l or not self.normalised:
            return jnp.ones((m.size, len(self.channels)), m.dtype)
        return jnp.abs(blatt_weisskopf_squared(self.l, self._z(m**2))) ** -0.5

    def _bare(self, s: jax.Array) -> tuple[Any, Any, Any]:
        """Return masses, couplings and background without the barriers at the mass of an event."""
        weights = self._weights(s)
        couplings = as_numbers(self.couplings, s) * weights
        if self.background is None:
            return self.masses, couplings, None
        c = as_numbers(self.background, s)
        if self.background_form == "per pole":
            factor = jnp.sum(weights[:, :, None] * weights[:, None, :], axis=0)
            c = c * jnp.broadcast_to(factor, c.shape)
        if c.ndim == 3:
            c = sum(s[..., None, None] ** k * jnp.expand_dims(c[k], tuple(range(s.ndim))) for k in range(c.shape[0]))
        return self.masses, couplings, c

    def _adler(self, s: jax.Array) -> Any:
        if self.adler is None or callable(self.adler):
            return jnp.ones_like(s) if self.adler is None else self.adler(s)
        zero, norm = self.adler
        return (s - zero) / norm

    def barriers(self, s: ArrayLike) -> jax.Array:
        """Return the barriers F of all channels.

        Parameters
        ----------
        s
            Invariant mass squared, GeV², any shape ``(...)``, not 0 if ``l`` is above 0.

        Returns
        -------
        ``(..., n_channels)``, complex; 1 for ``l = 0``.
        """
        s = floating(s)
        if not self.l:
            return jnp.ones((*s.shape, len(self.channels)), (s + 0j).dtype)
        return blatt_weisskopf(self.l, upper_root(self._z(s)), 1.0)

    def loops(self, s: ArrayLike, sheets: Sequence[int] | None = None) -> jax.Array:
        r"""Return what stands for :math:`i \rho_i F_i^2` of all channels.

        Parameters
        ----------
        s
            Invariant mass squared, GeV², any shape ``(...)``; real numbers are on the upper side of the cuts.
        sheets
            1 or 2 for every channel, as in `chew_mandelstam`; the physical sheet if not given.

        Returns
        -------
        Complex, ``(..., n_channels)``.

        Raises
        ------
        ValueError
            If sheets are not 1 or 2 for every channel, or 2 with a function as ``phase_space``.
        """
        s = floating(s)
        n = len(self.channels)
        sheets = (1,) * n if sheets is None else tuple(sheets)
        if len(sheets) != n or not set(sheets) <= {1, 2} or (callable(self.phase_space) and 2 in sheets):
            msg = f"sheets must be 1 or 2 for each of {n} channels, and 1 for a function as phase_space, got {sheets}."
            raise ValueError(msg)
        squares = blatt_weisskopf_squared(self.l, self._z(s)) if self.l else 1.0
        if callable(self.phase_space):
            value = self.phase_space(*self._channels(s)) * squares
        elif self.phase_space == "rho":
            value = 1j * phase_space_factor(*self._channels(s)) * squares
        elif self.l and self.phase_space == "chew_mandelstam":
            value = jnp.stack([chew_mandelstam(s, *pair, self.l, self.q_scale) for pair in self.channels], axis=-1)
        else:
            value = chew_mandelstam(*self._channels(s)) * squares
        if 2 in sheets:
            second = as_numbers([float(sheet == 2) for sheet in sheets], s)
            rho = phase_space_factor(*self._channels(s)) * squares
            value = value - 2j * jnp.expand_dims(second, tuple(range(s.ndim))) * rho
        return value

    def k_matrix(self, s: ArrayLike) -> jax.Array:
        """Return K itself.

        Parameters
        ----------
        s
            Invariant mass squared, GeV², any shape ``(...)``, real or complex.

        Returns
        -------
        Complex, ``(..., n_channels, n_channels)``; real above all thresholds. Infinite at poles.
        """
        s = floating(s)
        return _between(self.barriers(s), k_matrix(s, *self._bare(s))) * self._adler(s)[..., None, None]

    def t_matrix(self, s: ArrayLike, sheets: Sequence[int] | None = None) -> jax.Array:
        r"""Return the scattering amplitude, :math:`T = (1 - K \Sigma)^{-1} K`.

        Parameters
        ----------
        s, sheets
            As in `loops`.

        Returns
        -------
        Complex, ``(..., n_channels, n_channels)``, symmetric; regular at the masses of poles.
        """
        s = floating(s)
        factor = self._adler(s)
        masses, couplings, background = self._bare(s)
        inner = t_matrix(s, masses, couplings, self.loops(s, sheets) * factor[..., None], background)
        return _between(self.barriers(s), inner) * factor[..., None, None]

    def f_vector(
        self,
        s: ArrayLike,
        betas: ArrayLike,
        production: ArrayLike | None = None,
        *,
        channel: int | str | None = None,
        sheets: Sequence[int] | None = None,
    ) -> jax.Array:
        r"""Return the production amplitude, :math:`F = (1 - K \Sigma)^{-1} P`.

        Parameters
        ----------
        s, sheets
            As in `loops`.
        betas
            :math:`\beta_\alpha`, complex, ``(n_poles,)`` or a list of numbers: how much of each pole is produced.
        production
            :math:`b_i`, complex, ``(n_channels,)`` or ``(..., n_channels)``: production not by poles, if any.
        channel
            Index or name of the only channel that is wanted.

        Returns
        -------
        Complex, ``(..., n_channels)``, or ``(...)`` of one channel; linear in ``betas`` and ``production``.

        Raises
        ------
        ValueError
            If there is not one number in ``betas`` per pole, or no such channel.
        """
        s = floating(s)
        betas = as_array(betas)
        _check_shape("betas", betas, self.masses.shape, "(poles,)")
        index = None if channel is None else self._index(channel)
        masses, couplings, background = self._bare(s)
        if production is not None and self.background_form == "per pole":
            production = as_numbers(as_array(production), s)
            total = jnp.sum(self._weights(s), axis=0)
            production = production * jnp.expand_dims(total, tuple(range(production.ndim - 1)))
        loops = self.loops(s, sheets) * self._adler(s)[..., None]
        inner = f_vector(s, masses, couplings, loops, betas, background, production, channel=index)
        ends = self.barriers(s)
        return inner * (ends if index is None else ends[..., index])

    def _index(self, channel: int | str) -> int:
        n = len(self.channels)
        if isinstance(channel, str) and channel in self.names:
            return self.names.index(channel)
        if isinstance(channel, bool) or not isinstance(channel, int) or not 0 <= channel < n:
            msg = f"channel must be an index below {n} or one of {self.names}, got {channel!r}."
            raise ValueError(msg)
        return channel

    def production_amplitude(
        self, mass: ArrayLike, betas: ArrayLike, channel: int | str, production: ArrayLike | None = None
    ) -> jax.Array:
        """Return the production amplitude of one channel as a function of its mass.

        Parameters
        ----------
        mass
            Invariant mass, GeV, real, any shape ``(...)``.
        betas, channel, production
            As in `f_vector`.

        Returns
        -------
        Complex, ``(...)``.
        """
        return self.f_vector(floating(mass) ** 2, betas, production, channel=channel)
