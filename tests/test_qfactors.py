"""Q-factors against fits by scipy, event by event, and finite differences of events' weights."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize, minimize_scalar

import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.weights import q_factors, qfactors

LOW, HIGH = 0.7, 0.86


def peak(p, m):
    return jnp.exp(-0.5 * ((m - 0.78) / 0.012) ** 2)


def line(p, m):
    return 1 + 2 * (m - LOW)


def moving_peak(p, m):
    return jnp.exp(-0.5 * ((m - p["mean"]) / 0.012) ** 2)


def slope_line(p, m):
    return 1 + p["slope"] * (m - 0.78)


def sample(seed, n=600):
    """Signal of cos^2, flat background; costheta and phi."""
    rng = np.random.default_rng(seed)
    half = n // 2
    costheta = np.concatenate([np.cbrt(rng.uniform(-1, 1, half)), rng.uniform(-1, 1, n - half)])
    m = np.concatenate([np.clip(rng.normal(0.78, 0.012, half), LOW, HIGH), rng.uniform(LOW, HIGH, n - half)])
    return {"costheta": costheta, "phi": rng.uniform(-np.pi, np.pi, n), "m": m}


def neighbours_by_hand(d, event, k, coordinates=("costheta",), period=None):
    distance = np.zeros(len(d["m"]))
    for name in coordinates:
        away = np.abs(d[name] - d[name][event])
        spread = np.ptp(d[name])
        if name == "phi" and period:
            away, spread = np.minimum(away % period, period - away % period), period
        distance += (away / spread) ** 2
    return np.argsort(distance, kind="stable")[:k]


def normalised(f, *p):
    integral = quad(lambda m: float(f(*p, m)), LOW, HIGH, epsabs=1e-13, points=[0.78])[0]
    return lambda m: np.asarray(f(*p, m)) / integral


def fraction_by_hand(s, b, weights):
    def nll(f):
        return -(weights * np.log(f * s + (1 - f) * b)).sum()

    return minimize_scalar(nll, bounds=(0, 1), method="bounded", options={"xatol": 1e-12}).x


def quality_by_hand(d, group, weights):
    """Q of the first of a group, and the fraction; densities from numpy and scipy's quadrature."""
    s = normalised(lambda m: np.exp(-0.5 * ((m - 0.78) / 0.012) ** 2))(d["m"][group])
    b = normalised(lambda m: 1 + 2 * (m - LOW))(d["m"][group])
    f = fraction_by_hand(s, b, weights)
    # Newton's steps take scipy's 1e-8 to the last digits, which finite differences need.
    for _ in range(5):
        r = (s - b) / (f * s + (1 - f) * b)
        f = f + (weights * r).sum() / (weights * r**2).sum() if 1e-6 < f < 1 - 1e-6 else round(f)
    r = (s - b) / (f * s + (1 - f) * b)
    total = f * s[0] + (1 - f) * b[0]
    return f * s[0] / total, f, s[0] * b[0] / total**2 / np.sqrt((weights * r**2).sum())


@pytest.fixture(scope="module")
def of_fraction():
    d = sample(1)
    return d, q_factors(d, ["costheta"], "m", peak, line, (LOW, HIGH), k=80)


@pytest.mark.parametrize("event", [0, 17, 299, 300, 450, 599])
def test_q_of_the_fraction_is_that_of_scipy_with_its_error_and_influence(of_fraction, event):
    d, q = of_fraction
    group = neighbours_by_hand(d, event, 80)
    assert q.neighbours[event, 0] == event
    assert set(q.neighbours[event].tolist()) == set(group.tolist())
    ones = np.ones(80)
    quality, fraction, error = quality_by_hand(d, group, ones)
    assert q.parameters["fraction"][event] == pytest.approx(fraction, abs=1e-9)
    assert q.weights[event] == pytest.approx(quality, abs=1e-9)
    assert q.errors[event] == pytest.approx(error, rel=1e-6)
    for place in (0, 1, 40, 79):
        h = 1e-4 * np.eye(80)[group.tolist().index(q.neighbours[event, place])]
        slope = (quality_by_hand(d, group, ones + h)[0] - quality_by_hand(d, group, ones - h)[0]) / 2e-4
        assert q.influence[event, place] == pytest.approx(slope, rel=1e-5, abs=1e-10)


def test_influence_on_scores_is_the_sum_over_events(of_fraction):
    _, q = of_fraction
    g = np.random.default_rng(3).normal(size=(600, 2))
    by_hand = np.zeros((600, 2))
    for i in range(600):
        for place, event in enumerate(q.neighbours[i]):
            by_hand[event] += q.influence[i, place] * g[i]
    assert q.influence_on(g) == pytest.approx(by_hand, rel=1e-12)


