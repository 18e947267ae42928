"""From allowed waves of two mesons to their polarised photoproduction."""

from collections.abc import Iterable

from jaxpwa.physics.waves.twopseudoscalars import TwoPseudoscalarWave
from jaxpwa.physics.waves.vectorpseudoscalar import VectorPseudoscalarWave
from jaxpwa.rules.records import TwoBodyWave


def polarised_waves(
    waves: Iterable[TwoBodyWave],
    *,
    projections: Iterable[int] | None = None,
    reflectivities: Iterable[int] = (1, -1),
) -> tuple[TwoPseudoscalarWave | VectorPseudoscalarWave, ...]:
    """List the waves of a polarised model, one for each projection and reflectivity of each allowed wave.

    Parameters
    ----------
    waves
        Of two pseudoscalars, or a vector and a pseudoscalar, as `allowed_two_body_waves` gives them.
    projections
        Spin projections m to have, where ``|m| <= J``; None: all.
    reflectivities
        1 for exchanges of natural parity, -1 for those of unnatural parity.

    Returns
    -------
    What `two_pseudoscalar_model` or `vector_pseudoscalar_model` takes.

    Raises
    ------
    ValueError
        If a wave is of other particles, or none is left.

    Examples
    --------
    >>> from jaxpwa.physics.waves.twopseudoscalars import two_pseudoscalar_model
    >>> from jaxpwa.rules import allowed_two_body_waves, polarised_waves
    >>> waves = polarised_waves(allowed_two_body_waves("eta", "pi0", 2), projections=(0, 1))  # doctest: +SKIP
    >>> [wave.name for wave in waves]  # doctest: +SKIP
    ['S0+', 'P0+', 'P1+', 'D0+', 'D1+', 'S0-', 'P0-', 'P1-', 'D0-', 'D1-']
    >>> model = two_pseudoscalar_model(waves)  # doctest: +SKIP
    """
    waves = tuple(waves)
    chosen = None if projections is None else set(projections)
    out: list[TwoPseudoscalarWave | VectorPseudoscalarWave] = []
    for reflectivity in reflectivities:
        for wave in waves:
            if wave.s not in (0, 1) or wave.parity != (-1) ** wave.l:
                msg = (
                    "waves must be of two pseudoscalars, or of a vector and a pseudoscalar, "
                    f"got {wave.jpc} of {wave.particles[0]} and {wave.particles[1]} with S={wave.s}."
                )
                raise ValueError(msg)
            j = int(wave.j)
            for m in range(-j, j + 1):
                if chosen is None or m in chosen:
                    if wave.s == 0:
                        out.append(TwoPseudoscalarWave(j, m, reflectivity))
                    else:
                        out.append(VectorPseudoscalarWave(j, m, wave.l, reflectivity))
    if not out:
        msg = "no wave is left: waves, projections or reflectivities are empty, or every J is below the projections."
        raise ValueError(msg)
    return tuple(out)
