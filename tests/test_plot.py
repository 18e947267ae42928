"""Pictures, by the numbers in them."""

import subprocess
import sys
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.collections import LineCollection
from matplotlib.container import ErrorbarContainer
from matplotlib.patches import Ellipse, StepPatch

import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa import plot
from jaxpwa.physics import Background, CoherentSum, Coupling, IncoherentSum, Wave


@pytest.fixture(autouse=True)
def _close():
    yield
    pyplot.close("all")


def axes():
    return pyplot.subplots()[1]


def points(ax):
    """Return x, y and the ends of the bars of the first points with errors that have a y error."""
    (line, _, bars) = next(c for c in ax.containers if isinstance(c, ErrorbarContainer))
    ends = np.array(bars[-1].get_segments())[:, :, 1]
    return (*line.get_data(), ends)


def steps(ax):
    every = [p for p in ax.patches if isinstance(p, StepPatch) and p.get_label()]
    return {str(p.get_label()): p.get_data().values for p in every}


def lines(ax):
    return {line.get_label(): np.array(line.get_data()) for line in ax.lines}


rng = np.random.default_rng(11)
DATA = {"x": rng.normal(0.1, 0.6, 400), "y": rng.uniform(0, 1, 400)}
MC = {"x": rng.uniform(-2, 2, 3000), "y": rng.uniform(0, 1, 3000)}
DATA_W, MC_W = jp.Dataset(DATA, rng.uniform(0.5, 1.5, 400)), jp.Dataset(MC, rng.uniform(0.5, 1.5, 3000))
EDGES = np.linspace(-2, 2, 21)
PARAMS = {"a": 2.0}


def bell(p, d):
    return p["a"] * jnp.exp(-2 * d["x"] ** 2)


def by_hand(x, weights):
    counts = np.histogram(x, EDGES, weights=weights)[0]
    return counts, np.histogram(x, EDGES, weights=weights**2)[0]


def test_projection_holds_weighted_sums_errors_and_pulls_as_numpy_has_them():
    above, below = plot.projection("x", DATA_W, MC_W, bell, PARAMS, bins=EDGES, n_generated=5000.0, label="x [GeV]")
    seen, seen2 = by_hand(DATA["x"], DATA_W.weights)
    weights = 2 * np.exp(-2 * MC["x"] ** 2) * MC_W.weights / 5000
    fit, fit2 = by_hand(MC["x"], weights)
    drawn = seen2 > 0
    x, y, ends = points(above)
    shown = drawn | (fit != 0)
    np.testing.assert_allclose(x, ((EDGES[1:] + EDGES[:-1]) / 2)[shown])
    np.testing.assert_allclose(y, seen[shown])
    np.testing.assert_allclose((ends[:, 1] - y)[drawn[shown]], np.sqrt(seen2[drawn]))
    np.testing.assert_allclose((y - ends[:, 0])[drawn[shown]], np.sqrt(seen2[drawn]))
    np.testing.assert_allclose(steps(above)["fit"], fit)
    band = next(p for p in above.patches if isinstance(p, StepPatch) and p.get_fill()).get_data()
    np.testing.assert_allclose(band.values, fit + np.sqrt(fit2))
    np.testing.assert_allclose(band.baseline, fit - np.sqrt(fit2))
    (pulls,) = [p.get_data().values for p in below.patches if isinstance(p, StepPatch)]
    np.testing.assert_allclose(pulls[drawn], ((seen - fit) / np.sqrt(seen2 + fit2))[drawn])
    assert above.get_ylabel() == "events / 0.2 GeV"
    assert (above.get_xlabel(), below.get_xlabel()) == ("", "x [GeV]")


def test_without_n_generated_all_mc_counts_as_much_as_all_data():
    ax = plot.projection("x", DATA_W, MC, bell, SimpleNamespace(values=PARAMS), range=(-3, 3), bins=7, pulls=False)
    inside = np.abs(DATA["x"]) <= 3
    assert inside.all()
    assert steps(ax)["fit"].sum() == pytest.approx(DATA_W.sum_of_weights)
    # Events outside of the range count in the scale.
    near = plot.projection("x", DATA_W, MC, bell, PARAMS, range=(-0.5, 0.5), bins=2, pulls=False)
    weights = np.exp(-2 * MC["x"] ** 2)
    expected = weights[np.abs(MC["x"]) <= 0.5].sum() * DATA_W.sum_of_weights / weights.sum()
    assert steps(near)["fit"].sum() == pytest.approx(expected)


