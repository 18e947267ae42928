"""Tables written as several files."""

import jaxpwa as jp


def write(folder, columns, cuts=(7, 60_000, 60_001)):
    """Write consecutive rows into files of unequal lengths."""
    n = len(next(iter(columns.values())))
    paths = []
    for k, (start, stop) in enumerate(zip((0, *cuts), (*cuts, n), strict=True)):
        paths.append(folder / f"part_{k}.npy")
        jp.write(paths[-1], {name: values[start:stop] for name, values in columns.items()})
    return paths
