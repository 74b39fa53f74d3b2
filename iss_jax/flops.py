"""FLOPs of a traced function: its matrix products and convolutions, loops counted as often as run.

XLA's own cost analysis counts the body of a loop once.
"""

import math
from collections.abc import Callable
from typing import Any

import jax

from iss_jax.memory import bodies


def count_flops(fn: Callable[..., Any], *args: Any) -> float:
    """Multiplications and additions of `fn(*args)`, two an element of a product.

    Args:
        fn: traceable; `while` loops of unknown length are an error.
        *args: its arguments.

    Raises:
        ValueError: a loop whose length is not known when it is traced.
    """
    return jaxpr_flops(jax.make_jaxpr(fn)(*args).jaxpr)


def jaxpr_flops(jaxpr: Any) -> float:
    """`count_flops` of a program that is traced already.

    >>> import jax.numpy as jnp
    >>> square = jnp.ones((4, 4))
    >>> jaxpr_flops(jax.jit(jnp.matmul).trace(square, square).jaxpr.jaxpr)
    128.0

    Args:
        jaxpr: As `jax.make_jaxpr` and `jit(...).trace` give it.

    Raises:
        ValueError: A loop whose length is not known when it is traced.
    """
    total = 0.0
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name == "dot_general":
            total += _dot(equation)
        elif name == "conv_general_dilated":
            total += _convolution(equation)
        elif name == "while":
            raise ValueError("count_flops: a while loop's length is not known; use scan")
        else:
            times = equation.params["length"] if name == "scan" else 1
            inner = [jaxpr_flops(body) for body in bodies(equation.params)]
            # Of the branches of a `cond` one runs.
            total += times * (max(inner, default=0.0) if name == "cond" else sum(inner))
    return total


def _dot(equation: Any) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    shape = equation.invars[0].aval.shape
    return 2.0 * equation.outvars[0].aval.size * math.prod(shape[axis] for axis in contracted)


def _convolution(equation: Any) -> float:
    kernel = equation.invars[1].aval
    outputs = kernel.shape[equation.params["dimension_numbers"].rhs_spec[0]]
    return 2.0 * equation.outvars[0].aval.size * kernel.size / outputs