def test_a_bin_without_data_shows_an_upper_bar_and_has_the_variance_that_is_expected():
    data = jp.Dataset({"x": [0.5, 0.6, 2.5]}, [2.0, 2.0, 2.0])
    above, below = plot.projection(
        "x", data, {"x": [0.5, 1.5]}, lambda p, d: p["a"] * d["x"], PARAMS, bins=[0, 1, 2, 3, 4.0], n_generated=1.0
    )
    x, y, ends = points(above)
    np.testing.assert_allclose(x, [0.5, 1.5, 2.5])  # nothing seen, nothing expected beyond 3: nothing drawn
    np.testing.assert_allclose(y, [4, 0, 2])
    # Probability of no event where 1.841 are expected: half of what one standard deviation leaves out.
    assert np.exp(-ends[1, 1] / 2) == pytest.approx((1 - 0.6826894921) / 2)
    assert ends[1, 0] == 0
    (pulls,) = [p.get_data().values for p in below.patches if isinstance(p, StepPatch)]
    np.testing.assert_allclose(pulls[:3], [3 / np.sqrt(8 + 1), -3 / np.sqrt(2 * 3 + 9), 2 / 2])
    assert np.isnan(pulls[3])


def test_samples_in_a_list_add_up_with_their_signs():
    side = jp.Dataset({"x": np.linspace(-1.9, 1.9, 50)}, np.full(50, -0.3))
    ax = plot.projection("x", [DATA_W, side], MC, bell, PARAMS, bins=EDGES, pulls=False)
    seen, seen2 = by_hand(np.concatenate([DATA["x"], side["x"]]), np.concatenate([DATA_W.weights, side.weights]))
    _, y, ends = points(ax)
    np.testing.assert_allclose(y, seen)
    np.testing.assert_allclose((ends[:, 1] - ends[:, 0])[seen2 > 0], 2 * np.sqrt(seen2[seen2 > 0]))
    assert ax.get_ylim()[0] < 0
    assert steps(ax)["fit"].sum() == pytest.approx(DATA_W.sum_of_weights + side.sum_of_weights)


MODEL = IncoherentSum(
    [
        CoherentSum(
            "w",
            [
                Wave("S", lambda p, d: 1 + 0 * d["x"] + 0j, Coupling("S", real=True)),
                Wave("P", lambda p, d: d["x"] + 0j),
            ],
        ),
        Background("flat", lambda p, d: 1 + 0 * d["x"]),
    ]
)
MODEL_PARAMS = MODEL.start({"S": 0.5, "P": 1j, "flat": 0.1})


def test_components_are_named_parts_of_the_model_or_functions():
    shapes = {"S": 0.25 + 0 * MC["x"], "P": MC["x"] ** 2, "flat": 0.1 + 0 * MC["x"]}
    scale = 1 / 100
    kinds = {
        True: ["S", "P", "flat"],
        ("P",): ["P"],
        "P": ["P"],
    }
    for components, names in kinds.items():
        ax = plot.projection(
            "x", DATA, MC, MODEL, MODEL_PARAMS, bins=EDGES, components=components, n_generated=100, pulls=False
        )
        found = steps(ax)
        assert list(found) == ["fit", *names]
        for name in names:
            np.testing.assert_allclose(found[name], by_hand(MC["x"], shapes[name] * scale)[0], rtol=1e-12)
    parts = {"all waves": ("S", "P"), "mine": bell}
    both = MODEL_PARAMS | PARAMS
    ax = plot.projection("x", DATA, MC, MODEL, both, bins=EDGES, components=parts, n_generated=100, pulls=False)
    np.testing.assert_allclose(steps(ax)["all waves"], by_hand(MC["x"], (shapes["S"] + shapes["P"]) * scale)[0])
    np.testing.assert_allclose(steps(ax)["mine"], by_hand(MC["x"], 2 * np.exp(-2 * MC["x"] ** 2) * scale)[0])


def test_projections_draw_each_column_and_functions_of_columns_as_projection_does():
    several = plot.projections(
        {"x": "x [GeV]", "y": "y"}, DATA, MC, bell, PARAMS, bins={"x": EDGES, "y": 5}, ranges={"y": (0, 1)}
    )
    assert len(several) == 2
    alone = plot.projection("x", DATA, MC, bell, PARAMS, bins=EDGES, pulls=False)
    np.testing.assert_allclose(steps(several[0])["fit"], steps(alone)["fit"])
    np.testing.assert_allclose(points(several[1])[1], np.histogram(DATA["y"], 5, (0, 1))[0])
    assert len(several[0].figure.axes) == 4
    square = plot.projection(lambda d: d["x"] ** 2, DATA, MC, bell, PARAMS, bins=4, range=(0, 4), pulls=False)
    np.testing.assert_allclose(points(square)[1], np.histogram(DATA["x"] ** 2, 4, (0, 4))[0])


