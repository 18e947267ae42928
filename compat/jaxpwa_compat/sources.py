"""Intensities of a PyPWA-style amplitude as jaxpwa takes them: from this process, from threads, or from workers."""

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxpwa import IntensitySource, SuppliedTerm
from jaxpwa_compat.amplitudes import style_of
from jaxpwa_compat.blocks import block_sizes, count_events, split
from jaxpwa_compat.parts import Part, is_tensor
from jaxpwa_compat.processes import WorkerGroup, pack_amplitude
from jaxpwa_compat.workers import as_rows


def _aligned(n_rows: int, fill: float) -> np.ndarray:
    """Return a buffer that starts at a multiple of 64 bytes."""
    buffer = as_rows(bytearray(8 * n_rows + 64))
    buffer.fill(fill)
    return buffer


@dataclass(frozen=True)
class Slot:
    """One amplitude and its events.

    Attributes
    ----------
    amplitude, data
        As the user gave them.
    what
        What messages call the events.
    kind
        What will be summed over them, as `jaxpwa.SuppliedTerm` knows it.
    own
        Whether the amplitude may be the user's own object, or must be a copy.
    any_shape
        Whether `calculate` may return something else than one value per event.
    """

    amplitude: Any
    data: Any
    what: str
    kind: str = "intensity"
    own: bool = True
    any_shape: bool = False

    def count(self) -> int:
        """Return the number of events."""
        return count_events(self.data, self.what)


class _Source(IntensitySource):
    """What sources share: the order of the parameters' gradient, and why there is none."""

    def __init__(self, amplitude: Any, sizes: tuple[int, ...]):
        self.sizes = sizes
        self.has_gradient = bool(amplitude.USE_TORCH)
        self.why_no_gradient = ""

    def drop_gradient(self) -> None:
        """Forget about gradients: those of this amplitude are not right."""
        self.has_gradient = False


class LocalSource(_Source):
    """Parts in this process, one after the other, or each in its thread."""

    def __init__(self, slot: Slot, n_parts: int, threads: bool):
        n_events = slot.count()
        sizes = block_sizes(n_events, min(n_parts, n_events))
        super().__init__(slot.amplitude, sizes)
        blocks = split(slot.data, sizes)
        use_own = slot.own and not threads
        self._pool = ThreadPoolExecutor(len(sizes), "jaxpwa amplitude") if threads else None

        def part(number: int) -> Part:
            amplitude = slot.amplitude if use_own else copy.deepcopy(slot.amplitude)
            return Part(amplitude, blocks[number], sizes[number], number, slot.any_shape)

        self.parts = self._each(part, range(len(sizes)))
        self._neutral = SuppliedTerm.neutral(slot.kind)
        self._buffers: list[np.ndarray | None] = [None] * len(sizes)

    def _each(self, function: Any, *arguments: Any) -> list[Any]:
        run = map if self._pool is None else self._pool.map
        return list(run(function, *arguments))

    def launch(self, params: Any, keep: bool) -> Any:
        """Start the threads, or remember what to compute."""
        if self._pool is None:
            return params, keep
        return [self._pool.submit(part.values, params, keep) for part in self.parts]

    def collect(self, running: Any) -> Sequence[Any]:
        """Return the parts' intensities: torch's memory as JAX arrays, numpy's in aligned buffers."""
        if self._pool is None:
            results = [part.values(*running) for part in self.parts]
        else:
            results = [future.result() for future in running]
        self.why_no_gradient = next((p.why_no_gradient for p in self.parts if p.why_no_gradient), "")
        return [self._handed(i, values) for i, values in enumerate(results)]

    def _handed(self, number: int, values: Any) -> Any:
        if is_tensor(values):
            from jaxpwa_compat.tensors import to_jax_array

            return to_jax_array(values)
        buffer = self._buffers[number]
        if buffer is None:
            buffer = self._buffers[number] = _aligned(self.buffer_length(self.sizes[number]), self._neutral)
        np.copyto(buffer[: len(values)], values, casting="unsafe")
        return buffer

    def pullback(self, slopes: Sequence[Any]) -> np.ndarray:
        """Add the parts' gradients."""
        return np.sum(self._each(Part.pullback, self.parts, slopes), axis=0)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()


class WorkerSource(_Source):
    """One slot of a group of worker processes."""

    def __init__(self, amplitude: Any, group: WorkerGroup, slot: int):
        super().__init__(amplitude, (sum(group.sizes[slot]),))
        self._group, self._slot = group, slot

    def launch(self, params: Any, keep: bool) -> Any:
        """Ask the workers."""
        return self._group.ask("calculate", self._slot, params, keep)

    def collect(self, running: Any) -> Sequence[Any]:
        """Wait for them and return the memory that they share: one part, whatever their number."""
        answers = self._group.answers(running)
        self.why_no_gradient = next(filter(None, answers), "")
        return [self._group.buffers[self._slot][0]]

    def pullback(self, slopes: Sequence[Any]) -> np.ndarray:
        """Put the slopes into shared memory and add the workers' gradients."""
        buffer: Any = self._group.buffers[self._slot][1]
        np.copyto(buffer[: self.n_events], np.asarray(slopes[0])[: self.n_events])
        return np.sum(self._group.answers(self._group.ask("pullback", self._slot)), axis=0)


def check_amplitude(amplitude: Any) -> None:
    """Refuse what is not an object with `setup` and `calculate`."""
    is_class = isinstance(amplitude, type)
    if is_class or not all(hasattr(amplitude, name) for name in ("setup", "calculate")):
        got = f"the class {amplitude.__name__}: make an object of it" if is_class else repr(amplitude)[:60]
        msg = f"amplitude must be an object with setup(data) and calculate(parameters), a NestedFunction, got {got}."
        raise TypeError(msg)


def open_sources(slots: Sequence[Slot], n_parts: Any) -> tuple[list[Any], Any]:
    """Set up the amplitudes of a likelihood.

    Parameters
    ----------
    slots
        What it is made of; the flags of the first amplitude decide how all run.
    n_parts
        ``num_of_processes``; 0 is one part in this process.

    Returns
    -------
    sources
        One per slot.
    close
        A function that ends processes or threads.
    """
    if isinstance(n_parts, bool) or not isinstance(n_parts, (int, np.integer)) or n_parts < 0:
        msg = f"num_of_processes must be a whole number, 0 for none, got {n_parts!r}."
        raise ValueError(msg)
    check_amplitude(slots[0].amplitude)
    processes, threads = style_of(slots[0].amplitude)
    if not processes or n_parts == 0:
        in_threads = bool(threads and n_parts > 0)
        sources = [LocalSource(slot, int(n_parts) if in_threads else 1, in_threads) for slot in slots]
        return sources, lambda: [source.close() for source in sources]
    n_workers = min(int(n_parts), count_events(slots[0].data, slots[0].what))
    described = []
    for slot in slots:
        sizes = block_sizes(slot.count(), n_workers)
        filled = tuple(n for n in sizes if n)
        blocks = split(slot.data, filled) + [None] * (n_workers - len(filled))
        rows = IntensitySource.buffer_length(sum(sizes))
        gradient = bool(slot.amplitude.USE_TORCH)
        neutral = SuppliedTerm.neutral(slot.kind)
        described.append((pack_amplitude(slot.amplitude), blocks, sizes, rows, neutral, gradient, slot.any_shape))
    group = WorkerGroup(described)
    return [WorkerSource(slot.amplitude, group, i) for i, slot in enumerate(slots)], group.close
