"""Two virtual CPU devices and 64-bit numbers for every test; implicit rank promotion is an error."""

import os
from pathlib import Path

import matplotlib
import pytest

import jax

matplotlib.use("Agg")
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data, found by JAXPWA_DATA or beside the checkout."""
    folder = Path(os.environ.get("JAXPWA_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "MANIFEST.md").exists():
        pytest.skip(f"no real data at {folder}: set JAXPWA_DATA to the folder that holds its MANIFEST.md")
    return folder


@pytest.fixture(scope="session")
def rho_folder(shared_data: Path) -> Path:
    """Polarised rho photoproduction: RHOw.csv (data) and flat_data.csv (Monte Carlo)."""
    return shared_data / "pypwa" / "tests" / "test_data" / "docs" / "program_data" / "rho"


@pytest.fixture(autouse=True, scope="module")
def _compiled_code_is_let_go():
    """Give back the memory of code that no other file of tests runs."""
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def _kinds_that_are_installed(request: pytest.FixtureRequest) -> None:
    """Skip tests of amplitudes whose library is not there."""
    kind = getattr(request.node, "callspec", None) and request.node.callspec.params.get("kind")
    if getattr(kind, "USE_TORCH", False):
        pytest.importorskip("torch")
    elif "Numexpr" in getattr(kind, "__name__", ""):
        pytest.importorskip("numexpr")