def test_projection_splits_axes_that_it_is_given_and_takes_a_pair():
    figure = pyplot.figure()
    free = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    above, below = plot.projection("x", DATA, MC, bell, PARAMS, ax=free)
    assert above is free
    upper, lower = above.get_position(), below.get_position()
    assert lower.y0 == pytest.approx(0.1)
    assert upper.y1 == pytest.approx(0.9)
    assert lower.y1 < upper.y0
    one, two = pyplot.subplots(2)[1]
    assert plot.projection("x", DATA, MC, bell, PARAMS, ax=(one, two)) == (one, two)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"column": "z"}, ValueError, "unknown column 'z'"),
        ({"column": lambda d: d["x"].sum()}, ValueError, "one real number per event of data"),
        ({"data": {"x": [1.0, np.nan]}}, ValueError, "'x' of data is NaN for 1 events .first: event 1."),
        ({"data": []}, ValueError, "data must be a sample of events, or several, got an empty list"),
        ({"data": jp.Dataset({"x": [1.0]}, [-1.0])}, ValueError, "must be positive to scale mc to data: data -1"),
        ({"n_generated": 0}, ValueError, "n_generated must be a number of events above 0, got 0"),
        ({"bins": 0}, ValueError, "bins must be a whole number above 0"),
        ({"bins": [1.0, 0.0]}, ValueError, "at least two rising edges"),
        ({"range": (1, 1)}, ValueError, r"range must be \(low, high\)"),
        ({"components": ["S"]}, TypeError, "component 'S' is a name, but the model has no parts with names"),
        ({"components": {"S": 3.0 + 0j}}, TypeError, "component 'S' must be a name, names or an intensity"),
        ({"components": {"S": (1, 2)}}, TypeError, "component 'S' must be a name, names or an intensity"),
        ({"model": lambda p, d: p["a"] * d["x"] * 1j}, TypeError, "'fit' must be real, got complex"),
        ({"ax": "here"}, TypeError, "ax must be axes of matplotlib, got str"),
        ({"ax": [1, 2, 3]}, ValueError, "ax must be one axes, or two of them"),
    ],
)
def test_projection_refuses_in_words(change, error, text):
    arguments = {"column": "x", "data": DATA, "mc": MC, "model": bell, "result": PARAMS} | change
    with pytest.raises(error, match=text):
        plot.projection(**arguments)


def test_projections_refuse_bins_of_columns_that_are_not_drawn():
    with pytest.raises(ValueError, match="ranges names z, which are not drawn; columns: x"):
        plot.projections(["x"], DATA, MC, bell, PARAMS, ranges={"z": (0, 1)})
    with pytest.raises(ValueError, match="at least one column"):
        plot.projections([], DATA, MC, bell, PARAMS)
    with pytest.raises(ValueError, match="ax must be one axes or 2 of them"):
        plot.projections(["x", "y"], DATA, MC, bell, PARAMS, ax=[axes()] * 3)


def table():
    edges = np.linspace(1, 2, 6)
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "centre": (edges[1:] + edges[:-1]) / 2,
            "valid": [True, True, False, True, True],
            "yield S": [10.0, 20, 30, 20, 10],
            "yield S error": [1.0, 2, 3, np.nan, 1],
            "yield D": [1.0, 2, 3, 4, 5],
            "yield D error": [0.1] * 5,
            "phase D - S": [2.9, 3.1, 0.5, -3.0, -2.5],
            "phase D - S error": [0.1, 0.2, 0.1, 0.1, 0.1],
        }
    )


def test_intensities_are_those_of_the_table_and_hollow_where_not_valid_or_without_error():
    grid = np.linspace(1, 2, 9)
    places = plot.intensities(
        SimpleNamespace(to_pandas=table), curves={"S": (grid, grid**2), "D": {"in": (grid, grid[1:])}}
    )
    assert [ax.get_title() for ax in places] == ["S", "D"]
    x, y, ends = points(places[0])
    np.testing.assert_allclose(x, [1.1, 1.3, 1.9])
    np.testing.assert_allclose(y, [10, 20, 10])
    np.testing.assert_allclose(ends, [[9, 11], [18, 22], [9, 11]])
    hollow = places[0].containers[1][0]
    np.testing.assert_allclose(hollow.get_ydata(), [30, 20])
    assert hollow.get_markerfacecolor() == "white"
    np.testing.assert_allclose(lines(places[0])["model"], [grid, grid**2])
    np.testing.assert_allclose(steps(places[1])["in"], grid[1:])
    assert places[0].get_ylabel() == "events / 0.2"


def test_intensities_share_one_axes_where_one_is_given():
    ax = axes()
    places = plot.intensities(table(), ["S", "D"], ax=ax, titles={"D": "$D$"}, label="m [GeV]")
    assert all(place is ax for place in places)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["S", "$D$"]
    assert ax.get_ylabel() == "events / 0.2 GeV"


def test_curves_that_coincide_are_told_apart_by_dashes_and_points_have_the_name_given():
    curve = (np.array([1.0, 1.2]), np.array([5.0, 6.0]))
    (ax,) = plot.intensities(table(), "S", curves={"S": {"fit": curve, "put in": curve}}, points="events")
    dashes = {
        line.get_label(): line.get_linestyle() for line in ax.get_lines() if line.get_label() in ("fit", "put in")
    }
    assert dashes == {"fit": "-", "put in": "--"}
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["events", "fit", "put in"]


