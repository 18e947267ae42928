"""Amplitudes in PyPWA's style; in a module of their own, which worker processes can import."""

import os
import threading
import time

import numpy as np

from jaxpwa_compat.amplitudes import NestedFunction

NAMES = ("A1", "A2", "A3", "A4")


class Gauss(NestedFunction):
    """The two-dimensional Gauss in numpy, and how often and with what it was set up."""

    def setup(self, data):
        self.block_type = type(data).__name__
        self.x, self.y = np.asarray(data["x"]), np.asarray(data["y"])

    def calculate(self, p):
        a1, a2, a3, a4 = (p[n] for n in NAMES) if isinstance(p, dict) else p
        return np.exp(-(((self.x - a1) / a2) ** 2) - ((self.y - a3) / a4) ** 2) / (a2 * a4)


class GaussInline(Gauss):
    USE_MP = False


class GaussThreads(Gauss):
    USE_MP = False
    USE_THREADS = True


class GaussDebug(Gauss):
    DEBUG = True


class GaussNumexpr(Gauss):
    def calculate(self, p):
        import numexpr

        formula = "exp(-((x - A1) / A2)**2 - ((y - A3) / A4)**2) / (A2 * A4)"
        return numexpr.evaluate(formula, local_dict={"x": self.x, "y": self.y, **p})


class GaussTorch(NestedFunction):
    USE_MP = False
    USE_TORCH = True

    def setup(self, data):
        import torch

        self.x, self.y = (torch.tensor(np.asarray(data[n])) for n in ("x", "y"))

    def calculate(self, p):
        a1, a2, a3, a4 = (p[n] for n in NAMES) if isinstance(p, dict) else p
        return (-(((self.x - a1) / a2) ** 2) - ((self.y - a3) / a4) ** 2).exp() / (a2 * a4)


class GaussTorchProcesses(GaussTorch):
    USE_MP = True


class GaussTorchDetached(GaussTorch):
    """One parameter is taken out as a plain number, so autograd misses it."""

    def calculate(self, p):
        return super().calculate({**p, "A2": float(p["A2"])})


class GaussTorchThroughNumpy(GaussTorch):
    """numpy refuses tensors that remember."""

    def calculate(self, p):
        return super().calculate({**p, "A2": np.sqrt(p["A2"] ** 2)})


class Decay(NestedFunction):
    """exp(-a x); any parameters, None too."""

    def setup(self, data):
        self.thread = self.THREAD
        self.x = np.asarray(data["x"])

    def calculate(self, p):
        return np.exp(-(1.0 if p is None else p["a"]) * self.x)


class DecayInline(Decay):
    USE_MP = False


class Slope(NestedFunction):
    """A x, with numpy in this process."""

    USE_MP = False

    def setup(self, data):
        self.x = np.asarray(data["x"])

    def calculate(self, p):
        return p["A"] * self.x


class SlopeProcesses(Slope):
    USE_MP = True


class SlopeTorch(Slope):
    USE_TORCH = True

    def setup(self, data):
        import torch

        self.x = torch.tensor(np.asarray(data["x"]))


class SlopeNumexpr(Slope):
    def calculate(self, p):
        import numexpr

        return numexpr.evaluate("A * x", local_dict={"A": p["A"], "x": self.x})


class Part(NestedFunction):
    """Says which part of the events it is, and on which type."""

    def setup(self, data):
        self.data = data

    def calculate(self, p):
        return np.full(len(self.data), float(self.THREAD))


class Columns(NestedFunction):
    """Needs a DataFrame: a plain array has no such method."""

    def setup(self, data):
        self.x = data.eval("x + 1").to_numpy()

    def calculate(self, p):
        return self.x


class Returns(NestedFunction):
    """Returns what it was made with, cut to its block where that has events."""

    def __init__(self, values, use_mp=False):
        self.USE_MP = use_mp
        self.values = values

    def setup(self, data):
        self.data = data

    def calculate(self, p):
        return self.values(self.data) if callable(self.values) else self.values


class Unloadable(Exception):
    """An exception that pickles and does not load again."""

    def __init__(self, one, two):
        super().__init__(one)


class Fails(Decay):
    """Goes wrong in a chosen way, in worker 1 alone."""

    def __init__(self, how):
        self.how = how
        self.calls = 0

    def setup(self, data):
        super().setup(data)
        if self.how == "setup":
            msg = "boom"
            raise ValueError(msg)

    def calculate(self, p):
        self.calls += 1
        if self.THREAD == 1 and self.calls == 3:
            if self.how == "third call":
                msg = "boom"
                raise ValueError(msg)
            if self.how == "exit":
                os._exit(3)
            if self.how == "unloadable":
                raise Unloadable(1, 2)
        return super().calculate(p)


class HoldsALock(Decay):
    def __init__(self):
        self.lock = threading.Lock()


class Slow(Decay):
    def calculate(self, p):
        time.sleep(30)
        return super().calculate(p)


class OldSpherical(DecayInline):
    """Calls a function that SciPy dropped."""

    def setup(self, data):
        import scipy.special

        scipy.special.sph_harm(0, 1, 0.1, 0.2)


class OldComplex(DecayInline):
    def setup(self, data):
        self.x = np.complex(1, 2)  # noqa: NPY001


class Threads(NestedFunction):
    """How many threads numexpr has in each worker."""

    def setup(self, data):
        import numexpr

        self.n, self.k = len(data["x"]), numexpr.get_num_threads() if hasattr(numexpr, "get_num_threads") else 0

    def calculate(self, p):
        import numexpr

        return np.full(self.n, float(numexpr.set_num_threads(1)))
