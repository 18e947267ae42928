import copy
import pickle

import numpy as np
import pandas as pd
import pytest

import jaxpwa_compat as pwa

FRAME = pd.DataFrame({"x": [1.0, 2, 3], "n": np.array([1, 2, 3], np.int32), "kind": ["a", "b", "c"]}, index=[4, 2, 9])


class Line(pwa.NestedFunction):
    def __init__(self, slope):
        self.slope = slope  # as real user classes do: no super().__init__()

    def setup(self, data):
        self.__x = data["x"]

    def calculate(self, parameters):
        return self.slope * parameters["A"] * np.asarray(self.__x)


def test_a_nested_function_is_set_up_called_copied_and_pickled():
    line = Line(2.0)
    line.setup(FRAME)
    for one in (line, copy.deepcopy(line), pickle.loads(pickle.dumps(line))):
        assert one({"A": 1.5}).tolist() == [3, 6, 9]
    assert (line.USE_MP, line.USE_THREADS, line.USE_TORCH, line.DEBUG, line.THREAD) == (True, False, False, False, 0)


def test_abstract_methods_must_be_written():
    with pytest.raises(TypeError, match="abstract"):
        pwa.NestedFunction()  # type: ignore[abstract]


def test_processes_and_threads_exclude_each_other():
    class Both(Line):
        USE_THREADS = True

        def __init__(self):
            pwa.NestedFunction.__init__(self)

    with pytest.raises(RuntimeError, match="USE_MP and USE_THREADS can't both be true: set USE_MP = False"):
        Both()

    class Debugged(Both):
        DEBUG = True

    assert (Debugged().USE_MP, Debugged().USE_THREADS) == (False, False)


def test_a_function_amplitude_is_set_up_without_arguments_and_gets_the_data_first():
    calls = []
    amplitude = pwa.FunctionAmplitude(lambda: calls.append(1), lambda data, p: data["x"] * p["A"])
    amplitude.setup({"x": np.array([1.0, 2.0])})
    assert calls == [1]
    assert amplitude({"A": 3.0}).tolist() == [3, 6]


def test_pandas_becomes_aligned_numpy():
    array = pwa.pandas_to_numpy(FRAME)
    assert array.dtype.names == ("x", "n", "kind")
    assert array.dtype.isalignedstruct
    assert array["n"].dtype == np.int32
    assert array["kind"].tolist() == ["a", "b", "c"]
    assert pwa.pandas_to_numpy(FRAME["x"]).tolist() == [1, 2, 3]
    row = pwa.pandas_to_numpy(FRAME[["x", "n"]].iloc[1])
    assert row.shape == (1,)
    assert row["x"][0] == 2
    with pytest.raises(TypeError, match="takes a DataFrame or a Series, got list"):
        pwa.pandas_to_numpy([1])


@pytest.mark.parametrize("table", [FRAME, pwa.pandas_to_numpy(FRAME)])
def test_columns_come_out_contiguous(table):
    one = pwa.to_contiguous(table, "x")
    assert isinstance(one, np.ndarray)
    assert one.flags.c_contiguous
    several = pwa.to_contiguous(table, ["n"])
    assert isinstance(several, tuple)
    assert several[0].tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="unknown column 'z'; the data have: x, n, kind"):
        pwa.to_contiguous(table, ["x", "z"])


def test_a_flat_array_has_no_columns():
    with pytest.raises(TypeError, match="it has no column names"):
        pwa.to_contiguous(np.ones(3), "x")