def test_wrapped_phases_show_the_table_in_degrees_and_no_line_crosses_the_plane():
    grid = np.linspace(1, 2, 50)
    phase = np.linspace(2.5, 4.5, 50)
    (ax,) = plot.phases(table(), ("D", "S"), curves={("D", "S"): (grid, phase)})
    x, y, ends = points(ax)
    np.testing.assert_allclose(y, np.degrees([2.9, 3.1, -3.0, -2.5]))
    np.testing.assert_allclose(ends[:, 1] - y, np.degrees([0.1, 0.2, 0.1, 0.1]))
    x, y = lines(ax)["model"]
    assert np.nanmax(np.abs(np.diff(y))) < 5
    assert np.isnan(y).sum() == 1
    cut = int(np.flatnonzero(np.isnan(y))[0])
    np.testing.assert_allclose(y[[cut - 1, cut + 1]], [180, -180])
    assert x[cut - 1] == pytest.approx(np.interp(np.pi, phase, grid))
    # The bar of 3.1 +- 0.2 leaves above 180 degrees and comes in from below.
    again = ax.containers[2]
    np.testing.assert_allclose(
        again[2][-1].get_segments()[1][:, 1], np.degrees(3.1 - 2 * np.pi + np.array([-0.2, 0.2]))
    )


def test_a_phase_that_the_table_has_the_other_way_round_is_turned():
    (ax,) = plot.phases(table(), [("S", "D")], degrees=False)
    np.testing.assert_allclose(points(ax)[1], [-2.9, -3.1, 3.0, 2.5])
    assert ax.get_ylabel() == "phase [rad]"


def test_unwrapped_phases_follow_valid_points_and_take_the_curve_with_them():
    grid = np.linspace(1, 2, 50)
    phase = np.linspace(2.8, 3.9, 50)
    wrapped = np.angle(np.exp(1j * phase)) - 2 * np.pi
    (ax,) = plot.phases(table(), ("D", "S"), curves={("D", "S"): (grid, wrapped)}, unwrap=True, degrees=False)
    np.testing.assert_allclose(points(ax)[1], [2.9, 3.1, 2 * np.pi - 3.0, 2 * np.pi - 2.5])
    np.testing.assert_allclose(lines(ax)["model"][1], phase)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: plot.intensities([1, 2]), TypeError, "table must be a DataFrame, or have to_pandas"),
        (lambda: plot.intensities(pd.DataFrame({"low": [1]})), ValueError, "high, centre are missing"),
        (lambda: plot.intensities(table(), ["P"]), ValueError, "no column 'yield P'; its yields are of: S, D"),
        (lambda: plot.intensities(table(), []), ValueError, "names must have at least one name"),
        (lambda: plot.intensities(table(), curves={"P": ([1], [1])}), ValueError, "a curve for 'P', which is not in"),
        (
            lambda: plot.intensities(table(), curves={"S": ([1], [1, 2, 3])}),
            ValueError,
            r"got shapes \(1,\) and \(3,\)",
        ),
        (lambda: plot.intensities(table(), curves={"S": 3}), TypeError, r"a curve must be \(x, y\)"),
        (lambda: plot.phases(table(), ("D", "P")), ValueError, "no column 'phase D - P'; its phases are of: D - S"),
        (lambda: plot.phases(table(), [("D",)]), ValueError, r"pairs must be \('a', 'b'\)"),
        (lambda: plot.phases(table(), []), ValueError, "pairs must have at least one pair"),
        (
            lambda: plot.phases(table(), ("D", "S"), curves={("D", "S"): ([1], [1, 2])}),
            ValueError,
            "a curve of phases must be",
        ),
    ],
)
def test_spectra_refuse_in_words(call, error, text):
    with pytest.raises(error, match=text):
        call()


CIRCLE = 0.5j + 0.5 * np.exp(1j * np.linspace(-1.5, 4, 40))


def test_argand_draws_the_way_in_colours_of_mass_with_equal_scales():
    masses = np.linspace(1, 2, 40)
    ax = plot.argand(CIRCLE, masses=masses, marks=[1.5], unitarity=True, errors=0.1 + 0.2j + 0 * CIRCLE)
    (line,) = [c for c in ax.collections if isinstance(c, LineCollection) and c.get_array() is not None]
    ends = np.array(line.get_segments())
    np.testing.assert_allclose(ends[:, 0] @ [1, 1j], CIRCLE[:-1])
    np.testing.assert_allclose(ends[:, 1] @ [1, 1j], CIRCLE[1:])
    np.testing.assert_allclose(line.get_array(), (masses[1:] + masses[:-1]) / 2)
    assert ax.get_aspect() == 1
    x, y = np.array(ax.lines[0].get_data())
    np.testing.assert_allclose(np.hypot(x, y - 0.5), 0.5)
    _, y, up = points(ax)
    np.testing.assert_allclose(up[:, 1] - y, 0.2)
    assert [t.get_text() for t in ax.texts] == ["1.5"]


