"""The repository itself: layers, public names, docstrings, file sizes, the face of a clean import."""

import ast
import doctest
import importlib
import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from models import ROOT

import jaxpwa as jp

PACKAGE = ROOT / "jaxpwa"
MODULES = [m.name for m in pkgutil.walk_packages(jp.__path__, "jaxpwa.")]

# What a room may import, besides the leaves (modules whose name starts with an underscore) and itself.
LAYERS = {
    "physics": set(),
    "data": set(),
    "engine": {"data"},
    "farms": set(),
    "inference": {"data", "engine", "farms"},
    "simulation": {"data", "engine"},
    "rules": {"physics"},
    "results": {"data", "engine", "farms", "inference", "simulation"},
    "explore": {"data", "engine", "inference"},
    "weights": {"data", "engine", "inference"},
    "quality": {"data", "engine", "inference", "simulation"},
    "posterior": {"data", "engine", "inference"},
    "spectrum": {"data", "engine", "farms", "inference", "results"},
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("room", LAYERS)
def test_rooms_import_only_what_lies_below_them(room):
    for path in (PACKAGE / room).rglob("*.py"):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "jaxpwa" and len(parts) > 1 and not parts[1].startswith("_"):
                assert parts[1] in LAYERS[room] | {room}, f"{path.relative_to(ROOT)} imports {name}"
            assert parts[0] != "jaxpwa_compat"


def test_leaves_import_no_room():
    for path in PACKAGE.glob("_*.py"):
        if path.name != "__init__.py":
            for name in imports(path):
                assert not re.match(r"jaxpwa\.[a-z]", name), f"{path.name} imports {name}"


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("iminuit", {"inference/fit.py", "inference/result.py"}),
        (
            "scipy",
            {"inference/basin.py", "weights/qfactors.py", "quality/*"},
        ),
        ("tqdm", {"_progress.py"}),
        ("threadpoolctl", {"_threads.py"}),
        ("msgpack", {"inference/resultfile.py", "data/packing.py", "data/readcache.py"}),
        ("matplotlib", {"plot/*"}),
        ("mplhep", {"plot/*"}),
        ("corner", {"plot/*"}),
        ("blackjax", set()),
        ("arviz_base", set()),
        ("arviz_stats", set()),
        ("torch", set()),
        ("numexpr", set()),
        ("uproot", {"data/io/root.py"}),
        ("pyarrow", {"data/io/parquet.py"}),
        ("particle", {"data/particles.py"}),
        ("qrules", {"rules/table.py"}),
    ],
)
def test_every_foreign_library_has_one_home(library, homes):
    users = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert all(any(fnmatch(user, home) for home in homes) for user in users), users


COMPAT = ROOT / "compat" / "jaxpwa_compat"
INTERNAL = re.compile(r"jaxpwa\.(?!cli$|physics\.|physics$|cache$)[a-z_]")


