"""The wheel, installed in a clean environment, away from the checkout."""

import subprocess
import sys
import zipfile

import pytest
from models import ROOT

SMOKE = """
import jaxpwa as jp, jaxpwa_compat, pathlib, jax.numpy as jnp
assert "site-packages" in jp.__file__ and "site-packages" in jaxpwa_compat.__file__
cost = jp.UnbinnedNLL(lambda p, d: p["b"] * jnp.exp(-p["a"] * d["x"]), {"x": [1.0, 2.0]})
assert abs(cost({"b": 3.0, "a": 0.5}) + 0.6972245773362196) < 1e-14
assert (pathlib.Path(jp.__file__).parent / "py.typed").exists()
print(jp.__version__)
"""


@pytest.mark.slow
def test_the_wheel_works_in_a_clean_environment(tmp_path):
    def run(*command, cwd=tmp_path):
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False, timeout=550)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT))
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"jaxpwa", "jaxpwa_compat"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    run(sys.executable, "-m", "venv", str(tmp_path / "clean"))
    python = str(tmp_path / "clean" / "bin" / "python")
    run(python, "-m", "pip", "install", "--quiet", str(wheel))
    assert run(python, "-c", SMOKE).strip()