def test_argand_ellipses_have_the_covariances_given():
    covariance = np.array([[0.04, 0.015], [0.015, 0.01]])
    ax = plot.argand(CIRCLE[:3], errors=np.array([covariance] * 3))
    ellipse = next(p for p in ax.patches if isinstance(p, Ellipse))
    edge = ellipse.get_patch_transform().transform(ellipse.get_path().vertices) - [CIRCLE[0].real, CIRCLE[0].imag]
    on_curve = edge[[0, 6, 12, 18]]
    np.testing.assert_allclose(np.einsum("ni,ij,nj->n", on_curve, np.linalg.inv(covariance), on_curve), 1, rtol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"values": [[1j]]}, r"values must be complex numbers \(n,\)"),
        ({"values": CIRCLE, "masses": [1, 2]}, "masses must be 40 rising numbers"),
        ({"values": CIRCLE, "marks": [1]}, "give masses"),
        ({"values": CIRCLE, "masses": np.arange(40.0), "marks": [50]}, "marks must be between 0 and 39"),
        ({"values": CIRCLE, "errors": [0.1]}, r"errors must have shape \(40,\) or \(40, 2, 2\)"),
    ],
)
def test_argand_refuses_in_words(arguments, text):
    with pytest.raises(ValueError, match=text):
        plot.argand(**arguments)


COVARIANCE = np.array([[0.04, 0.03, 0.0, 0.0], [0.03, 0.09, 0.0, 0.01], [0.0] * 4, [0.0, 0.01, 0.0, 0.01]])
SIGMA = np.sqrt(np.where(np.diag(COVARIANCE) > 0, np.diag(COVARIANCE), 1))
FIT = SimpleNamespace(
    names=("a", "b", "c", "long name"),
    values={"a": 1.0, "b": 2.0, "c": 0.0, "long name": -1.0},
    covariance=COVARIANCE,
    correlation=COVARIANCE / np.outer(SIGMA, SIGMA) + np.diag([0, 0, 1.0, 0]),
    fixed=("c",),
    at_limit=(),
)


def test_correlation_leaves_out_fixed_parameters_and_prints_its_values():
    ax = plot.correlation(FIT, titles={"b": "$b$"})
    (image,) = ax.images
    np.testing.assert_allclose(image.get_array(), FIT.correlation[np.ix_([0, 1, 3], [0, 1, 3])])
    assert image.get_clim() == (-1, 1)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "$b$", "long name"]
    assert [t.get_text() for t in ax.texts][:3] == ["1.00", "0.50", "0.00"]
    np.testing.assert_allclose(plot.correlation(FIT, ["c", "a"]).images[0].get_array(), np.eye(2))
    with pytest.raises(ValueError, match="there is no d; there are a, b, c, long name"):
        plot.correlation(FIT, ["d"])


FRACTIONS = SimpleNamespace(
    names=("rho", "f0"), values=np.array([[0.7, 0.1], [0.1, 0.2]]), errors=np.array([[0.05, 0.02], [0.02, 0.01]])
)


def test_fractions_are_bars_in_percent_or_the_triangle_of_pairs():
    ax = plot.fractions(FRACTIONS)
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], [70, 20])
    assert [t.get_text() for t in ax.texts] == ["70.0 \u00b1 5.0", "20.0 \u00b1 1.0"]
    (_, _, bars) = next(c for c in ax.containers if isinstance(c, ErrorbarContainer))
    np.testing.assert_allclose(np.array(bars[0].get_segments())[:, :, 0], [[65, 75], [19, 21]])
    image = plot.fractions(FRACTIONS, matrix=True).images[0].get_array()
    assert np.ma.filled(image, 0).sum() == pytest.approx(100)
    flat = SimpleNamespace(names=("rho", "f0"), values=[0.7, 0.2], errors=[0.1, 0.1])
    assert plot.fractions(flat, ["f0"]).patches[0].get_width() == pytest.approx(20)
    with pytest.raises(ValueError, match=r"must have the shape \(2, 2\) to draw a matrix"):
        plot.fractions(flat, matrix=True)


PROFILE = SimpleNamespace(
    name="m", grid=np.linspace(0, 2, 21), delta=np.linspace(-1, 1, 21) ** 2 * 4, errordef=0.5, best=1.0, error=0.4
)


@pytest.mark.parametrize(("errordef", "text"), [(0.5, r"$-2\,\Delta\,\ln L$"), (1.0, r"$\Delta\chi^2$")])
def test_profile_is_in_squared_standard_deviations(errordef, text):
    record = SimpleNamespace(**(vars(PROFILE) | {"errordef": errordef, "minos": (-0.3, 0.5)}))
    ax = plot.profile(record)
    found = lines(ax)
    np.testing.assert_allclose(found["profile"][1], PROFILE.delta / errordef)
    x, parabola = found["parabola of the Hessian"]
    np.testing.assert_allclose(parabola, ((x - 1) / 0.4) ** 2)
    np.testing.assert_allclose(
        sorted(np.array(line.get_ydata())[0] for line in ax.lines if line.get_ls() == ":"), [1, 4]
    )
    (span,) = [p for p in ax.patches if p.get_label() == "MINOS"]
    assert (span.get_x(), span.get_width()) == (pytest.approx(0.7), pytest.approx(0.8))
    assert ax.get_ylabel() == text


