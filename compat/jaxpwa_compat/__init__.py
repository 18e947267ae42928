"""PyPWA 4's names on top of jaxpwa: an analysis that exists runs by changing its import.

    import jaxpwa_compat as pwa

=========================  =================================================================================
amplitudes                 `NestedFunction`, `FunctionAmplitude` (numpy, numexpr, torch)
likelihoods                `LogLikelihood`, `sweightedLogLikelihood`, `ChiSquared`, `EmptyLikelihood`
fits                       `minuit`, `mcmc`
simulation                 `monte_carlo_simulation`, `simulate`
bins                       `bin_by_range`, `bin_with_fixed_widths`, `bin_by_list`
files                      `read`, `write`, `get_reader`, `get_writer`, `DataType`, `cache`
tables                     `pandas_to_numpy`, `to_contiguous`
vectors                    `FourVector`, `ThreeVector`, `Particle`, `ParticlePool`
plot                       `make_lego`
porting to JAX             `to_jax`: not in PyPWA; the class becomes a function that the whole engine takes
=========================  =================================================================================

Names are loaded when they are first used, so that worker processes load neither JAX nor jaxpwa.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxpwa_compat import cache as cache
    from jaxpwa_compat import simulate as simulate
    from jaxpwa_compat.amplitudes import FunctionAmplitude as FunctionAmplitude
    from jaxpwa_compat.amplitudes import NestedFunction as NestedFunction
    from jaxpwa_compat.binning import bin_by_list as bin_by_list
    from jaxpwa_compat.binning import bin_by_range as bin_by_range
    from jaxpwa_compat.binning import bin_with_fixed_widths as bin_with_fixed_widths
    from jaxpwa_compat.files import FileFormatError as FileFormatError
    from jaxpwa_compat.files import read as read
    from jaxpwa_compat.files import write as write
    from jaxpwa_compat.fitting import minuit as minuit
    from jaxpwa_compat.lego import make_lego as make_lego
    from jaxpwa_compat.likelihoods import ChiSquared as ChiSquared
    from jaxpwa_compat.likelihoods import EmptyLikelihood as EmptyLikelihood
    from jaxpwa_compat.likelihoods import LogLikelihood as LogLikelihood
    from jaxpwa_compat.likelihoods import sweightedLogLikelihood as sweightedLogLikelihood
    from jaxpwa_compat.porting import PortingError as PortingError
    from jaxpwa_compat.porting import to_jax as to_jax
    from jaxpwa_compat.processes import WorkerError as WorkerError
    from jaxpwa_compat.sampling import mcmc as mcmc
    from jaxpwa_compat.simulate import monte_carlo_simulation as monte_carlo_simulation
    from jaxpwa_compat.streams import DataType as DataType
    from jaxpwa_compat.streams import get_reader as get_reader
    from jaxpwa_compat.streams import get_writer as get_writer
    from jaxpwa_compat.tables import pandas_to_numpy as pandas_to_numpy
    from jaxpwa_compat.tables import to_contiguous as to_contiguous
    from jaxpwa_compat.vectors import FourVector as FourVector
    from jaxpwa_compat.vectors import Particle as Particle
    from jaxpwa_compat.vectors import ParticlePool as ParticlePool
    from jaxpwa_compat.vectors import ThreeVector as ThreeVector

_NAMES_OF = {
    "amplitudes": ("FunctionAmplitude", "NestedFunction"),
    "binning": ("bin_by_list", "bin_by_range", "bin_with_fixed_widths"),
    "files": ("FileFormatError", "read", "write"),
    "fitting": ("minuit",),
    "lego": ("make_lego",),
    "likelihoods": ("ChiSquared", "EmptyLikelihood", "LogLikelihood", "sweightedLogLikelihood"),
    "porting": ("PortingError", "to_jax"),
    "processes": ("WorkerError",),
    "sampling": ("mcmc",),
    "simulate": ("monte_carlo_simulation",),
    "streams": ("DataType", "get_reader", "get_writer"),
    "tables": ("pandas_to_numpy", "to_contiguous"),
    "vectors": ("FourVector", "Particle", "ParticlePool", "ThreeVector"),
}
_HOME = {name: module for module, names in _NAMES_OF.items() for name in names}
_MODULES = ("cache", "simulate")

__all__ = sorted([*_HOME, *_MODULES])  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"jaxpwa_compat.{name}")
    if name not in _HOME:
        msg = f"module 'jaxpwa_compat' has no attribute {name!r}; its names: {', '.join(__all__)}."
        raise AttributeError(msg)
    thing = getattr(import_module(f"jaxpwa_compat.{_HOME[name]}"), name)
    globals()[name] = thing
    return thing


def __dir__() -> list[str]:
    return [*globals(), *__all__]
