"""What sampling gave: chains that print as a table and go to arviz, pandas and derived quantities."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

import jax
import jax.numpy as jnp

from jaxpwa._checks import known
from jaxpwa._extras import needs
from jaxpwa.inference import report

# Vehtari, Gelman, Simpson, Carpenter, Buerkner, Bayesian Analysis 16 (2021) 667.
_LARGEST_R_HAT = 1.01
_LEAST_PER_CHAIN = 100
_POINTS_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Posterior(report.Tabular):
    """Draws from exp(-cost), of `sample_posterior`.

    Attributes
    ----------
    samples
        Draws by name of the parameter, ``(chains, draws)``; tied parameters with them.
    log_density
        Logarithm of the density in the parameters, without its constant: -cost, or -cost/2 for chi-squared,
        ``(chains, draws)``.
    fixed
        Values of the parameters that are not sampled.
    limits
        ``(lower, upper)`` by name, infinite where there is none; only limited parameters.
    diverging
        Where the integration of a trajectory broke down, ``(chains, draws)``, bool.
    acceptance
        Mean acceptance along the trajectory, ``(chains, draws)``.
    steps, depth
        Gradients that a draw took, and doublings of its trajectory, ``(chains, draws)``.
    energy
        Total energy of each draw, ``(chains, draws)``.
    step_size
        Of the integration, in units of the fit's errors.
    warmup
        Draws of each chain that were thrown away.
    calls
        Gradients of the cost, in all, in ``"warmup"`` and ``"draws"``.
    cost
        What was sampled.
    seconds
        Duration.
    versions
        Of jaxpwa and what sampling stands on.
    """

    samples: dict[str, np.ndarray]
    log_density: np.ndarray
    fixed: dict[str, float]
    limits: dict[str, tuple[float, float]]
    diverging: np.ndarray
    acceptance: np.ndarray
    steps: np.ndarray
    depth: np.ndarray
    energy: np.ndarray
    step_size: float
    warmup: int
    calls: dict[str, int] = field(default_factory=dict)
    cost: str = ""
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        chains, draws = self.log_density.shape
        return f"<Posterior of {self.cost}: {chains} chains of {draws} draws; parameters: {known(self.samples)}>"

    @cached_property
    def _rows(self) -> dict[str, dict[str, float]]:
        """Rows of the summary, by name."""
        statistics = needs("arviz_stats.base", "mcmc", "the table of a posterior").array_stats
        axes: dict[str, Any] = {"chain_axis": 0, "draw_axis": 1}
        rows = {}
        for name, x in self.samples.items():
            low, high = np.quantile(x, [0.16, 0.84]).tolist()
            row = {"mean": float(x.mean()), "sd": float(x.std(ddof=1)), "16%": low, "84%": high}
            # Where nothing varies there is no spread to compare.
            varies = np.ptp(x) > 0
            row["ess_bulk"] = float(statistics.ess(x, method="bulk", **axes)) if varies else np.nan
            row["r_hat"] = float(statistics.rhat(x, **axes)) if varies and len(x) > 1 else np.nan
            rows[name] = row
        return rows

    def summary(self) -> pd.DataFrame:
        """Return one row per parameter.

        Returns
        -------
        Columns ``mean``, ``sd``, ``16%``, ``84%`` (quantiles), ``ess_bulk`` (how many independent draws the chains are
        worth) and ``r_hat`` (near 1 where chains agree; NaN for a single chain), the last two by arviz-stats.
        """
        return pd.DataFrame.from_dict(self._rows, orient="index")

    @property
    def problem(self) -> str:
        """What is wrong with the chains and what to do, in sentences; empty where nothing shows."""
        n_chains, n_draws = self.log_density.shape
        parts = []
        n_bad = int(self.diverging.sum())
        if n_bad:
            parts.append(
                f"{n_bad} of {self.diverging.size} trajectories diverged: draws are missing where the density bends "
                "too sharply. Raise target_accept (0.9, 0.99), or choose parameters in which the density is smoother."
            )
        apart = [name for name, row in self._rows.items() if row["r_hat"] > _LARGEST_R_HAT]
        if apart:
            parts.append(
                f"r_hat of {known(apart)} is above {_LARGEST_R_HAT}: chains disagree. Draw more, with a longer warmup; "
                "chains that stay apart found several minima: limits keep them in one."
            )
        few = [name for name, row in self._rows.items() if row["ess_bulk"] < _LEAST_PER_CHAIN * n_chains]
        if few:
            parts.append(
                f"ess_bulk of {known(few)} is below {_LEAST_PER_CHAIN} per chain: quantiles and r_hat are uncertain. "
                f"Draw more than {n_draws} times."
            )
        if np.ptp(self.log_density) == 0:
            parts.append("No chain moved: no step was accepted. Look at the fit, or warm up longer.")
        return " ".join(parts)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per draw.

        Returns
        -------
        Columns ``chain``, ``draw``, then each parameter, ``log_density`` and ``diverging``.
        """
        chains, draws = self.log_density.shape
        where = {"chain": np.repeat(np.arange(chains), draws), "draw": np.tile(np.arange(draws), chains)}
        drawn = {name: x.ravel() for name, x in self.samples.items()}
        last = {"log_density": self.log_density.ravel(), "diverging": self.diverging.ravel()}
        return pd.DataFrame({**where, **drawn, **last})

    def to_arviz(self) -> Any:
        """Return the chains as arviz takes them.

        Returns
        -------
        xarray.DataTree
            With the groups ``posterior`` and ``sample_stats`` (``lp``, ``diverging``, ``acceptance_rate``, ``n_steps``,
            ``tree_depth``, ``energy``, ``step_size``), dimensions ``chain`` and ``draw``.

        Raises
        ------
        ModuleNotFoundError
            If arviz-base is not installed.
        ValueError
            If a parameter's name has a ``/``.
        """
        arviz = needs("arviz_base", "mcmc", "Posterior.to_arviz")
        stats = {
            "lp": self.log_density,
            "diverging": self.diverging,
            "acceptance_rate": self.acceptance,
            "n_steps": self.steps,
            "tree_depth": self.depth,
            "energy": self.energy,
            "step_size": np.full(self.log_density.shape, self.step_size),
        }
        attributes = {
            "inference_library": "blackjax",
            "inference_library_version": self.versions.get("blackjax", ""),
            "sampling_time": self.seconds,
            "tuning_steps": self.warmup,
        }
        return arviz.from_dict({"posterior": self.samples, "sample_stats": stats}, attrs={"posterior": attributes})

    def propagate(self, function: Callable[[dict[str, Any]], Any]) -> Any:
        """Compute something from the parameters at every draw.

        Parameters
        ----------
        function
            ``function(params)``, written with `jax.numpy`: returns numbers or arrays, or dicts, lists or records of
            such. It sees fixed parameters, too.

        Returns
        -------
        What the function returns, with two axes in front: ``(chains, draws, ...)``.

        Raises
        ------
        TypeError
            If the function can't be traced.
        """
        shape = self.log_density.shape
        flat = {name: jnp.asarray(x.ravel()) for name, x in self.samples.items()}
        fixed = {name: jnp.asarray(value) for name, value in self.fixed.items()}

        def at(params: dict[str, Any]) -> Any:
            return jax.tree.map(jnp.asarray, function({**params, **fixed}))

        try:
            out = jax.jit(lambda p: jax.lax.map(at, p, batch_size=_POINTS_AT_ONCE))(flat)
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
            line = str(error).split("\n", 1)[0]
            msg = f"the function can't be traced: write it with jax.numpy, without float() or if on values. {line}"
            raise TypeError(msg) from None
        return jax.tree.map(lambda a: np.asarray(a).reshape(*shape, *a.shape[1:]), out)

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        """Return a heading, the header and the rows of the table."""
        chains, draws = self.log_density.shape
        calls = ", ".join(f"{n} in {what}" for what, n in self.calls.items())
        heading = (
            f"posterior of {self.cost}: {chains} chains of {draws} draws after {self.warmup}\n"
            f"gradients: {calls}, {self.seconds:.3g} s; mean acceptance {self.acceptance.mean():.2f}, "
            f"{int(self.diverging.sum())} divergences"
        )
        if self.problem:
            heading += f"\n{self.problem}"
        header = ["name", "mean", "sd", "16%", "84%", "ess_bulk", "r_hat"]
        rows = []
        for name, row in self._rows.items():
            mean, sd = report.rounded(row["mean"], row["sd"])
            low, high = (report.rounded(row[q], row["sd"])[0] for q in ("16%", "84%"))
            ess = "" if np.isnan(row["ess_bulk"]) else f"{row['ess_bulk']:.0f}"
            r_hat = "" if np.isnan(row["r_hat"]) else f"{row['r_hat']:.3f}"
            rows.append([name, mean, sd, low, high, ess, r_hat])
        for name, value in self.fixed.items():
            rows.append([name, f"{value:.6g}", "fixed", "", "", "", ""])
        return heading, header, rows

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))