X, Y = np.linspace(-1, 1, 41), np.linspace(-2, 2, 31)
SURFACE = SimpleNamespace(
    names=("a", "b"), x=X, y=Y, delta=0.5 * (9 * X[:, None] ** 2 + 4 * Y[None, :] ** 2), errordef=0.5, best=(0.0, 0.0)
)


def test_surface_has_the_cost_in_its_cells_and_lines_that_hold_both_parameters():
    ax = plot.surface(SURFACE)
    mesh = ax.collections[0]
    np.testing.assert_allclose(np.reshape(mesh.get_array(), (31, 41)), SURFACE.delta.T / 0.5)
    contents = []
    for line in ax.collections[1:]:
        points = np.concatenate([path.vertices for path in line.get_paths()])
        inside = 9 * points[:, 0] ** 2 + 4 * points[:, 1] ** 2
        contents.append(1 - np.exp(-inside.mean() / 2))
    np.testing.assert_allclose(contents, [0.6827, 0.9545], atol=0.01)


def test_contour_closes_its_polygon_and_tells_probability_from_sigmas():
    turn = np.linspace(0, 2 * np.pi, 30, endpoint=False)
    points = np.stack([np.cos(turn), 2 * np.sin(turn)], axis=1)
    one, two = (
        SimpleNamespace(names=("a", "b"), points=k * points, cl=cl, best=(0, 0)) for k, cl in ((1, 0.68), (2, 2))
    )
    ax = plot.contour([one, two])
    found = lines(ax)
    np.testing.assert_allclose(found["68 %"].T, [*points, points[0]])
    assert "2$\\,\\sigma$" in found
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "b")


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: plot.profile(3), TypeError, "must have grid, delta, errordef; a int lacks grid, delta, errordef"),
        (
            lambda: plot.profile(SimpleNamespace(**(vars(PROFILE) | {"delta": [1.0]}))),
            ValueError,
            "grid and delta must have the same shape",
        ),
        (
            lambda: plot.surface(SimpleNamespace(**(vars(SURFACE) | {"delta": SURFACE.delta.T}))),
            ValueError,
            r"delta must have the shape \(nx, ny\) = \(41, 31\), got \(31, 41\)",
        ),
        (lambda: plot.contour([]), ValueError, "got an empty list"),
        (
            lambda: plot.contour(SimpleNamespace(names=("a", "b"), points=[1.0], cl=1)),
            ValueError,
            r"the shape \(k, 2\)",
        ),
        (
            lambda: plot.contour(
                [SimpleNamespace(names=(n, "b"), points=[[1.0, 2.0], [2, 3]], cl=1) for n in ("a", "c")]
            ),
            ValueError,
            "same two parameters",
        ),
    ],
)
def test_curves_refuse_in_words(call, error, text):
    with pytest.raises(error, match=text):
        call()


D0 = (1.86484, 0.497611, 0.13957, 0.13957)


def flat_dalitz(n=4000):
    """Draw events of flat phase space by hand: inside of the range of m_bc at m_ab."""
    mass, a, b, c = D0
    x = np.random.default_rng(2).uniform((a + b) ** 2, (mass - c) ** 2, n)
    y = np.random.default_rng(3).uniform((b + c) ** 2, (mass - a) ** 2, n)
    low, high = m2_bc_range(x)
    keep = (y > low) & (y < high)
    return x[keep], y[keep]


def m2_bc_range(x):
    mass, a, b, c = D0
    e_b, e_c = (x - a**2 + b**2) / (2 * np.sqrt(x)), (mass**2 - x - c**2) / (2 * np.sqrt(x))
    p_b, p_c = np.sqrt(np.maximum(e_b**2 - b**2, 0)), np.sqrt(np.maximum(e_c**2 - c**2, 0))
    return (e_b + e_c) ** 2 - (p_b + p_c) ** 2, (e_b + e_c) ** 2 - (p_b - p_c) ** 2


