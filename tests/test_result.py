import dataclasses
import json
import math

import msgpack
import numpy as np
import pytest
from models import TRUE_GAUSS, gauss, gauss_sample

import jaxpwa as jp
from jaxpwa.inference.report import rounded


@pytest.fixture(scope="module")
def result():
    start = {
        "A1": jp.Parameter(9, lower=0.1),
        "A2": jp.Parameter(3.5, 3.3, 4),
        "A3": 9,
        "A4": jp.Parameter(3, fixed=True),
    }
    return jp.fit(jp.UnbinnedNLL(gauss, gauss_sample(800)), start, minos="A1")


@pytest.mark.parametrize("suffix", [".json", ".msgpack"])
def test_a_result_comes_back_from_a_file_to_the_last_bit(result, tmp_path, suffix):
    path = tmp_path / f"fit{suffix}"
    result.save(path)
    back = jp.load_result(path)
    for item in dataclasses.fields(result):
        name = item.name.lstrip("_")
        if name != "minuit":
            np.testing.assert_equal(getattr(back, name), getattr(result, name))
    assert len(back.samples) == 1
    assert back.minuit is None
    assert str(back) == str(result)
    np.testing.assert_array_equal(back.correlation, result.correlation)


def test_what_is_derived_from_a_loaded_result_is_the_same_to_the_last_bit(result, tmp_path):
    result.save(tmp_path / "fit.json")
    back = jp.load_result(tmp_path / "fit.json")
    ours, theirs = (r.propagate(lambda p: {"area": p["A1"] * p["A2"], "p": p["A3"] ** 2}) for r in (result, back))
    assert theirs.value == ours.value
    assert theirs.error == ours.error
    np.testing.assert_array_equal(theirs.covariance, ours.covariance)


def test_a_result_says_what_was_minimised_over_which_events_and_how(result):
    data = jp.Dataset(gauss_sample(800))
    assert result.definition == ("-1.0 * sum of w ln I over data",)
    (sample,) = result.samples
    assert (sample["name"], sample["events"], sample["columns"]) == ("data", 800, ["x", "y"])
    assert result.settings["strategy"] == 1
    assert result.settings["start"] == {"A1": 9.0, "A2": 3.5, "A3": 9.0, "A4": 3.0}
    again = jp.fit(jp.UnbinnedNLL(gauss, data), result)
    assert again.samples == result.samples
    other = {**gauss_sample(800)}
    other["x"] = other["x"].copy()
    other["x"][17] = np.nextafter(other["x"][17], 100.0)
    assert jp.fit(jp.UnbinnedNLL(gauss, other), result).samples[0]["fingerprint"] != sample["fingerprint"]


def test_a_result_is_a_table_of_its_parameters(result):
    table = result.to_pandas()
    assert list(table.index) == list(result.names)
    assert table["value"].to_dict() == result.values
    assert table.loc["A1", ["minos_lower", "minos_upper"]].tolist() == list(result.minos["A1"])
    assert table.loc["A2", ["lower", "upper"]].tolist() == [3.3, 4.0]
    assert table["note"].tolist() == ["", "at limit", "", "fixed"]


def test_files_of_the_first_format_are_still_read(result, tmp_path):
    plain = {**result.to_dict(), "format_version": 1}
    for name in ("covariance_kind", "tied", "definition", "settings", "samples"):
        del plain[name]
    back = jp.FitResult.from_dict(plain)
    assert back.values == result.values
    assert (back.covariance_kind, back.tied, back.samples) == ("hessian", (), ())


def test_a_loaded_result_is_a_start_and_its_values_are_params(result, tmp_path):
    result.save(tmp_path / "fit.json")
    back = jp.load_result(tmp_path / "fit.json")
    cost = jp.UnbinnedNLL(gauss, gauss_sample(800))
    assert cost(back.values) == pytest.approx(result.fval, rel=1e-12)
    assert len(jp.evaluate(gauss, back.values, gauss_sample(7))) == 7
    assert jp.fit(cost, back).valid


