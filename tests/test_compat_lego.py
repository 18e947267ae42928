"""Lego plots against numpy's histogram."""

import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.colors import LinearSegmentedColormap
from mpl_toolkits.mplot3d import Axes3D

from jaxpwa_compat.lego import make_lego


@pytest.fixture(autouse=True)
def _close():
    yield
    pyplot.close("all")


@pytest.fixture
def bars(monkeypatch):
    """Record what is drawn: one (x, y, z, dx, dy, dz) per bar, and colours."""
    drawn, original = [], Axes3D.bar3d

    def bar3d(self, *args, **kwargs):
        drawn.append((np.array(args).T, kwargs["color"]))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Axes3D, "bar3d", bar3d)
    return drawn


def sample(n=1000):
    """Long in x, short in y, and correlated, so that swapped axes show."""
    rng = np.random.default_rng(3)
    x = rng.exponential(3, n)
    return x, -1 + 0.05 * x + rng.normal(0, 0.1, n)


@pytest.mark.parametrize("bins", [7, (4, 9), (np.array([0, 1, 5, 20]), [-2, -1, 0, 0.5, 2])])
def test_every_bar_stands_on_its_cell_and_is_as_high_as_its_count(bins, bars):
    x, y = sample()
    make_lego(x, y, bins)
    counts, x_edges, y_edges = np.histogram2d(x, y, bins)
    expected = {
        (x_edges[i], y_edges[j], 0, x_edges[i + 1] - x_edges[i], y_edges[j + 1] - y_edges[j], counts[i, j])
        for i in range(len(x_edges) - 1)
        for j in range(len(y_edges) - 1)
    }
    ((got, _),) = bars
    assert {tuple(bar) for bar in got} == expected
    assert len(got) == counts.size


def test_a_lone_count_is_not_drawn_at_swapped_positions(bars):
    make_lego([0, 10, 10, 10], [5, 5, 5, 6], 2)
    ((got, _),) = bars
    assert {(bar[0], bar[1]): bar[5] for bar in got} == {(0, 5): 1, (0, 5.5): 0, (5, 5): 2, (5, 5.5): 1}


@pytest.mark.parametrize(("n", "per_axis"), [(1, 1), (2, 2), (3, 3), (1000, 11), (1024, 11), (1025, 12)])
def test_bins_follow_sturges_rule(n, per_axis, bars):
    make_lego(*sample(n))
    assert len(bars[0][0]) == per_axis**2
    if n > 1:
        assert per_axis == len(np.histogram_bin_edges(sample(n)[0], "sturges")) - 1


@pytest.mark.parametrize(
    "cmap",
    ["jet", "viridis", LinearSegmentedColormap.from_list("mine", ["red", "blue"]), matplotlib.colormaps["cividis"]],
)
def test_colour_maps_come_by_name_or_as_objects(cmap, bars):
    make_lego(*sample(), cmap=cmap)
    ((got, colours),) = bars
    expected = matplotlib.colormaps.get_cmap(cmap)
    np.testing.assert_array_equal(colours[np.argmax(got[:, 5])], expected(1.0))
    np.testing.assert_array_equal(colours[np.argmin(got[:, 5])], expected(0.0))


def test_given_axes_are_used_and_new_ones_are_shown():
    new = make_lego(*sample(), elev=20, azim=100)
    assert (new.elev, new.azim) == (20, 100)
    assert new.figure.axes == [new]
    ax = pyplot.figure().add_subplot(1, 2, 2, projection="3d")
    before = len(pyplot.get_fignums())
    assert make_lego(*sample(), ax=ax) is ax
    assert (len(pyplot.get_fignums()), len(ax.collections), ax.elev, ax.azim) == (before, 1, 10, 215)


def test_series_are_paired_by_position(bars):
    x, y = sample(50)
    make_lego(pd.Series(x, index=np.arange(50)[::-1]), pd.Series(y))
    make_lego(list(x), y)
    np.testing.assert_array_equal(bars[0][0], bars[1][0])


def test_a_figure_is_saved(tmp_path):
    make_lego(*sample()).figure.savefig(tmp_path / "lego.png")
    assert (tmp_path / "lego.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "message"),
    [
        ([1, 2], [1, 2, 3], {}, ValueError, "equal lengths, got 2 and 3 events"),
        ([], [], {}, ValueError, "at least one event, got none"),
        ([1, np.nan, np.inf], [1, 2, 3], {}, ValueError, r"x must be finite: 2 of 3 .*first: event 1, nan"),
        ([1, 2], [1, np.nan], {}, ValueError, r"y must be finite: 1 of 2"),
        ([[1, 2]], [1, 2], {}, ValueError, r"x must be real numbers of shape \(events,\), got shape \(1, 2\)"),
        (["a"], [1], {}, ValueError, "x must be real numbers"),
        ([1, 2], [1, 2], {"bins": 0}, ValueError, "bins must be a whole number above 0, or edges, got 0"),
        ([1, 2], [1, 2], {"bins": 4.5}, ValueError, r"bins must be a whole number above 0, or edges, got 4\.5"),
        ([1, 2], [1, 2], {"cmap": "no such map"}, ValueError, "no such map"),
        ([1, 2], [1, 2], {"ax": 3}, TypeError, r"ax must be three-dimensional, got int: .*projection='3d'"),
    ],
)
def test_wrong_arguments_are_refused(x, y, options, error, message):
    with pytest.raises(error, match=message):
        make_lego(x, y, **options)
    assert pyplot.get_fignums() == []


def test_missing_matplotlib_is_named_with_its_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jaxpwa\[plot\]'"):
        make_lego([1], [1])
