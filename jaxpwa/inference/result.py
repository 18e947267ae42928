"""What a fit found: a plain record that prints, saves and loads."""

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib.metadata import version
from typing import Any

import iminuit
import numpy as np
import pandas as pd

from jaxpwa.inference import report
from jaxpwa.inference.propagate import Estimate, propagate
from jaxpwa.inference.resultfile import from_plain, read_plain, to_plain, write_plain


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Return the versions of what a result depends on."""
    packages = {name: version(name) for name in ("jaxpwa", "jax", "numpy", "iminuit")}
    return {**packages, "python": platform.python_version()}


class FitError(RuntimeError):
    """A fit without a valid minimum, raised on request; ``error.result`` holds what was found."""

    def __init__(self, message: str, result: "FitResult"):
        super().__init__(message)
        self.result = result


@dataclass(frozen=True, eq=False)
class FitResult:
    """Result of a fit.

    Attributes
    ----------
    values
        Parameters at the end, by name, in the order of the start values. Valid ``params`` everywhere.
    errors
        One standard deviation, by name, from ``covariance``; 0 for fixed parameters, NaN at a limit and
        where there is no minimum.
    covariance
        Array ``(n, n)`` in the order of ``values``; zero for fixed parameters and those at a limit.
    fval
        The cost at the end.
    errordef
        0.5 for negative log-likelihoods, 1 for chi-squared.
    ndata
        Events or bins of data that count.
    edm
        Estimated distance to the minimum, from exact derivatives, in units of the cost.
    valid
        Whether the end is a minimum: positive definite Hessian and small ``edm``, checked by exact derivatives.
    message
        What happened and, where it went wrong, what to try.
    fixed, at_limit
        Names.
    limits
        ``(lower, upper)`` by name, infinite where there is none; only limited parameters.
    minos
        ``(lower, upper)`` errors by name, lower negative; NaN where MINOS found none.
    calls
        How often value, gradient and Hessian were computed, in all runs of a fit that went on from a checkpoint.
    cost
        What was minimised.
    seconds
        Duration of the fit, of all its runs.
    covariance_kind
        Where ``covariance`` comes from: ``"hessian"``, or for events with weights ``"asymptotic"`` or ``"sumw2"``.
    tied
        Names of parameters that are functions of others (`Cost.tied`); they come last.
    definition
        The formula of each term of the cost.
    settings
        Keywords of the fit, and its start values; ``"resumed"`` where it went on from a checkpoint.
    versions
        Of jaxpwa and what it stands on.
    minuit
        The live `iminuit.Minuit`; None in a result that was loaded from a file.
    """

    values: dict[str, float]
    errors: dict[str, float]
    covariance: np.ndarray
    fval: float
    errordef: float
    ndata: int
    edm: float
    valid: bool
    message: str
    fixed: tuple[str, ...] = ()
    at_limit: tuple[str, ...] = ()
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    minos: dict[str, tuple[float, float]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    cost: str = ""
    seconds: float = 0.0
    covariance_kind: str = "hessian"
    tied: tuple[str, ...] = ()
    definition: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    _samples: Callable[[], tuple[dict[str, Any], ...]] = field(default=tuple, repr=False)
    minuit: iminuit.Minuit | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        # Results travel between processes as they are in files: without the live Minuit object and the events.
        return self.__dict__ | {"minuit": None, "_samples": partial(tuple, self.samples)}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(self.values)

    @property
    def start_values(self) -> dict[str, float]:
        """Values of the parameters that are not tied to others: where another fit can start."""
        return {name: value for name, value in self.values.items() if name not in self.tied}

    @property
    def samples(self) -> tuple[dict[str, Any], ...]:
        """What the cost was computed from: name, number of events, sum of weights, columns and their fingerprint.

        Computed when first asked for, which reads all events once.
        """
        return self._samples()

    @property
    def correlation(self) -> np.ndarray:
        """Correlation matrix, ``(n, n)``; the unit matrix's rows for parameters that did not move."""
        sigma = np.sqrt(np.diag(self.covariance))
        scale = np.where(sigma > 0, sigma, 1.0)
        matrix = self.covariance / np.outer(scale, scale)
        np.fill_diagonal(matrix, 1.0)
        return matrix

    def propagate(self, function: Callable[[dict[str, Any]], Any]) -> Estimate:
        r"""Compute something from the parameters, with its errors, by the exact Jacobian: :math:`J V J^T`.

        Parameters
        ----------
        function
            ``function(params)``, written with `jax.numpy`: returns real numbers or arrays, or dicts, lists or records
            of such.

        Returns
        -------
        `Estimate` with ``value``, ``error`` and ``covariance``; fixed parameters and those at a limit have no error.

        Raises
        ------
        TypeError
            If the function returns something else than real numbers, or can't be traced.

        Examples
        --------
        >>> import numpy as np, jax.numpy as jnp, jaxpwa as jp
        >>> def density(p, d):
        ...     return jnp.exp(-d["x"] / p["tau"]) / p["tau"]
        >>> x = np.random.default_rng(1).exponential(2.0, 10_000)
        >>> result = jp.fit(jp.UnbinnedNLL(density, {"x": x}), {"tau": 1.0})
        >>> result.propagate(lambda p: 1 / p["tau"])  # the rate
        0.499399 +- 0.005
        """
        return propagate(function, self.values, self.covariance)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per parameter.

        Returns
        -------
        Columns ``value``, ``error``, ``minos_lower``, ``minos_upper``, ``lower``, ``upper`` (limits) and ``note``
        (``"fixed"``, ``"at limit"``, ``"tied"`` or empty); the index is the name.
        """
        nothing, free = (np.nan, np.nan), (-np.inf, np.inf)
        rows = {
            name: [
                value,
                self.errors[name],
                *self.minos.get(name, nothing),
                *self.limits.get(name, free),
                self._note(name),
            ]
            for name, value in self.values.items()
        }
        columns = ["value", "error", "minos_lower", "minos_upper", "lower", "upper", "note"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns)

    def _note(self, name: str) -> str:
        """Say what is special about a parameter."""
        kinds = {"fixed": self.fixed, "at limit": self.at_limit, "tied": self.tied}
        return next((kind for kind, names in kinds.items() if name in names), "")

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the live Minuit object as plain lists, dicts, strings and numbers.

        None stands for NaN and for an absent limit. What a sample is known by, ``samples``, is computed here.
        """
        return to_plain(self)

    @classmethod
    def from_dict(cls, plain: Any) -> "FitResult":
        """Read back what `to_dict` gave.

        Raises
        ------
        ValueError
            If it is no such record.
        """
        return cls(**from_plain(plain))

    def save(self, path: str | os.PathLike) -> None:
        """Write the result to a file, as a whole or not at all.

        Parameters
        ----------
        path
            Its suffix decides: ``.json`` or ``.msgpack``.

        Raises
        ------
        ValueError
            If the suffix is another one.
        """
        write_plain(path, to_plain(self))

    def __str__(self) -> str:
        return report.text(self)

    def _repr_html_(self) -> str:
        return report.html(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(report.text(self))


def load_result(path: str | os.PathLike) -> FitResult:
    """Read a result that `FitResult.save` wrote.

    Parameters
    ----------
    path
        A ``.json`` or ``.msgpack`` file; the content tells which.

    Returns
    -------
    FitResult
        Equal to the one saved, but for ``minuit``, which is None: all that is derived from it comes out the same.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds no fit result.
    """
    plain = read_plain(path)
    try:
        return FitResult.from_dict(plain)
    except ValueError as error:
        msg = f"{path}: {error}"
        raise ValueError(msg) from None
