"""PyPWA's names on top of jaxpwa, for analyses that already exist.

======================================  ==================================================
`NestedFunction`, `FunctionAmplitude`   what PyPWA's likelihoods and simulator call
`pandas_to_numpy`, `to_contiguous`      tables as PyPWA's amplitudes like them
======================================  ==================================================

Likelihoods, simulation, files and vectors are not here yet: use jaxpwa's own.
"""

from jaxpwa_compat.amplitudes import FunctionAmplitude as FunctionAmplitude
from jaxpwa_compat.amplitudes import NestedFunction as NestedFunction
from jaxpwa_compat.tables import pandas_to_numpy as pandas_to_numpy
from jaxpwa_compat.tables import to_contiguous as to_contiguous