def test_compat_imports_only_what_jaxpwa_makes_public():
    for path in COMPAT.rglob("*.py"):
        for name in imports(path):
            assert not INTERNAL.match(name), f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("torch", {"tensors.py", "workers.py"}),
        ("numexpr", set()),
        ("emcee", {"sampling.py"}),
        ("matplotlib", {"lego.py"}),
        ("cloudpickle", {"processes.py", "workers.py"}),
        ("multiprocessing", {"processes.py", "workers.py", "likelihoods.py", "simulate.py"}),
        ("iminuit", {"fitting.py"}),
        ("pickle", set()),
    ],
)
def test_every_foreign_library_has_one_home_in_compat(library, homes):
    users = {
        str(path.relative_to(COMPAT))
        for path in COMPAT.rglob("*.py")
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert users <= homes


def test_device_placement_has_one_home():
    users = {
        str(p.relative_to(PACKAGE)) for p in PACKAGE.rglob("*.py") if re.search(r"device_put|Mesh\(", p.read_text())
    }
    assert users == {"engine/devices.py"}


def bare_signature(thing):
    """Names and defaults; the text of annotations differs between versions of Python and JAX."""
    signature = inspect.signature(thing)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return signature.replace(parameters=bare, return_annotation=inspect.Signature.empty)


def test_public_names_are_those_agreed():
    """Change public_api.txt together with CHANGELOG.md."""
    names = sorted(n for n in vars(jp) if not n.startswith("_") and not inspect.ismodule(getattr(jp, n)))
    lines = []
    for name in names:
        thing = getattr(jp, name)
        is_warning = inspect.isclass(thing) and issubclass(thing, Warning)
        lines.append(name if is_warning else f"{name}{bare_signature(thing)}")
    snapshot = ROOT / "tests" / "public_api.txt"
    if os.environ.get("JAXPWA_WRITE_PUBLIC_API"):
        snapshot.write_text("\n".join(lines) + "\n")
    assert lines == snapshot.read_text().splitlines()


def test_everything_public_has_a_docstring_with_its_parameters():
    for name in (n for n in vars(jp) if not n.startswith("_")):
        thing = getattr(jp, name)
        if inspect.ismodule(thing):
            continue
        assert thing.__doc__, name
        if inspect.isfunction(thing):
            for parameter in inspect.signature(thing).parameters:
                assert re.search(rf"\b{parameter}\b", thing.__doc__), f"{name}: {parameter} is not described"
            assert "Returns\n" in thing.__doc__ or inspect.signature(thing).return_annotation is None, name
        for attribute, member in vars(thing).items() if inspect.isclass(thing) else ():
            if not attribute.startswith("_") and callable(member):
                assert inspect.getdoc(member), f"{name}.{attribute}"


COMPAT_MODULES = [m.name for m in pkgutil.walk_packages([str(COMPAT)], "jaxpwa_compat.")]


@pytest.mark.parametrize("name", ["jaxpwa", *MODULES, "jaxpwa_compat", *COMPAT_MODULES])
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    assert module.__doc__, name
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_no_file_of_the_library_is_long():
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "compat").rglob("*.py")]:
        assert len(path.read_text().splitlines()) <= 360, path


def run_python(code, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("JAX", "XLA"))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**clean, **env}, check=False, timeout=120
    )
    return done


def test_importing_allocates_nothing_and_loads_no_extra():
    code = """
import sys, json, jax, pandas, iminuit, equinox
names = ("torch", "numexpr", "matplotlib", "uproot", "pyarrow", "IPython")
before = {m for m in names if m in sys.modules}  # pandas loads numexpr and pyarrow where they are installed
import jaxpwa
heavy = [m for m in names if m in sys.modules and m not in before]
from jax._src import xla_bridge
print(json.dumps([heavy, xla_bridge.backends_are_initialized(), len(jax.live_arrays())]))
"""
    heavy, running, arrays = json.loads(run_python(code).stdout)
    assert heavy == []
    assert not running
    assert arrays == 0


@pytest.mark.parametrize(
    ("env", "before", "expected"),
    [
        ({}, "", [True, "cores"]),
        ({"JAXPWA_X64": "0"}, "", [False, "cores"]),
        ({"JAX_ENABLE_X64": "0"}, "", [False, "cores"]),
        ({"JAXPWA_CPU_DEVICES": "3"}, "", [True, 3]),
        ({"JAX_NUM_CPU_DEVICES": "4"}, "", [True, 4]),
        ({"XLA_FLAGS": "--xla_force_host_platform_device_count=5"}, "", [True, 5]),
        ({}, "import jax; jax.config.update('jax_num_cpu_devices', 6)", [True, 6]),
    ],
)
def test_import_sets_64_bit_and_one_device_per_core_unless_the_user_decided(env, before, expected):
    code = f"""
{before}
import jaxpwa, jax, json
from jaxpwa._settings import usable_cores
n = jax.device_count()
n = "cores" if {expected[1]!r} == "cores" and n == usable_cores() else n
print(json.dumps([bool(jax.config.jax_enable_x64), n]))
"""
    done = run_python(code, **env)
    assert json.loads(done.stdout) == expected, done.stderr


@pytest.mark.parametrize(
    ("env", "cores", "expected"),
    [
        ({}, 4, None),
        ({"JAXPWA_CPU_DEVICES": "1"}, 4, "1"),
        ({"JAXPWA_CPU_DEVICES": "4"}, 4, None),
        ({"JAXPWA_CPU_DEVICES": "8"}, 4, None),
        ({"JAXPWA_CPU_DEVICES": "2", "PJRT_NPROC": "3"}, 4, "3"),
    ],
)
def test_xla_has_no_more_threads_than_devices_where_these_leave_cores_to_others(monkeypatch, env, cores, expected):
    from jaxpwa import _settings

    for name in ("JAXPWA_CPU_DEVICES", "JAX_NUM_CPU_DEVICES", "XLA_FLAGS", "PJRT_NPROC"):
        # Set first, so that what a run within changes is undone even where it was not there.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(_settings, "_allowed", lambda process: cores)
    monkeypatch.setattr(_settings, "_within_quota", lambda n: n)
    monkeypatch.setattr(_settings.jax.config, "update", lambda *setting: None)
    _settings.configure()
    assert os.environ.get("PJRT_NPROC") == expected