def test_one_neighbourhood_of_all_events_gives_a_global_fit():
    """Then the sum of Q is the fraction times the events, and its error that of a fit of the yield."""
    d = sample(2, 200)
    q = q_factors(d, ["costheta", "phi"], "m", peak, line, (LOW, HIGH), k=200)
    fraction = q.parameters["fraction"]
    assert np.ptp(fraction) < 1e-12
    assert q.signal.value == pytest.approx(200 * fraction[0], rel=1e-10)
    s = normalised(lambda m: np.exp(-0.5 * ((m - 0.78) / 0.012) ** 2))(d["m"])
    b = normalised(lambda m: 1 + 2 * (m - LOW))(d["m"])
    from jaxpwa.weights import sweights

    sw = sweights(np.stack([s, b], 1))
    assert q.signal.value == pytest.approx(sw.yields["0"], rel=1e-9)
    assert q.signal.error == pytest.approx(np.sqrt(sw.covariance[0, 0]), rel=1e-6)


def fit_shapes_by_hand(d, group, weights, start):
    """Fraction, mean and slope by scipy, polished with numerical Newton steps."""
    m = d["m"][group]

    def densities(mean, slope):
        s = normalised(lambda x: np.exp(-0.5 * ((x - mean) / 0.012) ** 2))(m)
        return s, (1 + slope * (m - 0.78)) / (HIGH - LOW)

    def nll(p):
        s, b = densities(*p[1:])
        inside = p[0] * s + (1 - p[0]) * b
        return -(weights * np.log(inside)).sum() if (inside > 0).all() else np.inf

    p = minimize(nll, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-13, "maxiter": 4000}).x
    s, b = densities(*p[1:])
    return p, p[0] * s[0] / (p[0] * s[0] + (1 - p[0]) * b[0])


@pytest.fixture(scope="module")
def of_shapes():
    d = sample(4, 400)
    start = {"fraction": 0.4, "mean": 0.778, "slope": 0.0}
    return d, q_factors(d, ["costheta"], "m", moving_peak, slope_line, (LOW, HIGH), k=150, start=start)


@pytest.mark.parametrize("event", [0, 250])
def test_q_with_shapes_is_that_of_scipy_with_its_influence(of_shapes, event):
    d, q = of_shapes
    assert q.converged.all()
    group = q.neighbours[event]
    ones = np.ones(150)
    found = np.array([q.parameters[n][event] for n in ("fraction", "mean", "slope")])
    p, quality = fit_shapes_by_hand(d, group, ones, found + [0.05, 0.002, 0.5])
    assert found == pytest.approx(p, rel=1e-5, abs=1e-6)
    assert q.weights[event] == pytest.approx(quality, abs=1e-7)
    # The parameters of a simplex are good to 1e-7: a large step keeps that out of the difference.
    for place in (0, 75):
        h = 0.05 * np.eye(150)[place]
        up, down = (fit_shapes_by_hand(d, group, ones + sign * h, found + 0.001)[1] for sign in (1, -1))
        assert q.influence[event, place] == pytest.approx((up - down) / 0.1, rel=5e-3, abs=2e-5)


def test_error_with_shapes_is_that_of_the_hessian(of_shapes):
    """By differences of the log-likelihood and of Q."""
    d, q = of_shapes
    event = 250
    m = d["m"][q.neighbours[event]]
    end = np.array([q.parameters[n][event] for n in ("fraction", "mean", "slope")])

    def parts(p):
        s = normalised(lambda x: np.exp(-0.5 * ((x - p[1]) / 0.012) ** 2))(m)
        b = (1 + p[2] * (m - 0.78)) / (HIGH - LOW)
        return p[0] * s, p[0] * s + (1 - p[0]) * b

    steps = np.diag([1e-3, 2e-5, 1e-2])
    nll = lambda p: -np.log(parts(p)[1]).sum()  # noqa: E731
    hessian = np.array([
        [(nll(end + a + b) - nll(end + a - b) - nll(end - a + b) + nll(end - a - b)) / (4 * a.sum() * b.sum())
         for a in steps] for b in steps
    ])  # fmt: skip
    quality = lambda p: parts(p)[0][0] / parts(p)[1][0]  # noqa: E731
    slope = np.array([(quality(end + a) - quality(end - a)) / (2 * a.sum()) for a in steps])
    assert q.errors[event] == pytest.approx(np.sqrt(slope @ np.linalg.solve(hessian, slope)), rel=1e-3)


