"""Every target of the design in one run: work, time of jaxpwa and of a peer, ratio, target, met or MISSED.

    python -m benchmarks.targets            prints the table and writes benchmarks/results/targets.json
    python -m benchmarks.targets --turns 7  takes more turns, for a noisy machine

Tools run in processes of their own that take turns, and ratios are medians of the ratios turn by turn. Rows without
a target are for comparison. Peers that are not installed are left out: pip install -e ".[bench]".
"""

import argparse
import itertools

from benchmarks import w1, w2
from benchmarks.turns import table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3, help="how often each tool gets its turn")
    turns = parser.parse_args().turns
    done = table("targets", itertools.chain(w1.rows(turns), w2.rows(turns)))
    missed = [row.work for row in done if row.met is False]
    met = sum(row.met is True for row in done)
    print(f"{met} targets met, {len(missed)} missed{': ' if missed else ''}{', '.join(missed)}")


if __name__ == "__main__":
    main()
