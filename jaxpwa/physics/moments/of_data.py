r"""Moments of events: plain, weighted, and corrected for the acceptance, with their covariance.

What the moments are, with their signs and normalisation, stands in `jaxpwa.physics.moments.expansion`. Of data they
are in numbers of events: H0(0,0) is the sum of the weights, or what it would have been without losses. Use
`Moments.normalised` to compare with the moments of a model.

Notes
-----
The events are taken as a Poisson process, so their number has an error, too:

.. math:: T = \sum_i w_i f(x_i), \qquad V = \sum_i w_i^2\, f(x_i) f(x_i)^T

for every vector f of functions, whatever the weights, negative ones of a subtracted background included; the weights
themselves count as known. For a fixed number of events the errors are those of `Moments.normalised`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa._checks import check_length, first_bad
from jaxpwa.physics._arrays import floating
from jaxpwa.physics.moments.expansion import Moments, expansion_weights, moment_functions, moment_indices

_BLOCK = 1 << 14  # events whose functions are in memory at one time


class Events(NamedTuple):
    """Columns ``(events,)`` that moments need; ``Phi`` and ``polarisation`` may be None, both."""

    costheta: jax.Array
    phi: jax.Array
    Phi: jax.Array | None
    polarisation: jax.Array | None
    weights: jax.Array


def _unknown(value: Any) -> bool:
    """Whether it is only known inside jit, where nothing can be checked."""
    return isinstance(value, jax.core.Tracer)  # pyright: ignore[reportAttributeAccessIssue]


def _column(name: str, values: Any, n: int | None, good: Any = np.isfinite, must: str = "be finite") -> jax.Array:
    """Return one number per event, or say which can't be."""
    column = floating(values)
    if column.ndim != 1:
        msg = f"{name} must have shape (events,), got shape {column.shape}."
        raise ValueError(msg)
    check_length(name, len(column), "event", len(column) if n is None else n)
    if not _unknown(column):
        bad = ~good(np.asarray(column))
        if bad.any():
            event = first_bad(bad)
            msg = f"{name} must {must}: got {column[event]} at event {event}, and {bad.sum()} such in all."
            raise ValueError(msg)
    return column


def _events(costheta: Any, phi: Any, Phi: Any, polarisation: Any, weights: Any) -> Events:
    """Check what is known of the columns and return them."""
    # Rounding may carry a cosine over 1.
    c = _column("costheta", costheta, None, lambda x: np.abs(x) <= 1 + 1e-6, "be a cosine, from -1 to 1")
    n = len(c)
    if not n:
        msg = "moments need at least one event, got none."
        raise ValueError(msg)
    angle = None if Phi is None else _column("Phi", Phi, n)
    p = None
    if polarisation is not None:
        p = jnp.full_like(c, polarisation) if jnp.ndim(polarisation) == 0 else polarisation
        p = _column("polarisation", p, n, lambda x: np.abs(x) <= 1, "be a fraction, from -1 to 1")
    w = jnp.ones_like(c) if weights is None else _column("weights", weights, n)
    return Events(c, _column("phi", phi, n), angle, p, w)


@cache
def _step(lmax: int, polarised: bool) -> Callable[[Any, Any], Any]:
    """Return the step of `_sums` over blocks; one function per case, so that JAX compiles the loop once."""

    def step(carry: Any, block: tuple[Events, jax.Array]) -> tuple[Any, None]:
        totals, gram, response = carry
        c, phi, angle, p, weights = block[0]
        rows = moment_functions(c, phi, lmax, Phi=angle, polarisation=p)
        if p is not None:
            rows = jnp.concatenate([rows, p[None] ** 2])
        seconds = block[1] * jnp.matmul(response, rows, precision="highest") ** 2
        totals = totals + jnp.matmul(rows, weights, precision="highest")
        return (totals, gram + jnp.matmul(rows * seconds[None], rows.T, precision="highest"), response), None

    return step


