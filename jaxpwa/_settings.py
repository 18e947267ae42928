"""The JAX settings that jaxpwa makes when it is imported.

64-bit numbers are turned on (sums over 10^7 events and MINUIT's steps need them) and one virtual
CPU device is made per usable core (so that a sharded sum uses every core). Both give way to what
the user has set: ``JAX_ENABLE_X64`` or ``JAXPWA_X64=0``; ``JAX_NUM_CPU_DEVICES``, XLA's
``--xla_force_host_platform_device_count``, an earlier ``jax.config.update`` or ``JAXPWA_CPU_DEVICES=n``. Where
the latter leaves cores to others, XLA gets so many threads, too (``PJRT_NPROC``).

``JAXPWA_COMPILATION_CACHE=folder`` keeps compiled code between runs: it sets JAX's own persistent cache, for code of
any size. Nothing is kept unless it is set.
"""

import os
import warnings
from pathlib import Path

import jax

from jaxpwa._checks import PerformanceWarning, PrecisionWarning

_chosen: list[int] = []
"""The number of CPU devices that jaxpwa, not the user, has asked for."""


def _allowed(process: int) -> int:
    """Cores that a process may use by its affinity; all of the machine's where nobody knows."""
    affinity = getattr(os, "sched_getaffinity", None)
    try:
        return len(affinity(process)) if affinity else (os.cpu_count() or 1)
    except OSError:
        return os.cpu_count() or 1


def _within_quota(cores: int) -> int:
    """Return so many cores, or what a container's quota leaves of them."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()[:2]
        if quota != "max":
            return min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass
    return cores


def usable_cores() -> int:
    """Cores that this process may use: its affinity, less what a container's quota withholds."""
    return _within_quota(_allowed(0))


def cores_of_each(n_processes: int) -> int:
    """Return the cores for each of so many processes that share this machine.

    An even share of what they have together: of the CPUs of the SLURM job on this machine, elsewhere of those that
    the first process of the machine (or container) may use. A launcher that has bound this process to fewer cores
    has the last word.
    """
    job = os.environ.get("SLURM_CPUS_ON_NODE", "")
    together = int(job) if job.isdigit() else _allowed(1)
    return max(1, min(usable_cores(), _within_quota(together) // n_processes))


def share_cores(n_processes: int) -> None:
    """Ask for fewer CPU devices where processes share this machine, unless the user has chosen their number."""
    if _chosen and jax.config.jax_num_cpu_devices == _chosen[-1]:  # pyright: ignore[reportAttributeAccessIssue]
        _chosen.append(cores_of_each(n_processes))
        jax.config.update("jax_num_cpu_devices", _chosen[-1])
        _limit_threads(_chosen[-1])


def _limit_threads(devices: int) -> None:
    """Let XLA have no more threads than CPU devices, where those leave cores to others.

    Without, a device computes independent parts of a function on all cores: four processes with a device each on four
    cores would have sixteen threads that wait for each other (a gradient of W2 takes 1.4 times as long on two). XLA
    reads the variable when the first computation starts.
    """
    if devices < usable_cores():
        os.environ.setdefault("PJRT_NPROC", str(devices))


def _wanted_cpu_devices() -> int | None:
    """Return the number of CPU devices to ask for, or None where the user has decided already."""
    own = os.environ.get("JAXPWA_CPU_DEVICES")
    if own is not None:
        if not own.isdigit() or int(own) < 1:
            msg = f"JAXPWA_CPU_DEVICES must be a whole number of at least 1, got {own!r}."
            raise ValueError(msg)
        return int(own)
    if "JAX_NUM_CPU_DEVICES" in os.environ:
        return None
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return None
    if jax.config.jax_num_cpu_devices > 0:  # pyright: ignore[reportAttributeAccessIssue]
        return None
    return usable_cores()


def configure() -> None:
    """Apply the settings once, at import; never fail because JAX already runs."""
    folder = os.environ.get("JAXPWA_COMPILATION_CACHE")
    if folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        # JAX would keep only what took more than a second to compile; a fit compiles a handful of smaller things.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    if os.environ.get("JAXPWA_X64", "1") == "0":
        pass
    elif "JAX_ENABLE_X64" not in os.environ:
        jax.config.update("jax_enable_x64", True)
    wanted = _wanted_cpu_devices()
    if wanted is None:
        return
    _limit_threads(wanted)
    try:
        jax.config.update("jax_num_cpu_devices", wanted)
        if "JAXPWA_CPU_DEVICES" not in os.environ:
            _chosen.append(wanted)
    except RuntimeError:
        # JAX's backend already runs, so the number of its devices is settled.
        if jax.default_backend() == "cpu" and jax.local_device_count() < wanted:
            msg = (
                f"JAX was running before jaxpwa was imported, with {jax.local_device_count()} CPU device(s): "
                f"{wanted} cores can't be used. Import jaxpwa before the first JAX computation."
            )
            warnings.warn(msg, PerformanceWarning, stacklevel=4)


def warn_if_32_bit() -> None:
    """Warn where 64-bit numbers are off: a likelihood summed in float32 has about seven digits."""
    if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        msg = (
            "64-bit numbers are off in JAX: likelihood sums keep about 7 digits and MINUIT may not converge. "
            "Unset JAXPWA_X64=0 or JAX_ENABLE_X64, or call jax.config.update('jax_enable_x64', True)."
        )
        warnings.warn(msg, PrecisionWarning, stacklevel=3)
