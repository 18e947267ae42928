"""Amplitudes written for PyPWA, turned into pure JAX functions without rewriting them.

`to_jax` runs the class's own code on stand-ins for arrays, compares the outcome with the original, and returns a
`Port`; what can't be ported is refused with a `PortingError` that names the line.
"""

from jaxpwa_compat.porting.check import to_jax as to_jax
from jaxpwa_compat.porting.port import Port as Port
from jaxpwa_compat.porting.report import PortReport as PortReport
from jaxpwa_compat.porting.trace import PortingError as PortingError
