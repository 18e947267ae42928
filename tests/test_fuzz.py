"""Mutated files: the right kind of table or a clear error; never a hang, a crash or a bare traceback."""

import warnings

import numpy as np
import pandas as pd
import pytest

import jaxpwa as jp

N_MUTATIONS = 2000
EVENTS = 12
RNG = np.random.default_rng(0)
TABLE = {"x": RNG.normal(size=EVENTS), "y": RNG.integers(-5, 5, EVENTS)}
CONTENT = {
    ".csv": TABLE,
    ".tsv": TABLE,
    ".csv.gz": TABLE,
    ".kvars": TABLE,
    ".npy": TABLE,
    ".npz": TABLE,
    ".pgz": TABLE,
    ".root": TABLE,
    ".parquet": TABLE,
    ".txt": RNG.normal(size=EVENTS),
    ".pf": RNG.random(EVENTS) < 0.5,
    ".sel": np.arange(EVENTS),
    ".gamp": jp.ParticleTable([(1, 0, RNG.normal(size=(EVENTS, 4))), (14, 1, RNG.normal(size=(EVENTS, 4)))]),
}
KINDS = (pd.DataFrame, np.ndarray, jp.ParticleTable, jp.Dataset)


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip, drop, double, cut or splice some bytes."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        if not data:
            break
        at = int(rng.integers(len(data)))
        match rng.integers(6):
            case 0:
                data[at] = int(rng.integers(256))
            case 1:
                data[at] = b"0123456789.,-+eE \n\t=;\"'#"[int(rng.integers(24))]
            case 2:
                del data[at : at + int(rng.integers(1, 9))]
            case 3:
                data[at:at] = data[at : at + int(rng.integers(1, 40))]
            case 4:
                del data[at:]
            case 5:
                data[at:at] = [b"nan", b"1e999", b"\r\n", b"\x00", b"\xff\xfe", b"9" * 30][int(rng.integers(6))]
    return bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", CONTENT)
def test_mutated_files_give_a_table_or_a_clear_error(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    jp.write(path, CONTENT[suffix])
    whole = path.read_bytes()
    rng = np.random.default_rng(sum(map(ord, suffix)))
    read, messages = 0, []
    for _ in range(N_MUTATIONS):
        content = mutate(whole, rng)
        path.write_bytes(content)
        try:
            with warnings.catch_warnings():
                # jaxpwa's notices of branches left out, numpy's of headers that look like Python 2.
                warnings.simplefilter("ignore", UserWarning)
                table = jp.read(path)
        except (ValueError, TypeError) as error:
            messages.append(str(error))
            continue
        assert isinstance(table, KINDS), content
        read += 1
    assert read + len(messages) == N_MUTATIONS
    assert messages
    for message in messages:
        assert str(path) in message or "columns must have equal lengths" in message
        assert len(message) < 2000