def test_a_shape_that_does_not_matter_leaves_the_fraction_as_it_is(of_fraction):
    """Both ways of fitting agree where the shape is pinned by a narrow density."""
    d, q = of_fraction

    def pinned(p, m):
        return line(p, m) + 0 * p["nothing"]

    with pytest.warns(jp.ConvergenceWarning, match=r"5\d\d of 600 local fits did not converge \(first: event 0\)"):
        other = q_factors(d, ["costheta"], "m", peak, pinned, (LOW, HIGH), k=80, start={"nothing": 1.0})
    assert other.weights == pytest.approx(q.weights, abs=1e-7)
    assert not other.influence.any()
    assert np.isnan(other.errors[~other.at_bound]).all()


def test_periodic_coordinates_join_their_ends():
    d = sample(5, 300)
    q = q_factors(d, ["phi", "costheta"], "m", peak, line, (LOW, HIGH), k=30, periodic={"phi": 2 * np.pi})
    event = int(np.argmax(d["phi"]))
    near = neighbours_by_hand(d, event, 30, ("phi", "costheta"), 2 * np.pi)
    assert set(q.neighbours[event].tolist()) == set(near.tolist())
    assert (d["phi"][near] < 0).any()
    moved = {**d, "phi": d["phi"] + 5.0}
    again = q_factors(moved, ["phi", "costheta"], "m", peak, line, (LOW, HIGH), k=30, periodic={"phi": 2 * np.pi})
    assert again.weights == pytest.approx(q.weights, abs=1e-10)


def test_scales_change_what_is_near():
    d = sample(6, 300)
    q = q_factors(d, ["phi", "costheta"], "m", peak, line, (LOW, HIGH), k=30, scales={"phi": 1e9})
    assert set(q.neighbours[7].tolist()) == set(neighbours_by_hand(d, 7, 30).tolist())


def test_events_at_one_place_are_their_own_neighbours():
    d = {**sample(7, 300), "costheta": np.zeros(300)}
    d["costheta"][:5] = 1.0
    q = q_factors(d, ["costheta"], "m", peak, line, (LOW, HIGH), k=20)
    assert q.neighbours[:, 0].tolist() == list(range(300))
    assert all(len(set(row)) == 20 for row in q.neighbours.tolist())


def test_pure_samples_have_fractions_at_a_bound_and_no_influence():
    rng = np.random.default_rng(8)
    x = rng.uniform(0, 1, 100)
    d = {"x": x, "m": np.where(x < 0.5, 0.78, 0.71)}
    for start in (None, {"mean": 0.78}):
        function = moving_peak if start else peak
        q = q_factors(d, ["x"], "m", function, line, (LOW, HIGH), k=20, start=start)
        left, right = q.weights[x < 0.3], q.weights[x > 0.7]
        assert right == pytest.approx(np.zeros(len(right)), abs=1e-8)
        if start is None:
            assert left == pytest.approx(np.ones(len(left)))
            assert q.at_bound[(x < 0.3) | (x > 0.7)].all()
            assert not q.influence[q.at_bound].any()
            assert q.converged.all()
            assert np.isfinite(q.errors).all()


def test_events_that_can_only_be_one_of_the_two_are_it():
    def left(p, m):
        return jnp.where(m < 0.78, 1.0, 0.0)

    def everywhere(p, m):
        return 1.0

    d = {"x": np.arange(40.0), "m": np.where(np.arange(40) % 4, 0.75, 0.8)}
    q = q_factors(d, ["x"], "m", left, everywhere, (LOW, HIGH), k=40)
    assert q.weights[d["m"] > 0.78].tolist() == [0.0] * 10
    # 30 of 40 events on the half of the range where 1/2 (1 + f) of all are.
    assert q.parameters["fraction"] == pytest.approx(np.full(40, 0.5), abs=1e-9)


def test_blocks_and_devices_change_nothing(of_fraction, monkeypatch):
    d, q = of_fraction
    monkeypatch.setitem(qfactors._AT_ONCE, "cpu", 80 * 64)
    for devices in (1, 2):
        again = q_factors(d, ["costheta"], "m", peak, line, (LOW, HIGH), k=80, devices=devices)
        assert (again.weights == q.weights).all()
        assert (again.influence == q.influence).all()
        assert (again.neighbours == q.neighbours).all()


