"""Names of the shapes of things that pass between the parts of the library."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax

Params: TypeAlias = Mapping[str, Any]
"""Parameters by name: numbers outside of jit, scalar tracers inside."""

Columns: TypeAlias = Mapping[str, Any]
"""Event columns by name, each ``(events,)`` or ``(events, ...)``."""

Intensity: TypeAlias = Callable[..., jax.Array]
"""``intensity(params, data) -> (events,)``, real and not negative; a pure function of both."""