def test_dalitz_counts_as_numpy_does_and_masks_what_kinematics_forbids():
    x, y = flat_dalitz()
    ax = plot.dalitz(x, y, masses=D0, bins=40)
    mesh = ax.collections[0]
    edge_x, edge_y = np.array(ax.lines[0].get_data())
    limits = [(v.min(), v.max()) for v in (edge_x, edge_y)]
    counts, x_edges, y_edges = np.histogram2d(x, y, 40, limits)
    cells = np.ma.reshape(mesh.get_array(), (40, 40)).T
    assert cells.filled(0).sum() == counts.sum() == len(x)
    np.testing.assert_allclose(cells.filled(0), counts)
    # Each cell whose middle is allowed is drawn, and none that is far outside.
    middle = (x_edges[1:] + x_edges[:-1]) / 2
    low, high = m2_bc_range(middle)
    y_middle = (y_edges[1:] + y_edges[:-1]) / 2
    inside = (y_middle[None] > low[:, None]) & (y_middle[None] < high[:, None])
    assert not np.any(np.ma.getmaskarray(cells) & inside)
    step = y_edges[1] - y_edges[0]
    far = (y_middle[None] < low[:, None] - 6 * step) | (y_middle[None] > high[:, None] + 6 * step)
    assert far.sum() > 100
    assert np.all(np.ma.getmaskarray(cells)[far])
    low, high = m2_bc_range(edge_x)
    np.testing.assert_allclose(np.minimum(np.abs(edge_y - low), np.abs(edge_y - high)), 0, atol=1e-6)
    assert mesh.get_clip_path() is not None


def test_dalitz_shows_events_that_lie_outside():
    x, y = flat_dalitz()
    ax = plot.dalitz([*x, 2.8], [*y, 1.8], masses=D0, bins=40)
    assert ax.collections[0].get_array().sum() == len(x) + 1
    weighted = plot.dalitz(x, y, np.full(len(x), 0.5), bins=10).collections[0].get_array()
    assert weighted.sum() == pytest.approx(len(x) / 2)


def test_lego_has_a_tower_on_each_cell_with_events(monkeypatch):
    from mpl_toolkits.mplot3d import Axes3D

    drawn = []
    monkeypatch.setattr(Axes3D, "bar3d", lambda self, *args, **kwargs: drawn.append(np.array(args).T))
    x, y, w = rng.normal(size=300), rng.uniform(size=300), rng.uniform(size=300)
    plot.lego(x, y, w, bins=(4, 9))
    counts, x_edges, y_edges = np.histogram2d(x, y, (4, 9), weights=w)
    expected = [
        (x_edges[i], y_edges[j], 0, x_edges[i + 1] - x_edges[i], y_edges[j + 1] - y_edges[j], counts[i, j])
        for i, j in np.argwhere(counts)
    ]
    np.testing.assert_allclose(drawn[0], expected)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: plot.dalitz([1.0], [1.0, 2.0]), ValueError, "of equal length, got shapes"),
        (lambda: plot.dalitz([], []), ValueError, "there must be at least one event"),
        (lambda: plot.dalitz([1.0, np.nan], [1.0, 2.0]), ValueError, "1 of 2 events are not finite .first: event 1."),
        (lambda: plot.dalitz([1.0], [1.0], masses=(1, 2)), ValueError, "masses must be those of the decaying particle"),
        (lambda: plot.dalitz([1.0], [1.0], masses=(1, 2, 2, 2)), ValueError, "mass must be at least 6"),
        (lambda: plot.lego([1.0], [1.0], ax=axes()), TypeError, "ax must be three-dimensional"),
    ],
)
def test_planes_refuse_in_words(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_corner_draws_normalised_histograms_of_all_chains_and_marks_truths():
    draws = {"a": rng.normal(1, 0.2, (4, 500)), "b": rng.normal(2, 0.3, (4, 500)), "still": np.ones((4, 500))}
    places = plot.corner(SimpleNamespace(samples=draws), truths={"a": 1.1}, bins=20)
    assert places.shape == (2, 2)
    x, density = lines(places[0, 0])["_child0"]
    edges, counts = x[::2], density[1:-1:2]
    np.testing.assert_allclose(counts, np.histogram(draws["a"], edges, density=True)[0])
    assert [line.get_xdata()[0] for line in places[1, 0].lines if line.get_ls() == "--"] == [1.1]
    assert not places[0, 1].axison
    assert (places[1, 0].get_xlabel(), places[1, 0].get_ylabel()) == ("a", "b")
    assert plot.corner(draws, ["b"]).shape == (1, 1)


def test_corner_of_a_fit_has_the_ellipses_of_its_covariance_over_the_posterior():
    draws = {"a": rng.normal(1, 0.1, 2000), "b": rng.normal(2, 0.1, 2000), "long name": rng.normal(-1, 0.1, 2000)}
    places = plot.corner(draws, label="posterior")
    before = places[0, 0].get_xlim()
    assert plot.corner(FIT, ax=places, label="fit", color="red")[1, 0] is places[1, 0]
    inner, outer = [p for p in places[1, 0].patches if isinstance(p, Ellipse)]
    inverse = np.linalg.inv(COVARIANCE[:2, :2])
    for ellipse, content in ((inner, 0.682689), (outer, 0.9545)):
        edge = ellipse.get_patch_transform().transform(ellipse.get_path().vertices)[[0, 6, 12, 18]] - [1, 2]
        np.testing.assert_allclose(np.einsum("ni,ij,nj->n", edge, inverse, edge), -2 * np.log(1 - content), rtol=1e-9)
    after = places[0, 0].get_xlim()
    assert after[0] <= before[0]
    assert after == pytest.approx((1 - 3.5 * 0.2, 1 + 3.5 * 0.2))
    assert [t.get_text() for t in places[0, 1].get_legend().get_texts()] == ["posterior", "fit"]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: plot.corner([1.0]), TypeError, "samples must be draws by name, have such as .samples, or be a fit"),
        (lambda: plot.corner({"a": [1.0, 2]}, ["b"]), ValueError, "no parameter b; those that vary are a"),
        (lambda: plot.corner({"a": [1.0, 1]}), ValueError, "no parameter to draw"),
        (lambda: plot.corner({"a": [1.0, 2], "b": [1.0]}), ValueError, "as many draws, got a: 2, b: 1"),
        (lambda: plot.corner({"a": [1.0, np.inf]}), ValueError, "draws must be finite; those of a are not"),
        (lambda: plot.corner({"a": [1.0, 2]}, truths={"b": 1}), ValueError, "truths names b; there are a"),
        (lambda: plot.corner(FIT, ax=[axes()] * 2), ValueError, r"ax must be axes of shape \(3, 3\)"),
    ],
)
def test_corner_refuses_in_words(call, error, text):
    with pytest.raises(error, match=text):
        call()