def test_import_after_jax_has_started_works_and_warns_once():
    """O17: the user's earlier array stays usable."""
    code = """
import jax, jax.numpy as jnp, warnings
early = jnp.ones(3)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import jaxpwa as jp
assert float((early * 2).sum()) == 6
cost = jp.UnbinnedNLL(lambda p, d: p["a"] * d["x"], {"x": [1.0, 2.0]})
print(cost({"a": 1.0}), [str(w.message) for w in caught if issubclass(w.category, jp.PerformanceWarning)])
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("-0.6931471805599453")
    from jaxpwa._settings import usable_cores

    if usable_cores() > 1:
        assert "JAX was running before jaxpwa was imported, with 1 CPU device(s)" in done.stdout


def test_compiled_code_is_kept_between_runs_where_a_folder_is_set(tmp_path):
    code = """
import jaxpwa as jp, numpy as np, jax, logging
hits = []
class Count(logging.Handler):
    def emit(self, record):
        hits.append("cache hit" in record.getMessage())
logging.getLogger("jax._src.compiler").addHandler(Count())
logging.getLogger("jax._src.compiler").setLevel(logging.DEBUG)
cost = jp.UnbinnedNLL(lambda p, d: p["a"] * d["x"] ** p["b"], {"x": np.linspace(1, 2, 100)})
print(repr(cost({"a": 1.0, "b": 2.0})), any(hits))
"""
    folder = tmp_path / "compiled"
    first, second = (run_python(code, JAXPWA_COMPILATION_CACHE=str(folder)) for _ in range(2))
    assert first.returncode == second.returncode == 0, second.stderr
    assert first.stdout.split()[0] == second.stdout.split()[0]
    assert any(folder.iterdir())
    assert (first.stdout.split()[1], second.stdout.split()[1]) == ("False", "True")


def test_a_nonsense_number_of_devices_is_refused():
    done = run_python("import jaxpwa", JAXPWA_CPU_DEVICES="many")
    assert "JAXPWA_CPU_DEVICES must be a whole number of at least 1, got 'many'" in done.stderr


def test_everything_works_in_32_bit_with_one_warning_per_cost():
    code = """
import warnings, numpy as np, jaxpwa as jp, jax.numpy as jnp
warnings.simplefilter("error")
x = np.random.default_rng(0).random(20_000)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    cost = jp.UnbinnedNLL(lambda p, d: p["a"] * jnp.exp(-p["a"] * d["x"]), {"x": x})
print([str(w.message) for w in caught])
assert abs(cost({"a": 2.0}) / -np.log(2 * np.exp(-2 * x)).sum() - 1) < 1e-5
with warnings.catch_warnings():
    warnings.simplefilter("ignore", jp.ConvergenceWarning)  # seven digits may not do for MINUIT's tolerance
    assert abs(jp.fit(cost, {"a": 1.0}, tolerance=10).values["a"] / (1 / x.mean()) - 1) < 1e-3
mask, report = jp.rejection_sample(1, lambda p, d: p["a"] * d["x"], {"a": 1.0}, jp.Dataset({"x": x}, np.ones(len(x))))
assert abs(mask.mean() - 0.5) < 0.02 and report.n_above == 0
assert np.allclose(jp.evaluate(lambda p, d: p["a"] * d["x"], {"a": 1.0}, {"x": x}), x, rtol=1e-6)
"""
    done = run_python(code, JAXPWA_X64="0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("64-bit numbers are off in JAX") == 1


def test_nothing_tells_of_machines_or_registries():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    for name in tracked:
        path = Path(ROOT / name)
        if path.suffix in {".py", ".md", ".toml", ".txt", ".ipynb", ""} and path.is_file():
            text = path.read_text(errors="ignore")
            assert not re.search(r"/(root|home/\w+|work|opt)/", text.replace("/home/user", "")), name
