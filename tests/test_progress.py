"""Long work shows itself on a terminal and in Jupyter, never in a pipe, and short work nowhere."""

import io
import os
import pty
import re
import subprocess
import sys
import termios
import textwrap

import numpy as np
import pytest

import jaxpwa as jp
from jaxpwa import _progress
from jaxpwa._progress import progress_bar

SCRIPT = textwrap.dedent("""
    import time, jaxpwa as jp
    from jaxpwa import _progress
    from jaxpwa.inference.objective import Objective
    _progress._PATIENCE = 0.2
    compute = Objective._at
    def slow(self, *arguments):
        time.sleep(0.1)
        return compute(self, *arguments)
    Objective._at = slow
    result = jp.fit(jp.GaussianConstraint("a", 1.0, 0.1), {"a": 5.0})
    print("done", result.valid)
""")


def run_on_a_terminal(script):
    """Run a script whose standard error is a terminal and return what it wrote there."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break
        if not part:
            break
        written += part
    os.close(ours)
    out = process.communicate()[0].decode()
    assert process.returncode == 0, written.decode()
    return out, written.decode()


def test_a_long_fit_shows_its_calls_on_a_terminal():
    out, written = run_on_a_terminal(SCRIPT)
    assert out.strip() == "done True"
    assert "fit: " in written
    assert "call" in written


def test_a_long_fit_writes_nothing_into_a_pipe():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "done True"
    assert done.stderr == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("patience", "shown"), [(0.0, True), (60.0, False)])
def test_bars_wait_for_their_patience(monkeypatch, patience, shown):
    screen = Terminal()
    monkeypatch.setattr(_progress, "_PATIENCE", patience)
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_bar("work", 10, "event") as bar:
        bar.update(10)
    assert bool(screen.getvalue()) == shown


def test_bars_can_be_silenced_and_forced(monkeypatch):
    monkeypatch.setattr(_progress, "_PATIENCE", 0.0)
    for show, expected in ((False, False), (True, True)):
        pipe = io.StringIO()
        monkeypatch.setattr(sys, "stderr", pipe)
        with progress_bar("work", 10, "event", show) as bar:
            bar.update(10)
        assert bool(pipe.getvalue()) == expected


def test_a_jupyter_kernel_counts_as_a_screen(monkeypatch):
    class Shell:
        kernel = object()

    class Fake:
        @staticmethod
        def get_ipython():
            return Shell()

    monkeypatch.setitem(sys.modules, "IPython", Fake)
    assert _progress._in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", None)
    assert not _progress._in_notebook()


def test_reading_files_shows_events_and_their_rate_on_a_terminal(tmp_path):
    pytest.importorskip("pyarrow")
    jp.write(tmp_path / "data.parquet", {"x": np.linspace(0, 1, 60_000)})
    script = f"""
import time
import jaxpwa as jp
from jaxpwa import _progress
from jaxpwa.data.filedata import FileDataset
_progress._PATIENCE = 0.05
pieces = FileDataset.pieces
def slow(self, *arguments, **settings):
    for piece in pieces(self, *arguments, **settings):
        time.sleep(0.1)
        yield piece
FileDataset.pieces = slow
data = jp.Dataset.from_files({str(tmp_path / "data.parquet")!r}, memory_budget=1)
cost = jp.UnbinnedNLL(lambda p, d: 1 + p["a"] * d["x"], data)
print("done", cost({{"a": 1.0}}) < 0)
"""
    out, written = run_on_a_terminal(script)
    assert out.strip() == "done True"
    assert re.search(r"read data: .*/60\.0k .*events/s\]", written)