def solid():
    return pyplot.figure().add_subplot(projection="3d")


PICTURES = {
    "projection": (axes, lambda ax: plot.projection("x", DATA, MC, bell, PARAMS, ax=ax)),
    "projections": (
        lambda: pyplot.subplots(1, 2)[1],
        lambda ax: plot.projections(["x", "y"], DATA, MC, bell, PARAMS, ax=ax),
    ),
    "intensities": (axes, lambda ax: plot.intensities(table(), ax=ax)),
    "phases": (axes, lambda ax: plot.phases(table(), ("D", "S"), ax=ax)),
    "argand": (axes, lambda ax: plot.argand(CIRCLE, masses=np.arange(40.0), ax=ax)),
    "correlation": (axes, lambda ax: plot.correlation(FIT, ax=ax)),
    "fractions": (axes, lambda ax: plot.fractions(FRACTIONS, ax=ax)),
    "profile": (axes, lambda ax: plot.profile(PROFILE, ax=ax)),
    "surface": (axes, lambda ax: plot.surface(SURFACE, ax=ax)),
    "contour": (axes, lambda ax: plot.contour(SimpleNamespace(names="ab", points=np.eye(2), cl=0.7), ax=ax)),
    "dalitz": (axes, lambda ax: plot.dalitz(*flat_dalitz(), masses=D0, ax=ax)),
    "lego": (solid, lambda ax: plot.lego(DATA["x"], DATA["y"], bins=4, ax=ax)),
    "corner": (lambda: pyplot.subplots(2, 2)[1], lambda ax: plot.corner(DATA, ax=ax)),
}


def test_every_picture_is_among_those_tried():
    functions = {name for name in vars(plot) if callable(getattr(plot, name)) and not name.startswith("_")}
    assert functions == set(PICTURES) | {"style"}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_change_nothing_global_and_open_no_figure_beside_the_axes_given(name, tmp_path):
    make, draw = PICTURES[name]
    place = make()
    figures, settings = pyplot.get_fignums(), dict(matplotlib.rcParams)
    draw(place)
    assert pyplot.get_fignums() == figures
    assert dict(matplotlib.rcParams) == settings
    pyplot.close("all")
    draw(None)  # a figure of its own, which can be written
    assert len(pyplot.get_fignums()) == 1
    pyplot.gcf().savefig(tmp_path / "picture.pdf")
    assert dict(matplotlib.rcParams) == settings


def test_a_style_lasts_as_long_as_its_block():
    before = dict(matplotlib.rcParams)
    with plot.style(font_size=17):
        assert matplotlib.rcParams["font.size"] == 17
        assert matplotlib.rcParams["axes.prop_cycle"].by_key()["color"] == list(plot.PALETTE)
    assert dict(matplotlib.rcParams) == before
    with plot.style("ATLAS"):
        assert dict(matplotlib.rcParams) != before
    assert dict(matplotlib.rcParams) == before


def test_unknown_styles_and_settings_are_refused():
    with pytest.raises(ValueError, match="there is no style 'CDF2'; mplhep has .*ATLAS"):
        plot.style("CDF2")
    with pytest.raises(ValueError, match="there is no setting font_sise in matplotlib"):
        plot.style(font_sise=3)


def test_missing_libraries_are_named_with_what_installs_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "corner", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"plot.corner needs the package 'corner': pip install 'jaxpwa\[plot\]'"
    ):
        plot.corner(DATA)
    monkeypatch.setitem(sys.modules, "mplhep", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs the package 'mplhep': pip install 'jaxpwa\[plot\]'"):
        plot.style("CMS")
    code = "import sys; sys.modules['matplotlib'] = None\nimport jaxpwa\nimport jaxpwa.plot"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert "ModuleNotFoundError: jaxpwa.plot needs the package 'matplotlib': pip install 'jaxpwa[plot]'." in done.stderr
