"""Colours, and a style for as long as it is wanted."""

from contextlib import AbstractContextManager
from typing import Any

from matplotlib import rc_context
from matplotlib.rcsetup import cycler

from jaxpwa._checks import known
from jaxpwa._extras import needs

# M. A. Petroff, "Accessible Color Sequences for Data Visualization", arXiv:2107.02270: ten colours that people with
# any kind of colour vision tell apart.
PALETTE = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)

# Grey is too faint for a line among others: it comes last.
_LINES = [PALETTE[i] for i in (2, 1, 4, 6, 9, 5, 7, 8, 3)]
_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (5, 1.5, 1.5, 1.5)))
FIT, DATA, MUTED = PALETTE[0], "black", "0.45"

_OWN = {
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.axisbelow": True,
    "figure.dpi": 120,
    "font.size": 11,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # text stays text; journals ask for it
    "savefig.dpi": 200,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "xtick.top": True,
    "ytick.right": True,
}


def line_look(i: int) -> dict[str, Any]:
    """Return colour and dashes of the i-th of several lines: no two of the first 36 look alike."""
    return {"color": _LINES[i % len(_LINES)], "ls": _DASHES[i // len(_LINES) % len(_DASHES)]}


def style(name: str | None = None, **settings: Any) -> AbstractContextManager:
    """Matplotlib settings for pictures in print, in force inside of a ``with`` block only.

    Parameters
    ----------
    name
        None: jaxpwa's own. Or a style of mplhep: ``"ATLAS"``, ``"CMS"``, ``"LHCb2"``, ``"ALICE"``, ``"ROOT"``, ....
    **settings
        Further settings, with ``_`` for the dots: ``font_size=14``.

    Returns
    -------
    A context manager. What was set before is back after the block.

    Raises
    ------
    ModuleNotFoundError
        If a style of mplhep is wanted and mplhep is missing.
    ValueError
        If there is no such style or setting.

    Examples
    --------
    >>> from matplotlib import rcParams
    >>> from jaxpwa import plot
    >>> with plot.style(font_size=14):
    ...     rcParams["font.size"]
    14.0
    """
    import matplotlib

    base: Any = _OWN if name is None else _of_mplhep(name)
    by_name = {key.replace(".", "_"): key for key in matplotlib.rcParams}
    unknown = [key for key in settings if key not in by_name]
    if unknown:
        msg = f"there is no setting {known(unknown)} in matplotlib; write font_size=14 for its 'font.size'."
        raise ValueError(msg)
    return rc_context(base | {by_name[key]: value for key, value in settings.items()})


def _of_mplhep(name: str) -> dict[str, Any]:
    """Return a style that mplhep brings."""
    styles = needs("mplhep", "plot", f"plot.style({name!r})").style
    found = {key: value for key, value in vars(styles).items() if isinstance(value, dict) and key[:1].isupper()}
    if name not in found:
        msg = f"there is no style {name!r}; mplhep has {known(found, 30)}."
        raise ValueError(msg)
    return found[name]
