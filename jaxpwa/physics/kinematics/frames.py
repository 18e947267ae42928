r"""Decay angles: in the helicity, Gottfried-Jackson, Adair or any other frame, and along chains of decays.

A `Frame` is the rest frame of a system with three axes in it; all of them are made by `rest_frame`:

================================  ====================================================================================
frame of a produced system X      its axes
================================  ====================================================================================
`helicity_frame`                  z along the flight of X in the centre of mass of the reaction, against the recoil
`gottfried_jackson_frame`         z along the beam as X sees it
`adair_frame`                     z along the beam in the centre of mass of the reaction
`Frame.decay_frame` of a decay    z along the flight of the daughter in the frame of its parent, y along the parent's
product                           z cross this z
`rest_frame`                      any z and y
================================  ====================================================================================

The first three share y, the normal of the production plane, along beam cross X in the centre of mass (beam cross
-recoil); x is y cross z in all of them. They differ by rotations about y, and are the same where X goes forward.
Centre of mass is the rest frame of X and recoil together; all vectors are given in one frame, any.

Where beam and X are collinear there is no production plane: y is then along the z axis of the events cross z, and
along their y axis where that is 0 too, as for a beam along z. A direction that does not exist, as that of a particle
at rest, counts as along z, as it does in ROOT. In these cases angles and their gradients are finite, the gradient of
what does not exist being 0.

References
----------
K. Schilling, P. Seyboth, G. Wolf, Nucl. Phys. B15 (1970) 397: the three frames.
K. Gottfried, J. D. Jackson, Nuovo Cimento 33 (1964) 309. R. K. Adair, Phys. Rev. 100 (1955) 1540.
M. Jacob, G. C. Wick, Ann. Phys. 7 (1959) 404: helicity.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from jaxpwa.physics.kinematics._vectors import (
    Axis,
    FourVector,
    arctan2,
    cross,
    direction,
    four_vectors,
    product,
    three_vector,
)
from jaxpwa.physics.kinematics.fourvectors import in_rest_frame_of


class Frame(eqx.Module):
    """The rest frame of a system and three axes in it; made by `rest_frame` and its kin.

    Attributes
    ----------
    system
        Four-vectors of the system, ``(events, 4)``, as the parent frame sees them.
    x, y, z
        Unit vectors ``(events, 3)`` in the rest frame of the system, in terms of the axes of the parent frame.
    parent
        The frame from which the system is boosted to rest; None stands for the one in which the events are given.
    """

    system: jax.Array
    x: jax.Array
    y: jax.Array
    z: jax.Array
    parent: "Frame | None"

    def see(self, p4: FourVector) -> jax.Array:
        """Four-vectors in this frame.

        Parameters
        ----------
        p4
            ``(events, 4)``, GeV, as the events are given.

        Returns
        -------
        ``(events, 4)``, along the axes of this frame.
        """
        rest = in_rest_frame_of(p4 if self.parent is None else self.parent.see(p4), self.system)
        along = [product(rest[..., 1:], axis) for axis in (self.x, self.y, self.z)]
        return jnp.stack([rest[..., 0], *along], axis=-1)

    def angles(self, daughter: FourVector) -> tuple[jax.Array, jax.Array]:
        """Angles of the momentum of a particle in this frame.

        Parameters
        ----------
        daughter
            ``(events, 4)``, GeV, as the events are given.

        Returns
        -------
        costheta, phi
            ``(events,)`` each; costheta in [-1, 1], phi in (-pi, pi] rad. Along z phi is 0, at rest costheta is 1.
        """
        return _spherical(self.see(daughter)[..., 1:])

    def normal_angles(self, first: FourVector, second: FourVector) -> tuple[jax.Array, jax.Array]:
        r"""Angles of the normal of a decay plane, :math:`\vec p_{first} \times \vec p_{second}`, in this frame.

        Parameters
        ----------
        first, second
            Two of the three decay products of this frame's system, ``(events, 4)``, GeV, as the events are given. For
            omega -> pi+ pi- pi0 they are pi+ and pi-, in this order; the other order gives the opposite normal.

        Returns
        -------
        costheta, phi
            As `angles`. Where the three are collinear, costheta is 1 and phi 0.
        """
        return _spherical(cross(self.see(first)[..., 1:], self.see(second)[..., 1:]))

    def decay_frame(self, daughter: FourVector) -> "Frame":
        """Helicity frame of a decay product that decays itself.

        Parameters
        ----------
        daughter
            ``(events, 4)``, GeV, as the events are given; massive.

        Returns
        -------
        The frame with z along the daughter's flight in this frame and y along this frame's z cross that z, which
        is what rotating by ``-phi`` about z, then by ``-theta`` about y, and boosting along -z leads to. For a
        daughter along z or at rest it has the axes of this frame.

        Notes
        -----
        The same as GlueX's frame of omega in b1 -> omega pi, if this is the helicity frame of the b1.
        """
        return rest_frame(daughter, z=self.see(daughter)[..., 1:], parent=self)


def _spherical(vector: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return cosine of the polar angle and azimuth of a vector; those of the z axis for a vector that is 0."""
    return direction(vector)[..., 2], arctan2(vector[..., 1], vector[..., 0])


