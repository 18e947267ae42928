"""What to write instead of what older versions of PyPWA, numpy and scipy understood."""

import re
from typing import Any, NoReturn

SPECIAL_NAMES = {"sph_harm": "sph_harm_y(l, m, polar, azimuth) for sph_harm(m, l, azimuth, polar)"}
"""What to write for names that scipy.special no longer has."""

NUMPY_NAMES = {
    "complex": "complex or numpy.complex128",
    "float": "float or numpy.float64",
    "int": "int or numpy.int64",
    "bool": "bool or numpy.bool_",
    "object": "object",
    "str": "str",
    "NaN": "numpy.nan",
    "Inf": "numpy.inf",
    "float_": "numpy.float64",
    "complex_": "numpy.complex128",
    "trapz": "numpy.trapezoid",
    "in1d": "numpy.isin",
    "product": "numpy.prod",
    "alltrue": "numpy.all",
    "sometrue": "numpy.any",
    "cumproduct": "numpy.cumprod",
    "infty": "numpy.inf",
}
"""What to write for names that numpy no longer has."""


def explain(error: BaseException) -> BaseException:
    """Add what to write instead to an exception that an old habit raised; it keeps its type and text."""
    text = str(error)
    note = ""
    if isinstance(error, (AttributeError, ImportError)):
        if re.search(r"\bsph_harm\b", text):
            instead = SPECIAL_NAMES["sph_harm"]
            note = f"scipy.special.sph_harm is gone since SciPy 1.17: write {instead}; order and angles change places."
        elif "numpy" in text and (found := re.search(r"attribute '(\w+)'|`np\.(\w+)`", text)):
            name = found[1] or found[2]
            if name in NUMPY_NAMES:
                note = f"numpy.{name} is gone from numpy: write {NUMPY_NAMES[name]}."
    if note and note not in getattr(error, "__notes__", []):
        error.add_note(note)
    return error


def refuse_old_settings(settings: Any) -> None:
    """Refuse keys that were options of iminuit 1, and would become parameters of the fit.

    Raises
    ------
    ValueError
        For ``limit_x``, ``error_x``, ``fix_x`` with ``x`` a parameter, and for options without one.
    """
    for key in settings:
        kind, _, name = str(key).partition("_")
        if kind in _INSTEAD and name and (name in settings or kind != "error"):
            msg = (
                f"settings: {key!r} is no parameter but a setting of old versions. "
                f"Write {_INSTEAD[kind].format(name=name)}"
            )
            raise ValueError(msg)
        if key in ("errordef", "pedantic", "print_level", "strategy"):
            msg = (
                f"settings: {key!r} is no parameter but an option of old versions. Settings hold start values only; "
                "errordef comes from the likelihood, strategy and print_level are attributes of the Minuit object."
            )
            raise ValueError(msg)


_INSTEAD = {
    "limit": "m = minuit(settings, likelihood); m.limits[{name!r}] = (lower, upper).",
    "error": "m = minuit(settings, likelihood); m.errors[{name!r}] = step.",
    "fix": "m = minuit(settings, likelihood); m.fixed[{name!r}] = True.",
}


def refuse_old_call(arguments: tuple, keywords: dict[str, Any]) -> NoReturn:
    """Refuse the call of PyPWA 3.

    Raises
    ------
    TypeError
        Always.
    """
    extra = [repr(a)[:30] for a in arguments] + [f"{k}=..." for k in keywords]
    msg = (
        f"minuit takes (settings, likelihood), got {', '.join(extra)} besides: that was PyPWA 3. Now it returns a "
        "Minuit object that is not fitted: m = minuit(settings, likelihood); m.strategy = 1; m.migrad(ncall=1000)."
    )
    raise TypeError(msg)