def _sums(
    events: Events, lmax: int, seconds: jax.Array, response: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Return sum w f and sum w2 (r f)^2 f f^T, with w2 of ``seconds`` and r f = 1 without a ``response`` r.

    The functions f are those of the moments and, with polarisation, P squared after them.
    """
    n, polarised = len(events.costheta), events.polarisation is not None
    size = len(moment_indices(lmax, polarised=polarised)) + polarised
    # Samples of similar lengths share a compilation; what fills up the last block has weight 0.
    block = min(_BLOCK, 1 << (n - 1).bit_length())
    filled = -n % block
    blocks = jax.tree.map(lambda c: jnp.pad(c, (0, filled)).reshape(-1, block), (events, seconds))
    kind = jnp.result_type(*jax.tree.leaves(blocks))
    # The first function is 1.
    first = jnp.zeros(size, kind).at[0].set(1)
    vector = first if response is None else jnp.pad(response.astype(kind), (0, size - len(response)))
    carry = (jnp.zeros(size, kind), jnp.zeros((size, size), kind), vector)
    (totals, gram, _), _ = jax.lax.scan(_step(lmax, polarised), carry, blocks)
    return totals, gram


def _scales(mean_square: jax.Array | None, lmax: int, dtype: Any) -> jax.Array:
    """Return 1 for alpha 0 and 2 over the mean square of the polarisation for the others, ``(moments,)``."""
    indices = moment_indices(lmax, polarised=mean_square is not None)
    if mean_square is None:
        return jnp.ones(len(indices), dtype)
    return jnp.where(np.array([alpha > 0 for alpha, _, _ in indices]), (2 / mean_square).astype(dtype), 1.0)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["matrix", "mean_square", "n_generated", "events"],
    meta_fields=["lmax"],
)
@dataclass(frozen=True, eq=False)
class Acceptance:
    """How losses mix the moments, from accepted phase-space Monte Carlo; see `acceptance_matrix`.

    Attributes
    ----------
    lmax
        Highest L.
    matrix
        ``(moments, moments)``: measured moments are this times the true ones. Without losses the unit matrix.
    mean_square
        Mean square of the polarisation; None without polarisation.
    n_generated
        Events generated.
    events
        The accepted Monte Carlo, whose own statistical error is computed when moments are.
    """

    lmax: int
    matrix: jax.Array
    mean_square: jax.Array | None
    n_generated: float
    events: Events

    @property
    def condition(self) -> jax.Array:
        """Condition number of the matrix, 1 for uniform acceptance: the most by which relative errors can grow."""
        return jnp.linalg.cond(self.matrix)


def acceptance_matrix(
    costheta: ArrayLike,
    phi: ArrayLike,
    lmax: int,
    *,
    n_generated: float,
    Phi: ArrayLike | None = None,
    polarisation: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Acceptance:
    r"""Matrix between true and measured moments, from accepted Monte Carlo.

    .. math:: A_{ab} = \frac{1}{N_{gen}} \sum_{i\ \text{accepted}} v_i\, s_a f_a(x_i)\, (2L_b + 1)(2 - \delta_{M_b 0})\,
              f_b(x_i), \qquad s = 1 \text{ or } 2 / \langle P^2 \rangle

    with the functions f of `moment_functions`.

    Parameters
    ----------
    costheta, phi
        True angles of the *accepted* events of Monte Carlo that was generated uniformly in ``costheta``, ``phi`` and
        ``Phi``, ``(events,)``, rad.
    lmax
        Highest L. Moments above it count as 0; if the data have them, the acceptance mixes them into the others.
        Waves up to spin l need 2 l.
    n_generated
        How many events were generated.
    Phi, polarisation
        As in `moments_of_data`, the polarisation distributed as in the data; both or neither.
    weights
        One per accepted event, ``(events,)``, with mean 1 over the generated ones; 1 if not given.

    Returns
    -------
    `Acceptance`; look at its ``condition``.

    Raises
    ------
    ValueError
        As `moments_of_data`; if ``n_generated`` is below the number of events; if there are fewer events than moments,
        or the matrix is singular to the digits of its numbers, because the acceptance has holes too large for this
        ``lmax``. Inside jit these last are not seen, and moments come out infinite, NaN or meaningless.

    Notes
    -----
    Resolution is taken as perfect. The angles in the data mean the same as here.
    """
    events = _events(costheta, phi, Phi, polarisation, weights)
    number = len(events.costheta)
    if not _unknown(n_generated) and not number <= n_generated < np.inf:
        msg = f"n_generated must be how many events were generated, at least the {number} accepted: got {n_generated}."
        raise ValueError(msg)
    indices = moment_indices(lmax, polarised=Phi is not None)
    if number < len(indices):
        msg = f"{number} events of accepted Monte Carlo can't fix {len(indices)} moments: take more, or a lower lmax."
        raise ValueError(msg)
    n, mean_square = len(indices), _mean_square(events)
    gram = _sums(events, lmax, events.weights)[1][:n, :n]
    expand = jnp.asarray(expansion_weights(indices), gram.dtype)
    matrix = _scales(mean_square, lmax, gram.dtype)[:, None] * gram * expand[None] / n_generated
    acceptance = Acceptance(lmax, matrix, mean_square, n_generated, events)
    if not _unknown(matrix):
        condition = float(acceptance.condition)
        if not condition * float(jnp.finfo(matrix.dtype).eps) < 0.01:
            msg = (
                f"the acceptance matrix of {len(indices)} moments is singular (condition number {condition:.1e}): the"
                f" {number} accepted events leave regions empty; take a lower lmax than {lmax}, or more Monte Carlo."
            )
            raise ValueError(msg)
    return acceptance


def _mean_square(events: Events) -> jax.Array | None:
    """Return the weighted mean of the square of the polarisation."""
    if events.polarisation is None:
        return None
    mean = jnp.sum(events.weights * events.polarisation**2) / jnp.sum(events.weights)
    if not _unknown(mean) and not mean > 0:
        msg = f"polarisation must have a weighted mean square above 0 to fix H1 and H2, got {float(mean)}."
        raise ValueError(msg)
    return mean


def moments_of_data(
    costheta: ArrayLike,
    phi: ArrayLike,
    lmax: int,
    *,
    Phi: ArrayLike | None = None,
    polarisation: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    acceptance: Acceptance | None = None,
    mc_errors: bool = True,
) -> Moments:
    r"""Moments of events, with their covariance.

    .. math:: \hat H^0(LM) = \sum_i w_i\, f^0_{LM}(x_i), \qquad
              \hat H^{1,2}(LM) = \frac{2}{\langle P^2 \rangle} \sum_i w_i\, f^{1,2}_{LM}(x_i)

    with the functions f of `moment_functions`, and with an acceptance :math:`H = A^{-1} \hat H`.

    Parameters
    ----------
    costheta
        Cosine of the polar angle of one meson, ``(events,)``, in [-1, 1].
    phi
        Its azimuth, ``(events,)``, rad.
    lmax
        Highest L.
    Phi
        Angle of the polarisation to the production plane, ``(events,)``, rad; without it only moments of alpha 0.
    polarisation
        Degree of polarisation, ``(events,)`` or one number, -1 to 1. If it varies, events count in H1 and H2 by
        their P, so that unpolarised ones do no harm there and still count in H0.
    weights
        One per event, ``(events,)``, of either sign; 1 if not given. One over the efficiency is the other way to
        correct for the acceptance, where it is known and nowhere 0.
    acceptance
        From `acceptance_matrix`, of the same ``lmax``. Without it acceptance is taken as uniform, in ``Phi`` also.
    mc_errors
        Whether the statistical error of the Monte Carlo of the acceptance is in the covariance:

        .. math:: V_{MC} = A^{-1} \Big[\sum_i u_i u_i^T - \frac{1}{N_{gen}} \hat H \hat H^T\Big] A^{-T}, \quad
                  u_{i,a} = \frac{v_i}{N_{gen}}\, s_a f_a(x_i) \sum_b (2L_b + 1)(2 - \delta_{M_b 0}) f_b(x_i) H_b

    Returns
    -------
    `Moments` in numbers of events, with the covariance of a Poisson process as at the head of this module.

    Raises
    ------
    ValueError
        If columns differ in length, ``Phi`` comes without ``polarisation``, values are out of range or not finite, all
        polarisations are 0, or the acceptance is of other moments. Inside jit values can't be checked.

    Examples
    --------
    >>> import numpy as np
    >>> from jaxpwa.physics.moments.of_data import moments_of_data
    >>> moments = moments_of_data(np.array([0.5, -0.5, 0.1, 1.0]), np.zeros(4), 1)
    >>> [f"{n} = {v:.2f} +- {e:.2f}" for n, v, e in zip(moments.names, moments.values, moments.errors)]
    ['H0(0,0) = 4.00 +- 2.00', 'H0(1,0) = 1.10 +- 1.23', 'H0(1,1) = -1.93 +- 1.12']
    """
    events = _events(costheta, phi, Phi, polarisation, weights)
    polarised = Phi is not None
    indices = moment_indices(lmax, polarised=polarised)
    if acceptance is None:
        _mean_square(events)
        return Moments(indices, *_plain(events, lmax))
    if acceptance.lmax != lmax or (acceptance.mean_square is not None) != polarised:
        kinds = ["unpolarised", "polarised"]
        msg = (
            f"acceptance must be of the same moments, {kinds[polarised]} up to L = {lmax}: it is"
            f" {kinds[acceptance.mean_square is not None]} up to L = {acceptance.lmax}."
        )
        raise ValueError(msg)
    n = len(indices)
    totals, spread = (sums[(slice(n),) * sums.ndim] for sums in _sums(events, lmax, events.weights**2))
    scales = _scales(acceptance.mean_square, lmax, totals.dtype)
    values = jnp.linalg.solve(acceptance.matrix, scales * totals)
    if mc_errors:
        # What the fluctuations of the Monte Carlo are worth in the sums.
        mc, number = acceptance.events, acceptance.n_generated
        response = jnp.asarray(expansion_weights(indices), values.dtype) * values / number
        spread = spread + _sums(mc, lmax, mc.weights**2, response)[1][:n, :n] - jnp.outer(totals, totals) / number
    half = jnp.linalg.solve(acceptance.matrix, scales[:, None] * spread * scales[None])
    return Moments(indices, values, jnp.linalg.solve(acceptance.matrix, half.T))


def _plain(events: Events, lmax: int) -> tuple[jax.Array, jax.Array]:
    """Return moments for uniform acceptance with their covariance."""
    totals, spread = _sums(events, lmax, events.weights**2)
    if events.polarisation is None:
        return totals, spread

    def scaled(totals: jax.Array) -> jax.Array:
        # The first function is 1, the last P squared.
        return _scales(totals[-1] / totals[0], lmax, totals.dtype) * totals[:-1]

    jacobian = jax.jacfwd(scaled)(totals)
    return scaled(totals), jnp.matmul(jacobian @ spread, jacobian.T, precision="highest")
