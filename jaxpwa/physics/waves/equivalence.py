"""Parameters of equal intensity: phases that aren't seen, complex conjugates, flat directions, and how to tell.

`jaxpwa.physics.waves.ambiguities` says which models have which, and lists them. All here is done on the host, and not
within jit.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp

from jaxpwa._checks import known
from jaxpwa.physics.waves._couplings import (
    Model,
    chosen,
    close,
    columns_of,
    groups_of,
    intensities,
    referenced,
    references_of,
    representable,
    values_of,
    with_values,
)


def interfering(model: Model) -> tuple[tuple[str, ...], ...]:
    """Couplings whose phases are seen relative to each other.

    Parameters
    ----------
    model
        A `CoherentSum` or `IncoherentSum`.

    Returns
    -------
    Names of couplings, in groups: those in one coherent sum are in one group, and so are those in sums that share a
    coupling, as the two sums of each reflectivity do in `two_pseudoscalar_model`. One phase for a whole group changes
    no intensity.

    Raises
    ------
    TypeError
        If the model is of another kind.

    Examples
    --------
    >>> from jaxpwa.physics.waves.equivalence import interfering
    >>> from jaxpwa.physics.waves.twopseudoscalars import two_pseudoscalar_model
    >>> interfering(two_pseudoscalar_model(["S0+", "D1-", "D2+"]))
    (('S0+', 'D2+'), ('D1-',))
    """
    return groups_of(model)


def conjugated(model: Model, params: Mapping[str, Any], *of: str) -> dict[str, float]:
    """Replace couplings by their complex conjugates.

    Parameters
    ----------
    model
        A `CoherentSum` or `IncoherentSum`.
    params
        Parameter values by name.
    *of
        Names of couplings: what interferes with one of them is conjugated, see `interfering`. Everything if none is
        named.

    Returns
    -------
    Parameter values by name, those that belong to no coupling as they were. The intensity stays as it is where the
    amplitudes that the couplings multiply are real up to a common phase: `equivalent` tells whether it does.

    Raises
    ------
    TypeError, ValueError
        If the model is of another kind, parameters are missing, or a name is that of no coupling.
    """
    turned = {name for group in chosen(groups_of(model), of) for name in group}
    values = {n: v.conjugate() if n in turned else v for n, v in values_of(model, params).items()}
    return with_values(model, params, values)


def rotated(model: Model, params: Mapping[str, Any], angle: float, *of: str) -> dict[str, float]:
    r"""Multiply couplings by a phase, :math:`e^{i \alpha}`, which changes no intensity.

    Parameters
    ----------
    model
        A `CoherentSum` or `IncoherentSum`.
    params
        Parameter values by name.
    angle
        :math:`\alpha`, rad. Pi changes signs, which is all that can be done where a coupling is real by convention.
    *of
        As in `conjugated`.

    Returns
    -------
    Parameter values by name.

    Raises
    ------
    TypeError, ValueError
        As `conjugated`, and if a coupling that the model has real would become complex.
    """
    turned = {name for group in chosen(groups_of(model), of) for name in group}
    phase = complex(np.exp(1j * float(angle)))
    values = {n: v * phase if n in turned else v for n, v in values_of(model, params).items()}
    if not representable(model, values):
        real = [name for name, coupling in model.couplings.items() if coupling.real and name in turned]
        msg = f"angle must be a multiple of pi, as the model has {known(real)} real, got {angle!r}."
        raise ValueError(msg)
    return with_values(model, params, values)


def to_reference(model: Model, params: Mapping[str, Any], reference: Sequence[str] = ()) -> dict[str, float]:
    """Choose phases by convention: one coupling of each interfering group is real and positive.

    Parameters
    ----------
    model
        A `CoherentSum` or `IncoherentSum`.
    params
        Parameter values by name.
    reference
        Names of couplings that shall be real and positive, at most one of each group. Where nothing is given, the
        coupling that the model has real, or else the first of the group.

    Returns
    -------
    Parameter values by name, of the same intensity. A group whose reference is 0 stays as it is.

    Raises
    ------
    TypeError, ValueError
        If the model is of another kind, parameters are missing, or a reference is no coupling, is one of two of a
        group, or is another than the one that the model has real.
    """
    values = referenced(model, values_of(model, params), references_of(model, reference))
    return with_values(model, params, values)


def equivalent(
    model: Any,
    params_a: Mapping[str, Any],
    params_b: Mapping[str, Any],
    data: Mapping[str, Any],
    tolerance: float = 1e-6,
) -> bool:
    """Tell whether two sets of parameters have the same intensity.

    Parameters
    ----------
    model
        Any function ``intensity(params, data)``.
    params_a, params_b
        Parameter values by name.
    data
        Columns, ``(events,)`` each: a sample that covers what the model depends on, such as some hundred events.
    tolerance
        Largest difference that counts as none, in units of the mean intensity. Minima that a fit finds from
        different starts agree only as well as the minimiser converges: take 1e-3 or so for those.

    Returns
    -------
    True or False.

    Raises
    ------
    TypeError, ValueError
        If the model is no function, parameters have different names, data is no dict, or an intensity isn't finite.
    """
    columns = columns_of(data)
    different = set(params_a) ^ set(params_b)
    if different:
        msg = f"params_a and params_b must have the same names, but {known(sorted(different))} are in one of them."
        raise ValueError(msg)
    a, b = intensities(model, [params_a, params_b], columns)
    return close(a, b, tolerance)


def flat_directions(
    model: Any, params: Mapping[str, float], data: Mapping[str, Any], tolerance: float = 1e-8
) -> list[dict[str, float]]:
    r"""Directions in which parameters can be moved without any change of the intensity, to first order.

    Singular vectors of :math:`\partial I(x_i) / \partial p_k` whose singular values are 0.

    Parameters
    ----------
    model
        Any function ``intensity(params, data)`` that JAX can differentiate.
    params
        Parameter values by name, best not at a special point: where all phases are 0 or pi, two conjugate solutions
        meet and every phase is flat to first order.
    data
        Columns, ``(events,)`` each, of more events than there are parameters.
    tolerance
        Singular values below this share of the largest count as 0.

    Returns
    -------
    Directions of length 1, each by name of the parameter; as many as the ambiguity has dimensions, none where there is
    no continuous one. Phases that no reference fixes are among them.

    Raises
    ------
    TypeError, ValueError
        If the model is no function, data is no dict, an intensity isn't finite, or there are fewer events than
        parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from jaxpwa.physics.waves.equivalence import flat_directions
    >>> flat_directions(lambda p, d: (p["a"] + p["b"]) * d["x"], {"a": 1.0, "b": 2.0}, {"x": np.arange(5.0)})
    [{'a': -0.707..., 'b': 0.707...}]
    """
    columns, names = columns_of(data), list(params)
    found = intensities(model, [params], columns)[0]
    if len(found) < len(names):
        msg = f"data must have at least as many events as there are parameters: got {len(found)} for {len(names)}."
        raise ValueError(msg)
    theta = jnp.asarray([float(params[name]) for name in names])
    slopes = jax.jacfwd(lambda t: model({name: t[i] for i, name in enumerate(names)}, columns))(theta)
    _, sizes, vectors = np.linalg.svd(np.asarray(slopes), full_matrices=False)
    flat = vectors[sizes <= tolerance * max(sizes[0], np.finfo(float).tiny)]
    # The sign of a singular vector is arbitrary: the largest entry's last occurrence is positive.
    flat = [v * np.sign(v[np.flatnonzero(np.abs(v) > 0.999 * np.max(np.abs(v)))[-1]]) for v in flat]
    return [{name: float(x) for name, x in zip(names, v, strict=True)} for v in flat]
