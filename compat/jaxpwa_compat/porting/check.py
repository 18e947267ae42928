"""`to_jax`: make a port, and compare it with the original before anyone gets it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp

from jaxpwa import Dataset, evaluate
from jaxpwa_compat.porting.original import N_CHECKED, Names, Original, WholeNeeded
from jaxpwa_compat.porting.port import Port
from jaxpwa_compat.porting.report import PortReport, deviation
from jaxpwa_compat.porting.samples import as_dataset, some_rows
from jaxpwa_compat.porting.trace import PortingError, Trace

_TRIAL_EVENTS = 4999
"""A number of events that no other axis has by chance."""
_SINGLE_TOLERANCE = 1e-5
_FLOOR = 1e-6
_SINGLE_FLOOR = 1e-2
_GRADIENT_TOLERANCE = 1e-5


def to_jax(
    amplitude: Any,
    sample: Any,
    *,
    parameters: Any = None,
    array_parameters: bool | None = None,
    points: int = 5,
    seed: int = 0,
    rtol: float = 1e-9,
) -> Port:
    """Turn an amplitude written with numpy, numexpr strings or torch functions into a JAX function.

    The class's own code is run on stand-ins for the columns and parameters whenever JAX traces the port; numpy, scipy,
    numexpr and torch are replaced by JAX for what depends on them. The port is compared with the original on the
    sample, value by value and in one derivative, and refused where they differ.

    Parameters
    ----------
    amplitude
        An object with ``setup(data)`` and ``calculate(parameters)``, such as a `NestedFunction`. It is copied.
    sample
        Events of the kind that `setup` takes: DataFrame, structured array, dict of arrays, `jaxpwa.Dataset` or
        `ParticlePool`, for which the port takes the columns of ``pool.to_table().to_columns()``. A few thousand are
        plenty; at most 2000, spread over the sample, are compared.
    parameters
        None: the names are those that the class reads, the values are drawn between 0.5 and 1.5. A dict of typical
        values: they are the first point, the others lie within 20 % around them. A list of names: values as for None.
    array_parameters
        Whether `calculate` takes an array of parameters; they are in the order of ``parameters``. None: found out.
    points
        Number of points in the space of the parameters at which all events are compared.
    seed
        Seed of the random numbers.
    rtol
        Relative deviation of an intensity that is allowed; 1e-5 where the class computes in single precision.

    Returns
    -------
    The port, ``port(params, data) -> (events,)``; ``port.report`` says what was checked.

    Raises
    ------
    PortingError
        If the class can't be traced, with the line that stands in the way, or the port differs from it.

    Examples
    --------
    >>> import numpy as np
    >>> from jaxpwa_compat.amplitudes import NestedFunction
    >>> class Line(NestedFunction):
    ...     def setup(self, data):
    ...         self.x = data["x"]
    ...     def calculate(self, params):
    ...         return params["a"] * np.exp(self.x)
    >>> port = to_jax(Line(), {"x": np.array([0.0, 1.0])})
    >>> port.parameters, port({"a": 2.0}, {"x": np.array([0.0])}).tolist()
    (('a',), [2.0])
    """
    if isinstance(amplitude, type) or not all(callable(getattr(amplitude, n, None)) for n in ("setup", "calculate")):
        what = f"the class {amplitude.__name__}" if isinstance(amplitude, type) else type(amplitude).__name__
        msg = f"to_jax takes an object with setup(data) and calculate(parameters), got {what}."
        raise PortingError(msg)
    table = as_dataset(sample)
    if len(table) == 0 or points < 1:
        msg = "to_jax needs events and points to compare at, got none."
        raise ValueError(msg)
    n_events = min(len(table), N_CHECKED)
    rows = np.unique(np.linspace(0, len(table) - 1, n_events).astype(int))
    some, columns = some_rows(sample, rows), table.select(rows)
    rng = np.random.default_rng(seed)
    original = Original(amplitude, some, is_array=bool(array_parameters))
    typical, is_array = _parameters(original, parameters, array_parameters, rng)
    original.is_array = is_array
    places = _points(typical, points, rng, isinstance(parameters, Mapping))
    wanted = [original(place) for place in places]
    port = Port(amplitude, some, tuple(typical), is_array=is_array)
    trace = _trial(port, columns)
    single = trace.is_single or any(w.dtype in (np.float32, np.complex64, np.float16) for w in wanted)
    tolerance, floor = (max(rtol, _SINGLE_TOLERANCE), _SINGLE_FLOOR) if single else (rtol, _FLOOR)
    notes = [f"single precision: {tolerance:.0e} is allowed"] if single else []
    largest = max(
        _compare(port, place, values, columns, tolerance, floor) for place, values in zip(places, wanted, strict=True)
    )
    if not any(np.any(np.isfinite(w) & (w != 0)) for w in wanted):
        msg = (
            f"{port.__name__} is NaN or 0 for all events at all points, so nothing was checked. "
            f"Pass typical values, to_jax(..., parameters={{{_some_name(typical)!r}: 1.0, ...}})."
        )
        raise PortingError(msg)
    gradient, reason = (None, "single precision") if single else _gradient(port, original, places, columns, rng)
    notes += [f"gradient not compared: {reason}"] if reason else []
    port.report = PortReport(
        name=port.__name__, kind=_kind(trace.used), n_events=len(columns), parameters=port.parameters,
        columns=port.columns, points=tuple(places), deviation=largest, tolerance=tolerance, floor=floor,
        gradient_deviation=gradient, replaced=tuple(trace.used), notes=tuple(notes),
    )  # fmt: skip
    return port


def _some_name(typical: dict[str, float]) -> str:
    return next(iter(typical), "name")


def _parameters(
    original: Original, given: Any, array_parameters: bool | None, rng: np.random.Generator
) -> tuple[dict[str, float], bool]:
    """Return typical values by name, and whether the class takes them as an array."""
    is_array = bool(array_parameters)
    if given is not None and not isinstance(given, (Mapping, list, tuple)):
        msg = f"parameters must be a dict of typical values or a list of names, got {type(given).__name__}."
        raise TypeError(msg)
    if array_parameters is None or given is None:
        names = Names(rng)
        try:
            original(names)
        except WholeNeeded:
            is_array = is_array or names.is_by_number
            if given is None:
                how = "by number" if names.is_by_number else "as a whole (a loop over them, get, in, keys)"
                msg = (
                    f"{original.name} reads its parameters {how}, so their names are not known. "
                    "Pass them with typical values: to_jax(..., parameters={'A1': 1.0, 'A2': 0.5})."
                )
                raise PortingError(msg) from None
        except Exception:
            if given is None:
                raise
        if given is None:
            return names.found(), False
    values = dict(given) if isinstance(given, Mapping) else {name: float(rng.uniform(0.5, 1.5)) for name in given}
    values = {str(name): float(value) for name, value in values.items()}
    if array_parameters is None and not is_array:
        try:
            original(values)
        except Exception:
            # A class that unpacks its parameters looks as if it took either; the array must work where names do not.
            is_array = True
    return values, is_array


def _points(typical: dict[str, float], n: int, rng: np.random.Generator, is_given: bool) -> list[dict[str, float]]:
    """Draw points; the first are the typical values themselves."""
    places = [typical]
    for _ in range(n - 1):
        if is_given:
            place = {k: v * rng.uniform(0.8, 1.2) if v else rng.uniform(-0.2, 0.2) for k, v in typical.items()}
        else:
            place = {k: rng.uniform(0.5, 1.5) for k in typical}
        places.append({k: float(v) for k, v in place.items()})
    return places


def _trial(port: Port, columns: Dataset) -> Trace:
    """Trace the port once for a number of events of its own, which shows at which line events are mixed."""
    trace = Trace(_TRIAL_EVENTS)
    data = {}
    for name, values in columns.columns.items():
        if values.dtype.kind in "fiubcO" and not _is_text(values):
            dtype = columns.numbers(name).dtype
            data[name] = jax.ShapeDtypeStruct((_TRIAL_EVENTS, *values.shape[1:]), dtype)
    params = {name: jax.ShapeDtypeStruct((), jnp.float64) for name in port.parameters}
    try:
        value = jax.eval_shape(lambda p, d: port._run(p, d, trace), params, data)
    except PortingError as error:
        # Raised anew, as JAX writes a note on its own frames under what passes through it.
        raise PortingError(str(error)) from error.__cause__
    except KeyError as error:
        msg = f"{port.__name__} reads column {error}, which holds no numbers. Make numbers of it beforehand."
        raise PortingError(msg) from None
    if value.shape != (_TRIAL_EVENTS,):
        shape = str(value.shape).replace(str(_TRIAL_EVENTS), "events")
        msg = f"{port.__name__}.calculate returns shape {shape} for JAX. Return one value per event, (events,)."
        raise PortingError(msg)
    port.columns = tuple(trace.columns)
    return trace


def _is_text(values: np.ndarray) -> bool:
    return values.dtype.kind == "O" and any(isinstance(value, str) for value in values.ravel())


def _compare(
    port: Port, place: dict[str, float], wanted: np.ndarray, columns: Dataset, tolerance: float, floor: float
) -> float:
    """Return the largest relative deviation at one point."""
    try:
        found = evaluate(port, place, columns, progress=False)
    except PortingError as error:
        raise PortingError(str(error)) from error.__cause__
    except (TypeError, ValueError) as error:
        msg = f"{port.__name__} can't be ported: {error}"
        raise PortingError(msg) from error
    relative = deviation(found, wanted, floor)
    worst = int(np.argmax(relative))
    if relative[worst] > tolerance:
        msg = (
            f"{port.__name__} and its port differ at {place}: event {worst} is {wanted[worst]} in the original and "
            f"{found[worst]} in the port ({int(np.sum(relative > tolerance))} of {len(wanted)} events differ by more "
            f"than {tolerance:.0e}). Look for arrays that are changed in place, results written into an array (out=), "
            "values kept from an earlier call, the number of events used as a value, and random numbers."
        )
        raise PortingError(msg)
    return float(relative[worst])


def _gradient(
    port: Port, original: Original, places: list[dict[str, float]], columns: Dataset, rng: np.random.Generator
) -> tuple[float | None, str]:
    """Compare derivatives of the sum of intensities along a random direction; or say why not."""
    names = port.parameters
    if not names:
        return None, "no parameters"
    data = {name: jnp.asarray(columns.numbers(name)) for name in port.columns}

    def total(theta: Any) -> Any:
        return jnp.sum(jnp.real(port(dict(zip(names, theta, strict=True)), data)))

    slope = jax.jit(jax.grad(total))
    worst, reason = None, ""
    for place in places[:2]:
        theta = np.array([place[name] for name in names])
        direction = rng.normal(size=len(names)) * np.maximum(np.abs(theta), 0.1)

        def along(size: float, theta: np.ndarray = theta, direction: np.ndarray = direction) -> float:
            values = original(dict(zip(names, (theta + size * direction).tolist(), strict=True)))
            return float(np.sum(np.real(values), dtype=np.float64))

        wanted, error = _slope(along)
        gradient = np.asarray(slope(theta))
        found = float(gradient @ direction)
        if not np.isfinite(wanted):
            reason = "the original is not finite there"
        elif not np.isfinite(found):
            name = names[int(np.argmin(np.isfinite(gradient)))]
            reason = (
                f"JAX's derivative by {name!r} is not finite at {place}: a function with infinite slope (a root or "
                "arccos at its end, abs at 0), also in the branch of numpy.where that is not taken"
            )
        else:
            scale = max(abs(wanted), 1e-3 * float(np.abs(gradient * direction).sum()), 1e-3 * abs(along(0.0)), 1e-300)
            if abs(found - wanted) > _GRADIENT_TOLERANCE * scale + 10 * error:
                msg = (
                    f"{port.__name__} and its port have different derivatives at {place}: {wanted} in the original "
                    f"(differences), {found} in the port. Values agree, so the class has a jump or a kink there, or "
                    "rounds its parameters."
                )
                raise PortingError(msg)
            if error > _GRADIENT_TOLERANCE * scale:
                reason = "differences of the original are not precise enough"
            else:
                worst = max(worst or 0.0, abs(found - wanted) / scale)
    return worst, reason


def _slope(function: Callable[[float], float]) -> tuple[float, float]:
    """Return the derivative at 0 by differences, and its error: what two step sizes, the best pair, differ by."""
    estimates = []
    for step in (1e-4, 1e-5, 1e-6, 1e-7):
        near, far = ((function(k * step) - function(-k * step)) / (2 * k * step) for k in (1, 2))
        # Combined so that the error is of fourth order.
        estimates.append((4 * near - far) / 3)
    errors = np.abs(np.diff(estimates))
    best = int(np.argmin(errors))
    return estimates[best + 1], float(errors[best])


def _kind(used: dict[str, None]) -> str:
    kinds = [kind for kind in ("numpy", "numexpr", "torch") if any(name.startswith(kind) for name in used)]
    return " + ".join(kinds) or "numpy"