def test_equal_functions_are_compiled_once():
    from jaxpwa.weights._localfits import shape_fits

    def call(n):
        shape = lambda p, m: jnp.exp(-p["rate"] * (m - LOW))  # noqa: E731
        q_factors(sample(9, n), ["phi"], "m", peak, shape, (LOW, HIGH), k=60, start={"rate": 0.1})

    call(200)
    misses = shape_fits.cache_info().misses
    call(230)
    assert shape_fits.cache_info().misses == misses


def test_q_recovers_an_angular_distribution():
    """<cos^2> of the signal is 3/5, of all events 0.47."""
    d = sample(10, 6000)
    q = q_factors(d, ["costheta"], "m", peak, line, (LOW, HIGH), k=200)
    x2 = d["costheta"] ** 2
    assert (q.weights * x2).sum() / q.weights.sum() == pytest.approx(0.6, abs=0.02)
    assert x2.mean() == pytest.approx(0.467, abs=0.01)
    assert q.signal.value == pytest.approx(3000, abs=4 * q.signal.error)
    assert np.sqrt(3000) < q.signal.error < 2 * np.sqrt(3000)


D = sample(11, 50)
GOOD = {"coordinates": ["costheta"], "discriminating": "m", "signal": peak, "background": line, "range": (LOW, HIGH),
        "k": 20}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"coordinates": "costheta"}, TypeError, "coordinates must be a sequence of names of columns, got 'costheta'"),
        ({"coordinates": ["theta"]}, ValueError, "unknown column 'theta'; the data have: costheta, phi, m"),
        ({"discriminating": "mass"}, ValueError, "unknown column 'mass'"),
        ({"range": (0.86, 0.7)}, ValueError, r"range must be \(low, high\), two finite numbers, low below high"),
        ({"range": 0.7}, ValueError, r"range must be \(low, high\)"),
        ({"range": (0.75, 0.8)}, ValueError, r"m must lie in range \(0.75, 0.8\): \d+ events do not \(first: event"),
        ({"k": 51}, ValueError, "k must be a whole number between 2 and the number of events, 50, got 51"),
        ({"k": 10.0}, ValueError, "k must be a whole number"),
        ({"start": {"fraction": 1.0}}, ValueError, r"start\['fraction'\] must lie between 0 and 1, got 1.0"),
        ({"start": {"slope": np.nan}}, ValueError, "start values must be finite: slope are not"),
        ({"periodic": {"phi": 6.0}}, ValueError, "periodic names phi, not among the coordinates costheta"),
        ({"scales": {"costheta": 0.0}}, ValueError, "scales must be positive numbers: costheta=0.0"),
        ({"signal": 1.0}, TypeError, r"signal must be a function of \(shapes, m\), got 1.0"),
        ({"signal": lambda p, m: m - 0.75}, ValueError, "signal must be finite and not negative: event"),
        ({"signal": lambda p, m: jnp.where(m < LOW + 1e-3, -1.0, 1.0)}, ValueError, r"in range .*: it is -1 at 0.70"),
        ({"background": lambda p, m: 0 * m}, ValueError, r"background is 0 in all of range \(0.7, 0.86\)"),
        (
            {"signal": lambda p, m: jnp.exp(-(((m - D["m"][0]) / 1e-7) ** 2)) + 1e-30},
            ValueError,
            "signal is too narrow or not smooth",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(change, error, text):
    with pytest.raises(error, match=text):
        q_factors(D, **{**GOOD, **change})


def test_events_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="q_factors takes events without weights"):
        q_factors(jp.Dataset(D, np.ones(50)), **GOOD)
    with pytest.raises(
        ValueError, match="coordinate 'costheta' must hold one finite real number per event, got nan at"
    ):
        q_factors({**D, "costheta": np.where(np.arange(50) == 3, np.nan, D["costheta"])}, **GOOD)
    with pytest.raises(ValueError, match="coordinate 'costheta' has the same value for all events"):
        q_factors({**D, "costheta": np.ones(50)}, **GOOD)
    both = {"signal": lambda p, m: jnp.where(m > 0.8, 1.0, 0.0), "background": lambda p, m: jnp.where(m > 0.79, 1.0, 0)}
    with pytest.raises(ValueError, match="signal and background are both 0 at event .*, at 0.7"):
        q_factors(D, **{**GOOD, **both})


def test_the_record_prints_as_a_table(of_fraction):
    _, q = of_fraction
    assert "Q-factors of 600 events, 80 neighbours each" in str(q)
    assert "signal events" in str(q)
    assert "<table>" in q._repr_html_()
    assert list(q.to_pandas()) == ["Q", "error", "fraction", "converged", "at_bound"]
    with pytest.raises(ValueError, match="scores must have one entry per event"):
        q.influence_on(np.zeros((3, 1)))
