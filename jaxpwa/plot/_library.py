"""Matplotlib, or how to install it."""

from jaxpwa._extras import needs

pyplot = needs("matplotlib.pyplot", "plot", "jaxpwa.plot")
