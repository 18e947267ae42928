"""Fit results as tables: text for terminals, HTML for Jupyter."""

import html as html_lib
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxpwa.inference.result import FitResult


def rounded(value: float, error: float) -> tuple[str, str]:
    """Return a value and its error as text: the error to two digits, the value to as many decimals."""
    if not math.isfinite(error) or error <= 0 or not math.isfinite(value):
        return f"{value:.6g}", ""
    decimals = 1 - math.floor(math.log10(error))
    if round(error, decimals) >= 10.0 ** (2 - decimals):
        decimals -= 1
    if abs(value) < 1e6 and decimals <= 6:
        places = max(0, decimals)
        return f"{value:.{places}f}", f"{error:.{places}f}"
    top = math.floor(math.log10(max(abs(value), error)))
    places = max(0, decimals + top)
    scale = 10.0**top
    return f"{value / scale:.{places}f}e{top:+03d}", f"{error / scale:.{places}f}e{top:+03d}"


def _rows(result: "FitResult") -> tuple[list[str], list[list[str]]]:
    """Return the header and the cells of the table of parameters."""
    header = ["name", "value", "error"]
    if result.minos:
        header += ["minos -", "minos +"]
    if result.limits:
        header += ["lower", "upper"]
    header.append("")
    rows = []
    for name, value in result.values.items():
        shown, error = rounded(value, result.errors[name])
        row = [name, shown, error]
        if result.minos:
            row += [_minos_cell(e, result.errors[name]) for e in result.minos.get(name, (None, None))]
        if result.limits:
            low, high = result.limits.get(name, (-math.inf, math.inf))
            row += [f"{low:.6g}" if math.isfinite(low) else "", f"{high:.6g}" if math.isfinite(high) else ""]
        rows.append([*row, result._note(name)])
    if not any(row[-1] for row in rows):
        header.pop()
        rows = [row[:-1] for row in rows]
    return header, rows


def _minos_cell(error: float | None, sigma: float) -> str:
    if error is None:
        return ""
    if math.isnan(error):
        return "not found"
    text = rounded(0.0, abs(error))[1]
    return ("-" if error < 0 else "+") + text


def _summary(result: "FitResult") -> list[tuple[str, str]]:
    """Return what is said above the table."""
    digits = max(6, math.ceil(math.log10(max(1.0, abs(result.fval))) + 3)) if math.isfinite(result.fval) else 6
    calls = ", ".join(f"{n} {what}" for what, n in result.calls.items() if n)
    return [
        ("status", ("valid: " if result.valid else "NOT VALID: ") + result.message),
        (f"{result.cost or 'cost'}", f"{result.fval:.{digits}g}"),
        ("distance to minimum", f"{result.edm:.2g}"),
        ("entries", f"{result.ndata}"),
        ("errordef", f"{result.errordef:g}"),
        ("calls", f"{calls} in {result.seconds:.3g} s"),
    ]


def with_error(value: float, error: float) -> str:
    """Return a value with its error behind it, where there is one."""
    shown, sigma = rounded(value, error)
    return f"{shown} +- {sigma}" if sigma else shown


def text_table(header: list[str], rows: list[list[str]]) -> str:
    """Return rows of cells as text between rules, the first column left, others right."""
    table = [header, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]

    def line(row: list[str]) -> str:
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        return "  ".join(cells).rstrip()

    rule = "-" * max(len(line(row)) for row in table)
    return "\n".join([rule, line(header), rule, *(line(row) for row in rows), rule])


def escaped(content: str) -> str:
    """Return text as HTML."""
    return html_lib.escape(content).replace("\n", "<br>")


def html_table(header: list[str], rows: list[list[str]]) -> str:
    """Return rows of cells as an HTML table; contents are escaped."""

    def row_of(cells: list[str], tag: str) -> str:
        style = "padding:0.15em 0.8em;text-align:"
        sides = ["left", *["right"] * (len(cells) - 1)]
        inside = (f"<{tag} style='{style}{side}'>{escaped(c)}</{tag}>" for c, side in zip(cells, sides, strict=True))
        return f"<tr>{''.join(inside)}</tr>"

    body = "".join(row_of(row, "td") for row in rows)
    return f"<table><thead>{row_of(header, 'th')}</thead><tbody>{body}</tbody></table>"


def text(result: "FitResult") -> str:
    """Return the result as a text table."""
    summary = _summary(result)
    wide = max(len(label) for label, _ in summary)
    lines = [f"{label.ljust(wide)}  {content}" for label, content in summary]
    return "\n".join([*lines, text_table(*_rows(result))])


def html(result: "FitResult") -> str:
    """Return the result as HTML; names and messages are escaped."""
    colour = "#2e7d32" if result.valid else "#c62828"
    (_, status), *facts = _summary(result)
    said = " &middot; ".join(f"{escaped(label)} {escaped(content)}" for label, content in facts)
    return (
        f"<div><p style='margin:0'><b style='color:{colour}'>{escaped(status)}</b><br>{said}</p>"
        f"{html_table(*_rows(result))}</div>"
    )


class Tabular:
    """A record that prints as a heading and a table: as text in terminals, as HTML in Jupyter."""

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        """Return a heading, the header and the rows of the table."""
        raise NotImplementedError

    def __str__(self) -> str:
        heading, header, rows = self._table()
        return f"{heading}\n{text_table(header, rows)}"

    def _repr_html_(self) -> str:
        heading, header, rows = self._table()
        return f"<div><p style='margin:0'>{escaped(heading)}</p>{html_table(header, rows)}</div>"
