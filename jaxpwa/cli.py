"""The command ``jaxpwa``: convert files of events and apply masks to them."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxpwa._progress import progress_bar
from jaxpwa.data.binning import take_rows
from jaxpwa.data.io import iter_chunks, read, write_chunks

_ROWS = 1 << 16

_MASK_HELP = """
Read events, keep those that pass, write them; the suffixes tell the formats, so without a mask this converts a file.

Masks are files of 0 and 1 (.pf) or of the indices to keep (.sel). Several are joined with "and" unless told otherwise.
Large files are read, and text is written, piece by piece.

    jaxpwa mask -i events.gamp -o kept.gamp -m accepted.pf -m signal.pf
    jaxpwa mask -i events.csv  -o events.parquet
"""


def _mask(path: Path, n_events: int | None) -> np.ndarray:
    """Read a mask; a selection needs the number of events to become one."""
    values = read(path)
    if not isinstance(values, np.ndarray) or values.ndim != 1:
        msg = f"{path} is no mask: one value per line is needed."
        raise ValueError(msg)
    if values.dtype == bool:
        return values
    if path.suffix.lower() != ".sel" or values.dtype.kind != "i":
        msg = f"{path} is no mask: .pf files hold 0 and 1, .sel files the indices to keep."
        raise ValueError(msg)
    if n_events is None:
        msg = f"{path} holds indices; the number of events is not known."
        raise ValueError(msg)
    if values.size and values.max() >= n_events:
        msg = f"{path} selects event {values.max()}, but there are {n_events} events (0 to {n_events - 1})."
        raise ValueError(msg)
    mask = np.zeros(n_events, bool)
    mask[values] = True
    return mask


def _joined(paths: Sequence[Path], how: str, n_events: int | None) -> np.ndarray | None:
    """Join masks of equal lengths."""
    masks = [_mask(path, n_events) for path in paths]
    for path, mask in zip(paths, masks, strict=True):
        if len(mask) != len(masks[0]):
            msg = f"masks must have equal lengths: {paths[0]} has {len(masks[0])} entries, {path} has {len(mask)}."
            raise ValueError(msg)
    if not masks:
        return None
    operation = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}[how]
    return operation.reduce(masks)


def _kept(source: Path, mask: np.ndarray | None, bar: Any, tally: list[int]) -> Iterator[Any]:
    """Yield what passes, piece by piece; the mask must be as long as the file."""
    start = 0
    for table in iter_chunks(source, _ROWS):
        n = len(table)
        if mask is None:
            keep = np.ones(n, bool)
        else:
            keep = mask[start : start + n]
            if len(keep) < n:
                n_events = start + sum(len(t) for t in iter_chunks(source, _ROWS)) if start == 0 else None
                more = f"{n_events}" if n_events else f"more than {len(mask)}"
                msg = f"the mask has {len(mask)} entries, but {source} has {more} events."
                raise ValueError(msg)
        start += n
        tally[0] += int(keep.sum())
        bar.update(n)
        yield take_rows(table, keep)
    tally[1] = start
    if mask is not None and start != len(mask):
        msg = f"the mask has {len(mask)} entries, but {source} has {start} events."
        raise ValueError(msg)


def mask_command(options: argparse.Namespace) -> None:
    """Run ``jaxpwa mask``."""
    n_events = None
    if any(path.suffix.lower() == ".sel" for path in options.mask):
        n_events = sum(len(table) for table in iter_chunks(options.input, _ROWS))
    mask = _joined(options.mask, options.how, n_events)
    tally = [0, 0]
    with progress_bar("mask", None if mask is None else len(mask), "event") as bar:
        write_chunks(options.output, _kept(options.input, mask, bar, tally))
    print(f"kept {tally[0]} of {tally[1]} events: {options.output}")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog="jaxpwa", description="Amplitude analysis in JAX.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    mask = commands.add_parser(
        "mask",
        help="apply masks to a file of events, or convert it",
        description=_MASK_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    mask.add_argument("-i", "--input", type=Path, required=True, help="file of events")
    mask.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    mask.add_argument("-m", "--mask", type=Path, action="append", default=[], help="mask; may be given several times")
    how = mask.add_mutually_exclusive_group()
    how.add_argument("--use_and", dest="how", action="store_const", const="and", help="keep what all masks keep")
    how.add_argument("--use_or", dest="how", action="store_const", const="or", help="keep what any mask keeps")
    how.add_argument("--use_xor", dest="how", action="store_const", const="xor", help="keep what an odd number keeps")
    mask.set_defaults(run=mask_command, how="and")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 with a message on standard error."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except (OSError, ValueError, TypeError, ModuleNotFoundError) as error:
        print(f"jaxpwa: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
