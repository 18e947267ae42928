"""The port itself: a pure JAX function that runs the user's class on traced values whenever JAX traces it."""

from typing import Any

import numpy as np

import jax
import jax.numpy as jnp

from jaxpwa_compat.parts import is_tensor
from jaxpwa_compat.porting import tensors
from jaxpwa_compat.porting.rebuild import Rebuilder
from jaxpwa_compat.porting.report import PortReport
from jaxpwa_compat.porting.tables import Form, TracedParameters
from jaxpwa_compat.porting.trace import PortingError, Trace, refusal_of, tracing
from jaxpwa_compat.porting.traced import TracedArray
from jaxpwa_compat.porting.values import Traced, unwrap

_ADVICE = "Write this line with numpy functions and operators on whole arrays, or compute it beforehand."


class Port:
    """A user's amplitude as a pure function ``port(params, data) -> (events,)`` for JAX; made by `to_jax`.

    It may be passed wherever jaxpwa takes an intensity, compiled and differentiated. The amplitude was copied when the
    port was made: later changes of it, or of globals that its module names, do not reach the port.

    Attributes
    ----------
    report : PortReport
        What was checked.
    parameters : tuple of str
        Names of the parameters, in the order of an array of parameters.
    columns : tuple of str
        Names of the columns read.
    """

    report: PortReport
    parameters: tuple[str, ...]
    columns: tuple[str, ...]

    def __init__(self, amplitude: Any, sample: Any, parameters: tuple[str, ...] = (), *, is_array: bool = False):
        self.__name__ = type(amplitude).__name__
        self._home = type(amplitude).__module__.split(".")[0]
        # A copy that no later change of the user's object, class or globals reaches.
        self._amplitude = Rebuilder(self._home)(amplitude)
        self._form = Form(sample)
        self._is_array = is_array
        self.parameters = parameters
        self.columns = ()

    def __call__(self, params: Any, data: Any) -> Any:
        """Compute the intensities.

        Parameters
        ----------
        params
            Numbers by name.
        data
            Columns by name.

        Returns
        -------
        One value per event, shape ``(events,)``.

        Raises
        ------
        PortingError
            If the class does here what it did not do on the sample.
        """
        return self._run(params, data, Trace())

    def __repr__(self) -> str:
        return f"Port({self.__name__})"

    def _run(self, params: Any, data: Any, trace: Trace) -> Any:
        """Run the user's `setup` and `calculate` on fresh copies of everything, so that no tracer stays anywhere."""
        with tracing(trace), tensors.on_this_machine():
            try:
                amplitude = Rebuilder(self._home)(self._amplitude)
                amplitude.setup(self._form.table(data, next(iter(self.columns), None)))
                given: Any = TracedParameters(params)
                if self._is_array:
                    given = TracedArray(jnp.stack([given[name].value for name in self.parameters]))
                value = amplitude.calculate(given)
            except PortingError:
                raise
            except Exception as error:
                # What the caller's own mappings raise, such as an unknown name, is theirs to deal with.
                if error is trace.passing:
                    raise
                # numpy puts an error of its own around what an element assignment raises.
                inside = error.__cause__ or error.__context__
                if isinstance(inside, PortingError):
                    raise PortingError(str(inside)) from error
                raise self._refusal(error) from error
            return self._result(value)

    def _refusal(self, error: Exception) -> PortingError:
        reason = str(error).split("\n")[0].rstrip(".")
        if isinstance(error, (jax.errors.JAXTypeError, jax.errors.JAXIndexError)):
            reason = f"JAX can't compile it: {reason}"
        return refusal_of(error, f"{self.__name__} can't be ported: {type(error).__name__}: {reason}", _ADVICE)

    def _result(self, value: Any) -> Any:
        if isinstance(value, Traced):
            return value.value
        if isinstance(value, (np.ndarray, np.number, float, int, complex, jax.Array)) or is_tensor(value):
            return jnp.asarray(unwrap(value))
        msg = f"{self.__name__}.calculate returns {type(value).__name__}. Return an array of shape (events,)."
        raise PortingError(msg)
