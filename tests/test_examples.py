"""Every example runs, small, as its reader would run it."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from models import ROOT
from processes import run as run_processes

import jaxpwa as jp

EXAMPLES = sorted(p.name for p in (ROOT / "examples").glob("*.py"))


def run(script, *arguments, cwd):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / script), *arguments],
        capture_output=True, text=True, cwd=cwd, env=environment, check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


AMPLITUDES = {
    "eta_pi_polarised.py": ("waves", "phases", "moments", "argand", "projections"),
    "dalitz.py": ("dalitz_plot", "dalitz_projections", "dalitz_fractions"),
}


@pytest.mark.parametrize("script", sorted(set(EXAMPLES) - set(AMPLITUDES)))
def test_the_example_runs_quickly(script, tmp_path):
    out = run(script, "--quick", cwd=tmp_path)
    assert "valid: minimum found" in out
    assert "NOT VALID" not in out


@pytest.mark.slow
def test_the_distributed_fit_finds_its_truth_alone_and_as_two_processes(tmp_path):
    script, folder = ROOT / "examples" / "distributed_fit.py", tmp_path / "fit"
    first, second = run_processes(2, script, folder, "--quick", timeout=500)
    assert "processes: 2" in first.out
    assert second.out == ""
    shared = jp.load_result(folder / "fit.json")
    for name, truth in (("m a2", 1.318), ("w a2", 0.11)):
        assert abs(shared.values[name] - truth) < 4 * shared.errors[name]
    for more in ([], ["--memory", "1"]):
        out = run("distributed_fit.py", str(folder), *more, cwd=tmp_path)
        assert "processes: 1" in out
        assert ("read from files at every call" in out) == bool(more)
        alone = jp.load_result(folder / "fit.json")
        assert alone.fval == pytest.approx(shared.fval, rel=1e-12)
        for name, value in shared.values.items():
            assert abs(alone.values[name] - value) < 1e-3 * shared.errors[name]


def found(pattern, text):
    """Return the groups of a pattern, which must be there."""
    match = re.search(pattern, text)
    assert match, pattern
    return match.groups()


@pytest.mark.slow
@pytest.mark.parametrize("script", AMPLITUDES)
def test_the_amplitude_analysis_finds_its_truth_and_draws_it(script, tmp_path):
    out = run(script, "--quick", "--plots", "pictures", cwd=tmp_path)
    assert "valid: minimum found" in out
    assert "NOT VALID" not in out
    chi2, n = map(float, found(r"from what was put in: chi2 = (\S+) for (\d+)", out))
    # The truth is no better than the minimum, and no worse than five standard deviations of chi-squared.
    assert 0 <= chi2 < n + 5 * np.sqrt(2 * n)
    # Numbers derived from the parameters, with their own errors, and the data against the fit.
    largest = float(found(r"largest difference of a \w+ from what was put in: (\S+) standard", out)[0])
    assert largest < 4
    p_value = float(found(r"quality of the fit\n.* p = ([^ ,]+)", out)[0])
    assert p_value > 1e-3
    for picture in AMPLITUDES[script]:
        content = (tmp_path / "pictures" / f"{picture}.png").read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert len(content) > 20_000
    if script == "eta_pi_polarised.py":
        low, high, valid = found(r"4 bins of mass from (\S+) to (\S+): (\d) with a valid fit", out)
        assert (float(low), float(high), int(valid)) == (1.04, 1.6, 4)
        within = float(found(r"yields of waves in bins: (\d+)%", out)[0])
        assert within >= 60
        assert len(list((tmp_path / "pictures" / "4 bins").glob("bin_*.json"))) == 4


@pytest.mark.slow
def test_the_gauss_tutorial_at_full_size_finds_its_truth(tmp_path):
    out = run("gauss2d.py", cwd=tmp_path)
    kept = [float(v) for v in re.findall(r"\((\d+\.\d+) %\)", out)]
    assert len(kept) == 10
    assert np.mean(kept) == pytest.approx(7.0685, abs=4 * 0.0256 / np.sqrt(10))
    for fcn, expected, n in re.findall(r"FCN (\S+), N \(1 \+ ln 9\) = (\S+)\n(?s:.*?)entries\s+(\d+)", out):
        assert float(fcn) == pytest.approx(float(expected), abs=5 * np.sqrt(float(n)))
    values = {
        name: [float(v) for v in re.findall(rf"^{name} +(\S+) +0\.00[78]\d", out, re.MULTILINE)]
        for name in ("A1", "A2", "A3", "A4")
    }
    for name, truth in (("A1", 10), ("A2", 3), ("A3", 10), ("A4", 3)):
        assert len(values[name]) == 10
        assert np.mean(values[name]) == pytest.approx(truth, abs=4 * 0.008 / np.sqrt(10))
    picture = (tmp_path / "gauss2d.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(picture) > 20_000


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom():
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(ROOT / "examples" / "gauss2d.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=400, kernel_name="python3").execute()
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    text = str(outputs)
    assert "text/html" in text
    assert "image/png" in text
    assert "minimum found" in text
