"""A traced function as a flat list of steps: calls of jitted functions opened, equal steps made once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core as jex_core

from jaxpwa.engine.distribute import FUNCTIONS, Operation, distributed
from jaxpwa.engine.pairs import apply, split, square_of_modulus

CONSTANT, DATA, PARAMETERS = 0, 1, 2
"""What a value depends on; the sum of the last two is both."""

# Constants of up to so many numbers are compared.
_SMALL = 64
# Functions of the user's own that run outside of JAX: whatever they read, they run at every call.
_OPAQUE = {"pure_callback", "io_callback", "debug_callback", "random_seed", "random_bits", "random_wrap"}


@dataclass(eq=False)
class Node:
    """A value in the graph.

    Attributes
    ----------
    aval
        Its shape and type.
    depends
        What it depends on.
    value
        The value itself, for constants.
    step
        What makes it, if anything.
    """

    aval: Any
    depends: int
    value: Any = None
    step: "Step | None" = None


@dataclass(eq=False)
class Step:
    """One operation, with the values that it reads and makes."""

    eqn: Any
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    depends: int


@dataclass(eq=False)
class Graph:
    """A function of numbers and columns.

    Attributes
    ----------
    parameters, columns
        Its arguments.
    output
        Its one result.
    steps
        In an order in which they can be run.
    """

    parameters: tuple[Node, ...]
    columns: tuple[Node, ...]
    output: Node
    steps: list[Step]


def trace(
    function: Callable[..., Any],
    numbers: Sequence[Any],
    columns: Sequence[Any],
    held: Iterable[int],
    squares: bool = False,
) -> Graph:
    """Trace ``function(numbers, columns)`` into a graph.

    Parameters
    ----------
    function
        Returns one array.
    numbers, columns
        Shapes and types of the arguments.
    held
        Positions of numbers that count as constants.
    squares
        Whether factors are drawn into squares, too.
    """
    closed = jax.make_jaxpr(function)(tuple(numbers), tuple(columns))
    builder = _Builder(squares)
    held = set(held)
    inputs = [
        Node(v.aval, DATA if i >= len(numbers) else CONSTANT if i in held else PARAMETERS)
        for i, v in enumerate(closed.jaxpr.invars)
    ]
    (output,) = builder.walk(closed.jaxpr, closed.consts, inputs)
    return Graph(tuple(inputs[: len(numbers)]), tuple(inputs[len(numbers) :]), output, builder.steps)


class _Builder:
    def __init__(self, squares: bool) -> None:
        self.squares = squares
        self.steps: list[Step] = []
        self.made: dict[Any, tuple[Node, ...]] = {}
        self.literals: dict[Any, Node] = {}

    def constant(self, aval: Any, value: Any) -> Node:
        """Return the node of a constant; equal numbers are one node, so that steps of them can be equal."""
        if aval.size > _SMALL or isinstance(value, jax.core.Tracer):  # pyright: ignore[reportAttributeAccessIssue]
            return Node(aval, CONSTANT, value)
        key = str(aval), np.asarray(value).tobytes()
        if key not in self.literals:
            self.literals[key] = Node(aval, CONSTANT, value)
        return self.literals[key]

    def walk(self, jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Node]) -> list[Node]:
        nodes: dict[Any, Node] = dict(zip(jaxpr.invars, arguments, strict=True))
        for var, value in zip(jaxpr.constvars, constants, strict=True):
            nodes[var] = self.constant(var.aval, value)

        def read(atom: Any) -> Node:
            return self.constant(atom.aval, atom.val) if isinstance(atom, jex_core.Literal) else nodes[atom]

        for eqn in jaxpr.eqns:
            inputs = tuple(read(atom) for atom in eqn.invars)
            inner = eqn.params.get("jaxpr")
            if eqn.primitive.name in ("jit", "pjit") and isinstance(inner, jex_core.ClosedJaxpr):
                outputs: Sequence[Node] = self.walk(inner.jaxpr, inner.consts, inputs)
            else:
                outputs = self.step(eqn, inputs)
            nodes.update(zip(eqn.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def step(self, eqn: Any, inputs: tuple[Node, ...]) -> tuple[Node, ...]:
        node = distributed(
            eqn, inputs, lambda operation, nodes: self.plain_step(operation, nodes)[0], DATA, self.squares
        )
        return self.plain_step(eqn, inputs) if node is None else (node,)

    def plain_step(self, eqn: Any, inputs: tuple[Node, ...]) -> tuple[Node, ...]:
        key = None
        if not eqn.effects:
            try:
                key = eqn.primitive.name, tuple(map(id, inputs)), tuple(sorted(eqn.params.items()))
                if key in self.made:
                    return self.made[key]
            except TypeError:  # parameters that can't be compared, such as functions
                key = None
        depends = 0
        for node in inputs:
            depends |= node.depends
        if eqn.effects or eqn.primitive.name in _OPAQUE:
            depends |= PARAMETERS
        outputs = tuple(Node(v.aval, depends) for v in eqn.outvars)
        step = Step(eqn, inputs, outputs, depends)
        for node in outputs:
            node.step = step
        self.steps.append(step)
        if key is not None:
            self.made[key] = outputs
        return outputs


def combined(name: str, nodes: tuple[Node, ...], like: Node) -> tuple[Node, Step]:
    """Return the sum, difference or negative of nodes, of the type of another, with the step that makes it."""
    primitive = {"add": lax.add_p, "sub": lax.sub_p, "neg": lax.neg_p}[name]
    made = Node(like.aval, DATA | PARAMETERS)
    eqn = Operation(
        primitive, {}, FUNCTIONS[primitive], nodes, (made,), like.step.eqn.source_info if like.step else None
    )
    made.step = Step(eqn, nodes, (made,), made.depends)
    return made, made.step


def run(steps: Iterable[Step], known: Mapping[Node, Any]) -> dict[Node, Any]:
    """Run steps on known values, with cheaper operations where there are.

    Returns
    -------
    All values by node; complex ones as `Pair`.
    """
    values = {node: split(value) for node, value in known.items()}

    def read(node: Node) -> Any:
        return values[node] if node in values else split(node.value)

    for step in steps:
        modulus = _squared_modulus(step)
        if modulus is not None:
            outputs = [square_of_modulus(read(modulus))]
        else:
            outputs = apply(step.eqn, [read(node) for node in step.inputs])
        values.update(zip(step.outputs, outputs, strict=True))
    return values


def _squared_modulus(step: Step) -> Node | None:
    """Return the complex value of which a step computes ``abs(z)**2``.

    As the sum of two squares it takes no root, and has the right derivative at 0, where that of the modulus is none.
    """
    name, source = step.eqn.primitive.name, step.inputs[0] if step.inputs else None
    is_square = (
        name == "square"
        or (name == "integer_pow" and step.eqn.params["y"] == 2)
        or (name == "mul" and len(step.inputs) == 2 and step.inputs[0] is step.inputs[1])
    )
    if not is_square or source is None or source.step is None or source.step.eqn.primitive.name != "abs":
        return None
    z = source.step.inputs[0]
    return z if jnp.issubdtype(z.aval.dtype, jnp.complexfloating) else None
