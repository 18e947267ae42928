"""What a fit found: a plain record that prints, saves and loads."""

import json
import math
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import iminuit
import msgpack
import numpy as np

from jaxpwa._files import replacing
from jaxpwa.inference import report
from jaxpwa.inference.propagate import Estimate, propagate

_FORMAT = "jaxpwa.FitResult"
_FORMAT_VERSION = 1


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
        One standard deviation, by name, from the exact Hessian; 0 for fixed parameters, NaN at a limit and
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
        How often value, gradient and Hessian were computed.
    cost
        What was minimised.
    seconds
        Duration of the fit.
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
    versions: dict[str, str] = field(default_factory=dict)
    minuit: iminuit.Minuit | None = field(default=None, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(self.values)

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

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the live Minuit object as plain lists, dicts, strings and numbers.

        None stands for NaN and for an absent limit.
        """
        plain: dict[str, Any] = {"format": _FORMAT, "format_version": _FORMAT_VERSION}
        for item in fields(self):
            if item.name != "minuit":
                plain[item.name] = _plain(getattr(self, item.name))
        return plain

    @classmethod
    def from_dict(cls, plain: Any) -> "FitResult":
        """Read back what `to_dict` gave.

        Raises
        ------
        ValueError
            If it is no such record.
        """
        if not isinstance(plain, dict) or plain.get("format") != _FORMAT:
            msg = f"this is no {_FORMAT} record."
            raise ValueError(msg)
        if plain.get("format_version") != _FORMAT_VERSION:
            msg = f"{_FORMAT} record of version {plain.get('format_version')}; this jaxpwa reads {_FORMAT_VERSION}."
            raise ValueError(msg)
        try:
            names = list(plain["values"])
            covariance = np.array([[_number(v) for v in row] for row in plain["covariance"]], np.float64)
            if covariance.shape != (len(names), len(names)) or list(plain["errors"]) != names:
                msg = "covariance or errors do not match the parameters"
                raise ValueError(msg)
            return cls(
                values={n: _number(v) for n, v in plain["values"].items()},
                errors={n: _number(v) for n, v in plain["errors"].items()},
                covariance=covariance,
                fval=_number(plain["fval"]),
                errordef=float(plain["errordef"]),
                ndata=int(plain["ndata"]),
                edm=_number(plain["edm"]),
                valid=bool(plain["valid"]),
                message=str(plain["message"]),
                fixed=tuple(str(n) for n in plain["fixed"]),
                at_limit=tuple(str(n) for n in plain["at_limit"]),
                limits={
                    n: (-math.inf if low is None else float(low), math.inf if high is None else float(high))
                    for n, (low, high) in plain["limits"].items()
                },
                minos={n: (_number(low), _number(high)) for n, (low, high) in plain["minos"].items()},
                calls={n: int(v) for n, v in plain["calls"].items()},
                cost=str(plain["cost"]),
                seconds=float(plain["seconds"]),
                versions={n: str(v) for n, v in plain["versions"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            msg = f"damaged {_FORMAT} record: {type(error).__name__}: {error}"
            raise ValueError(msg) from None

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
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in (".json", ".msgpack"):
            msg = f"results are saved as .json or .msgpack, got {path.name!r}."
            raise ValueError(msg)
        plain = self.to_dict()
        if suffix == ".json":
            content = json.dumps(plain, indent=1, allow_nan=False).encode()
        else:
            content = bytes(msgpack.packb(plain) or b"")
        with replacing(path) as temporary:
            temporary.write_bytes(content)

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
        Equal to the one saved, but for ``minuit``, which is None.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds no fit result.
    """
    path = Path(path)
    content = path.read_bytes()
    try:
        plain = json.loads(content) if content.lstrip()[:1] == b"{" else msgpack.unpackb(content)
    except (ValueError, msgpack.UnpackException, msgpack.exceptions.ExtraData) as error:
        msg = f"{path} is neither JSON nor msgpack: {error}"
        raise ValueError(msg) from None
    try:
        return FitResult.from_dict(plain)
    except ValueError as error:
        msg = f"{path}: {error}"
        raise ValueError(msg) from None


def _plain(value: Any) -> Any:
    """Turn a field into what JSON and msgpack hold."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {name: _plain(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