def rest_frame(
    system: FourVector, *, z: Axis | None = None, y: Axis | None = None, parent: Frame | None = None
) -> Frame:
    """Rest frame of a system with axes of one's own.

    Parameters
    ----------
    system
        ``(events, 4)``, GeV, as the events are given; massive. It is boosted to rest, without rotation, from the
        parent frame.
    z, y
        Directions in the rest frame of the system in terms of the axes of the parent frame, ``(events, 3)`` or
        ``(3,)`` of any length; or functions that return them when given ``see``, which takes four-vectors as the
        events are given and returns their momenta, ``(events, 3)``, in the rest frame of the system. Of y only the
        part that is perpendicular to z counts. By default z is the parent's z axis, and y is the parent's z cross z.
        A y along z counts as the default; where that is 0 it is the parent's y axis.
    parent
        Another frame; by default the one in which the events are given.

    Returns
    -------
    A `Frame`, with x = y cross z.

    Raises
    ------
    ValueError
        If shapes are none of these.

    Examples
    --------
    The frame of a meson pair with z along the beam and y along the recoil, where the pair is at rest:

    >>> import jax.numpy as jnp
    >>> from jaxpwa.physics.kinematics.frames import rest_frame
    >>> from jaxpwa.physics.kinematics.fourvectors import four_vector_from_mass
    >>> beam, recoil = [8.0, 0, 0, 8.0], four_vector_from_mass(0.94, 0.0, -0.5, 0.3)
    >>> first, second = four_vector_from_mass(0.5, 0.3, 0.1, 3.0), four_vector_from_mass(0.5, -0.3, 0.4, 4.7)
    >>> frame = rest_frame(first + second, z=lambda see: see(beam), y=lambda see: see(recoil))
    >>> costheta, phi = frame.angles(recoil)
    >>> round(float(costheta), 6), round(float(phi / jnp.pi), 6)  # in the half-plane of y
    (-0.633142, 0.5)
    """
    (inside,) = four_vectors(system=system)
    inside = inside if parent is None else parent.see(inside)

    def see(p4: FourVector) -> jax.Array:
        return in_rest_frame_of(p4 if parent is None else parent.see(p4), inside)[..., 1:]

    def given(name: str, axis: Axis | None) -> jax.Array | None:
        if axis is None:
            return None
        return three_vector(name, axis(see) if callable(axis) else axis).astype(inside.dtype)

    return Frame(inside, *_axes(given("z", z), given("y", y), inside[..., 1:]), parent)


