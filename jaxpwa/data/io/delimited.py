"""Lines of delimited text found in its bytes, where the text is regular: no quotes, one line per event.

Lines are then counted and skipped some ten times faster than they are parsed, and blocks of them can be parsed one by
one. Whatever could be read in more than one way is called irregular and left to the parser.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxpwa.data.io.source import open_to_read

_BYTES = 1 << 22
_NEWLINE, _RETURN, _BLANK, _TAB = b"\n\r \t"

# pandas before 3.1 reads floats to the last bit only when asked; since then it does, and deprecates the question.
EXACT: dict[str, Any] = {}
if tuple(int(n) for n in pd.__version__.split(".")[:2]) < (3, 1):
    EXACT = {"float_precision": "round_trip"}


def unnamed(number: int) -> str:
    """Return the parser's name for a column without one, such as the index that pandas writes."""
    return f"Unnamed: {number}"


class Irregular(Exception):
    """The text has quotes, blank beginnings of lines, or another thing that the parser must judge."""


@dataclass(frozen=True)
class Lines:
    """Lines that are not empty.

    Attributes
    ----------
    text
        The bytes that hold them.
    starts, stops
        Where each begins, and where its end of line begins.
    """

    text: bytes
    starts: np.ndarray
    stops: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def check_fields(self, separator: str, n_columns: int) -> None:
        """Raise `Irregular` unless each line has so many fields."""
        found = np.flatnonzero(np.frombuffer(self.text, np.uint8) == ord(separator))
        before = np.append(np.searchsorted(found, self.starts), len(found))
        if (np.diff(before) != n_columns - 1).any():
            raise Irregular

    def parse(self, rows: slice, separator: str, names: list[str], columns: list[str] | None) -> pd.DataFrame:
        """Read some of the lines as a table."""
        stream = io.BytesIO(self.text[self.starts[rows.start] : self.stops[rows.stop - 1]])
        frame: pd.DataFrame = pd.read_csv(
            stream, sep=separator, header=None, names=names, usecols=columns, index_col=False, low_memory=False, **EXACT
        )
        return frame if columns is None else frame.loc[:, columns]


def _lines(text: bytes, separator: str) -> Lines:
    """Find the lines of a text that ends with one."""
    if b'"' in text or b"\0" in text or text.count(b"\r") != text.count(b"\r\n"):
        raise Irregular
    codes = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(codes == _NEWLINE)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if b"\r" in text:
        ends = ends - (codes[ends - 1] == _RETURN)
    full = ends > starts
    starts, ends = starts[full], ends[full]
    # The parser takes a line of nothing but blanks for empty, unless they separate fields.
    first = codes[starts]
    if (first == _BLANK).any() or (separator != "\t" and (first == _TAB).any()):
        raise Irregular
    return Lines(text, starts, ends)


def regular_lines(path: Path, separator: str, names: list[str]) -> Iterator[Lines]:
    """Yield the lines after the header, some megabytes at a time.

    Raises
    ------
    Irregular
        If the next lines are not regular.
    ValueError
        If compressed data are damaged.
    """
    with open_to_read(path) as stream:
        rest, header = b"", True
        while True:
            new = stream.read(_BYTES)
            text = rest + new if new or not rest or rest.endswith(b"\n") else rest + b"\n"
            end = text.rfind(b"\n") + 1
            text, rest = text[:end], text[end:]
            if header and text:
                line, _, text = text.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
                _check_header(line, separator, names)
                header = False
            if text:
                yield _lines(text, separator)
            if not new:
                return


def _check_header(line: bytes, separator: str, names: list[str]) -> None:
    """Raise `Irregular` unless the first line is the header, as it stands."""
    words = line.removesuffix(b"\r").decode("utf-8", "replace").split(separator)
    given = [name or unnamed(number) for number, name in enumerate(words)]
    if given != names or words == [""] or not all(name.strip() for name in names) or b'"' in line or b"\r" in line[:-1]:
        raise Irregular
