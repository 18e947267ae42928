"""What the README says is true."""

import os
import re
import subprocess
import sys

import pytest
from models import ROOT

README = (ROOT / "README.md").read_text()


def blocks(kind):
    return [body for label, body in re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL) if label == kind]


def test_the_fit_of_the_readme_prints_what_it_shows(tmp_path):
    (tmp_path / "fit.py").write_text(blocks("python")[0])
    done = subprocess.run(
        [sys.executable, "-W", "error", "fit.py"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = next(b for b in blocks("") if b.startswith("kept"))

    def stable(text):
        # Calls, duration and the last digits of the distance to the minimum differ between machines.
        return [line.rstrip() for line in text.strip().splitlines() if not re.match("calls|distance", line)]

    assert stable(done.stdout) == stable(shown)
    assert (tmp_path / "fit.json").exists()


def test_the_commands_of_the_readme_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)", README)) <= targets


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", README):
        assert (ROOT / target).exists(), target


def test_every_public_name_is_in_the_documentation():
    import jaxpwa as jp

    text = README + (jp.__doc__ or "")
    text += "".join((ROOT / "docs" / name).read_text() for name in ("guide.md", "results.md", "large.md"))
    names = [n for n, v in vars(jp).items() if callable(v) and not n.startswith("_") and not n.endswith("Warning")]
    assert len(names) > 25
    for name in names:
        assert name in text


def test_the_snippets_of_the_compat_readme_and_of_the_guide_run(tmp_path):
    text = (ROOT / "compat" / "README.md").read_text()
    guide = (ROOT / "docs" / "guide.md").read_text()
    (compat,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    blocks = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    words = "IntensitySource", "fit_many", "load_integrals"
    decay, many, saved = (next(b for b in blocks if word in b) for word in words)
    prelude = (
        "import numpy as np\nimport jaxpwa\nimport jaxpwa as jp\nrng = np.random.default_rng(1)\n"
        "data = {n: rng.normal(10, 2, 5000) for n in 'xy'}\nx = rng.exponential(0.5, 5000)\n"
    )
    end = "\nassert minuit.valid\nassert result.valid\n"
    (tmp_path / "a.py").write_text(prelude + compat + end)
    (tmp_path / "b.py").write_text(prelude + decay + "\nassert result.valid\n")
    two = (
        "import jax.numpy as jnp\ndecay = lambda p, d: p['a'] * jnp.exp(-p['a'] * d['x'])\n"
        "cost_low, cost_high = (jp.UnbinnedNLL(decay, {'x': x[:n]}) for n in (900, 1800))\n"
    )
    (tmp_path / "c.py").write_text(prelude + two + many + "\nassert all(r.valid for r in fits.values())\n")
    linear = (
        "intensity = lambda p, d: p['a'] ** 2 + p['b'] ** 2 * d['x']\nstart = {'a': 1.0, 'b': 0.5}\n"
        "data, accepted_mc = {'x': x}, {'x': rng.uniform(0, 3, 9000)}\n"
    )
    (tmp_path / "d.py").write_text(
        prelude + linear + saved + "\nassert integrals.belong_to(accepted_mc)\ncost(start)\n"
    )
    physics = "\n".join(b for b in blocks if "jaxpwa.physics import" in b and "events.gamp" not in b)
    events = (
        "from jaxpwa.physics import generate_production\n"
        "events = {n: rng.uniform(-1, 1, 100) for n in ('costheta', 'phi', 'Phi')} | {'mass': rng.uniform(1, 2, 100)}\n"
        "made = generate_production(1, 8.5, 0.938272, 0.938272, {'eta': 0.547862, 'pi0': 0.134977}, 100)\n"
        "beam, recoil, eta, pi0 = made.beam, made.recoil, made.daughters['eta'], made.daughters['pi0']\n"
    )
    (tmp_path / "e.py").write_text(prelude + events + physics + "\nassert len(d_wave) == len(columns['Phi']) == 100\n")
    for script in ("a.py", "b.py", "c.py", "d.py", "e.py"):
        command = [sys.executable, "-W", "error", script]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_page_on_results_is_a_script_that_runs(tmp_path):
    """Every block, in order, with warnings as errors; it leaves its pictures and files."""
    page = (ROOT / "docs" / "results.md").read_text()
    (tmp_path / "page.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)))
    done = subprocess.run(
        [sys.executable, "-W", "error", "page.py"],
        capture_output=True, text=True, cwd=tmp_path, check=False, env={**os.environ, "MPLBACKEND": "Agg"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pictures = {"mass", "yields", "phase", "profile", "correlation", "corner"}
    assert {path.stem for path in tmp_path.glob("*.png")} == pictures
    assert (tmp_path / "fit.json").exists()
    assert len(list((tmp_path / "bins").glob("bin_*.json"))) == 4


@pytest.mark.slow
def test_the_page_on_large_samples_is_a_script_that_runs(tmp_path):
    """Every block, in order, with warnings as errors; the workers start though it has no guard for the main module."""
    page = (ROOT / "docs" / "large.md").read_text()
    (tmp_path / "page.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)))
    command = [sys.executable, "-W", "error", "page.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "nothing is stored: events are read from files at every call" in done.stdout
    assert "8 of 8 tasks came back" in done.stdout
    assert "bootstrap: 32 samples" in done.stdout
    assert "4 fits of 1 cost" in done.stdout
    assert not (tmp_path / "fit.checkpoint").exists()


@pytest.mark.parametrize("page", ["results.md", "large.md", "scaling.md", "guide.md"])
def test_every_link_of_the_pages_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", (ROOT / "docs" / page).read_text()):
        assert (ROOT / "docs" / target).exists(), target
