"""The command ``pymask``: apply masks to a file of events, as PyPWA's does, by way of ``jaxpwa mask``."""

import argparse
import sys
from collections.abc import Sequence

import jaxpwa.cli

_HELP = """
Read events, keep those that pass, write them; the suffixes tell the formats.

Masks are files of 0 and 1 (.pf) or of the indices to keep (.sel). Several are joined with "and" unless told otherwise.

    pymask -i events.gamp -o kept.gamp -m accepted.pf -m signal.pf
"""


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="pymask", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-i", "--input", required=True, help="file of events")
    parser.add_argument("-o", "--output", required=True, help="file to write")
    parser.add_argument("-m", "--mask", action="append", default=[], help="mask; may be given several times")
    parser.add_argument("--use_or", action="store_true", help="keep what any mask keeps")
    parser.add_argument("--use_xor", action="store_true", help="keep what an odd number of masks keeps")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        Words of the command line; None: those of the process.

    Returns
    -------
    int
        0, or 1 with a message on standard error: no mask, both ``--use_or`` and ``--use_xor``, a mask of another
        length than the events, an unreadable file.

    Raises
    ------
    SystemExit
        With status 2 where words are missing or unknown, with 0 after ``--help``.
    """
    options = _parser().parse_args(arguments)
    if not options.mask:
        print(
            "pymask: at least one mask is needed, got none: add -m MASK. To convert, use jaxpwa mask.", file=sys.stderr
        )
        return 1
    if options.use_or and options.use_xor:
        print("pymask: --use_or and --use_xor exclude each other, got both: leave one out.", file=sys.stderr)
        return 1
    how = ["--use_or"] * options.use_or + ["--use_xor"] * options.use_xor
    # With "=", a name that starts with a hyphen is no option.
    masks = [f"--mask={mask}" for mask in options.mask]
    return jaxpwa.cli.main(["mask", f"--input={options.input}", f"--output={options.output}", *masks, *how])


if __name__ == "__main__":
    sys.exit(main())