def test_json_is_strict_and_readable_by_anyone(result, tmp_path):
    result.save(tmp_path / "fit.json")
    plain = json.loads((tmp_path / "fit.json").read_text(), parse_constant=pytest.fail)
    assert plain["values"]["A4"] == 3.0
    assert plain["errors"]["A2"] is None
    assert plain["limits"]["A1"] == [0.1, None]
    assert plain["versions"]["jaxpwa"] == jp.__version__


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither JSON nor msgpack"),
        (b"{", "neither JSON nor msgpack"),
        (b"\xc1", "neither JSON nor msgpack"),
        (b"{}", "no jaxpwa.FitResult record"),
        (msgpack.packb([1, 2]), "no jaxpwa.FitResult record"),
        (b'{"format": "jaxpwa.FitResult", "format_version": 99}', "version 99; this jaxpwa reads up to 2"),
        (b'{"format": "jaxpwa.FitResult", "format_version": 1}', "damaged .* KeyError: 'values'"),
    ],
)
def test_foreign_and_damaged_files_are_refused(tmp_path, content, message):
    (tmp_path / "r").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        jp.load_result(tmp_path / "r")


def test_a_record_whose_matrix_does_not_fit_is_refused(result):
    plain = result.to_dict()
    plain["covariance"] = [[1.0]]
    with pytest.raises(ValueError, match="covariance or errors do not match"):
        jp.FitResult.from_dict(plain)


def test_other_suffixes_and_missing_files_are_refused(result, tmp_path):
    with pytest.raises(ValueError, match="results are saved as .json or .msgpack, got 'fit.pkl'"):
        result.save(tmp_path / "fit.pkl")
    with pytest.raises(FileNotFoundError):
        jp.load_result(tmp_path / "none.json")


def test_the_table_names_values_errors_limits_and_states(result):
    text = str(result)
    for expected in ("valid: minimum found, A2 at a limit", "UnbinnedNLL(gauss)", "entries", "800", "minos -", "lower"):
        assert expected in text
    rows = {line.split()[0]: line for line in text.splitlines() if line[:1] == "A"}
    assert list(rows) == list(TRUE_GAUSS)
    assert rows["A2"].endswith("at limit")
    assert rows["A4"].endswith("fixed")
    widths = {len(line) for line in text.splitlines() if set(line) == {"-"}}
    assert len(widths) == 1


def test_the_html_table_escapes_names():
    bad = "<script>alert(1)</script>"
    cost = jp.GaussianConstraint(bad, 1.0, 0.5)
    page = jp.fit(cost, {bad: 0.0})._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<table>" in page


def test_invalid_results_say_so_first():
    cost = jp.ChiSquared(lambda p, d: (p["a"] + p["b"]) * d["x"], {"x": [1.0, 2]}, [1, 2], [1.0] * 2)
    with pytest.warns(jp.ConvergenceWarning):
        result = jp.fit(cost, {"a": 1.0, "b": 1.0})
    assert "NOT VALID: a direction is flat" in str(result)
    assert "NOT VALID" in result._repr_html_()
    assert result.to_dict()["errors"]["a"] is None


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (10.0054, 0.00798, ("10.0054", "0.0080")),
        (7776.03, 155.6, ("7776", "156")),
        (0.410462, 0.02661, ("0.410", "0.027")),
        (5.0, 0.0999, ("5.00", "0.10")),
        (5.0, 0.00996, ("5.000", "0.010")),
        (1e8, 3e4, ("1.00000e+08", "0.00030e+08")),
        (1e-9, 2e-10, ("1.00e-09", "0.20e-09")),
        (5.0, 0.0, ("5", "")),
        (5.0, math.nan, ("5", "")),
    ],
)
def test_errors_are_shown_with_two_digits_and_values_to_match(value, error, expected):
    assert rounded(value, error) == expected