def _axes(z: jax.Array | None, y: jax.Array | None, like: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return unit vectors along x, y and z."""
    z = direction(jnp.zeros_like(like) if z is None else z)
    default = direction(cross(direction(jnp.zeros_like(z)), z), (0.0, 1.0, 0.0))
    if y is None:
        y = default
    else:
        y, z, default = jnp.broadcast_arrays(y, z, default)
        across = y - product(y, z)[..., None] * z
        # What rounding leaves of a y along z is no direction.
        least = (8 * jnp.finfo(y.dtype).eps) ** 2 * product(y, y)
        good = product(across, across) > least
        y = direction(jnp.where(good[..., None], across, 0.0), default)
    return cross(y, z), y, z


def _produced(system: FourVector, recoil: FourVector, beam: FourVector) -> tuple[Frame, jax.Array, jax.Array]:
    """Return the centre of mass of a reaction, and beam and system in it."""
    system, recoil, beam = four_vectors(system=system, recoil=recoil, beam=beam)
    centre_of_mass = rest_frame(system + recoil)
    return centre_of_mass, centre_of_mass.see(beam)[..., 1:], centre_of_mass.see(system)[..., 1:]


def helicity_frame(system: FourVector, recoil: FourVector, beam: FourVector) -> Frame:
    """Helicity frame of a produced system: z along its flight in the centre of mass of the reaction.

    Parameters
    ----------
    system, recoil, beam
        Four-vectors ``(events, 4)``, GeV, all in one frame.

    Returns
    -------
    A `Frame`; its y is along beam cross system in the centre of mass.
    """
    centre_of_mass, b, k = _produced(system, recoil, beam)
    return rest_frame(system, z=k, y=cross(b, k), parent=centre_of_mass)


def gottfried_jackson_frame(system: FourVector, recoil: FourVector, beam: FourVector) -> Frame:
    """Gottfried-Jackson frame of a produced system: z along the beam in the rest frame of the system.

    Parameters
    ----------
    system, recoil, beam
        Four-vectors ``(events, 4)``, GeV, all in one frame.

    Returns
    -------
    A `Frame`, with the y of `helicity_frame`.
    """
    centre_of_mass, b, k = _produced(system, recoil, beam)
    return rest_frame(system, z=lambda see: see(beam), y=cross(b, k), parent=centre_of_mass)


def adair_frame(system: FourVector, recoil: FourVector, beam: FourVector) -> Frame:
    """Adair frame of a produced system: z along the beam in the centre of mass of the reaction.

    Parameters
    ----------
    system, recoil, beam
        Four-vectors ``(events, 4)``, GeV, all in one frame.

    Returns
    -------
    A `Frame`, with the y of `helicity_frame`. The boost from the centre of mass to the rest frame of the system keeps
    the axes parallel.
    """
    centre_of_mass, b, k = _produced(system, recoil, beam)
    return rest_frame(system, z=b, y=cross(b, k), parent=centre_of_mass)


def helicity_angles(
    daughter: FourVector, system: FourVector, recoil: FourVector, beam: FourVector
) -> tuple[jax.Array, jax.Array]:
    """Angles of a daughter in the helicity frame of the system that it comes from.

    Parameters
    ----------
    daughter, system, recoil, beam
        Four-vectors ``(events, 4)``, GeV, all in one frame (laboratory or centre of mass of the reaction).

    Returns
    -------
    costheta, phi
        ``(events,)`` each; phi in (-pi, pi].

    Notes
    -----
    In the rest frame of the system: z against the recoil, y along beam x (-recoil), x = y x z. In the
    Gottfried-Jackson frame z is along the beam instead, in the Adair frame along the beam in the centre of mass.
    """
    return helicity_frame(system, recoil, beam).angles(daughter)


def gottfried_jackson_angles(
    daughter: FourVector, system: FourVector, recoil: FourVector, beam: FourVector
) -> tuple[jax.Array, jax.Array]:
    """Angles of a daughter in the Gottfried-Jackson frame of the system that it comes from.

    Parameters
    ----------
    daughter, system, recoil, beam
        As in `helicity_angles`.

    Returns
    -------
    costheta, phi
        ``(events,)`` each; phi in (-pi, pi].
    """
    return gottfried_jackson_frame(system, recoil, beam).angles(daughter)


def adair_angles(
    daughter: FourVector, system: FourVector, recoil: FourVector, beam: FourVector
) -> tuple[jax.Array, jax.Array]:
    """Angles of a daughter in the Adair frame of the system that it comes from.

    Parameters
    ----------
    daughter, system, recoil, beam
        As in `helicity_angles`.

    Returns
    -------
    costheta, phi
        ``(events,)`` each; phi in (-pi, pi].
    """
    return adair_frame(system, recoil, beam).angles(daughter)


def helicity_boost(p4: FourVector, system: FourVector) -> jax.Array:
    r"""Four-vectors in the helicity frame of a system, from the frame in which they are given.

    .. math:: p' = B_z(-\beta)\, R_y(-\theta)\, R_z(-\phi)\, p

    Parameters
    ----------
    p4
        Four-vectors, ``(events, 4)``, GeV.
    system
        What is to be at rest, ``(events, 4)``, GeV, massive; theta and phi are its angles and beta its velocity.

    Returns
    -------
    ``(events, 4)``. For a system along z or at rest no axis turns by phi.
    """
    (moving,) = four_vectors(system=system)
    return rest_frame(moving, z=moving[..., 1:]).see(p4)
