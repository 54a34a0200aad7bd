"""Products with one-hot inputs, as for characters: a row lookup and no product."""

import jax
import jax.numpy as jnp
from jax.extend.core import JaxprEqn, Var

from rnnzoo.unroll.trace import variables

LAYOUT = ("broadcast_in_dim", "convert_element_type", "reshape", "squeeze")


def one_hot_ids(eqns: list[JaxprEqn]) -> dict[Var, Var]:
    """For each variable that is `jax.nn.one_hot(ids)` over the last axis, the variable of the ids."""
    made_by = {v: e for e in eqns for v in e.outvars}

    def origin(v):
        while v in made_by and made_by[v].primitive.name in LAYOUT:
            if not variables(made_by[v].invars[:1]):
                break
            v = made_by[v].invars[0]
        return v

    found = {}
    for e in eqns:
        if e.primitive.name != "convert_element_type" or not variables(e.invars):
            continue
        eq = made_by.get(e.invars[0])
        if eq is None or eq.primitive.name != "eq" or len(variables(eq.invars)) < 2:
            continue
        ids, iota = map(origin, eq.invars)
        counts = made_by.get(iota)
        shape = e.outvars[0].aval.shape
        if (
            counts is not None
            and counts.primitive.name == "iota"
            and counts.params["dimension"] == len(counts.params["shape"]) - 1
            and counts.params["shape"][-1] == shape[-1]
            and ids.aval.shape == shape[:-1]
            and jnp.issubdtype(ids.aval.dtype, jnp.integer)
        ):
            found[e.outvars[0]] = ids
    return found


@jax.custom_jvp
def lookup(w: jax.Array, ids: jax.Array) -> jax.Array:
    """`one_hot(ids) @ w`: rows of w; zeros for an id outside of it.

    Its derivative by w is the product, which on a CPU is faster than to scatter rows one by one.
    """
    return w.at[ids].get(mode="fill", fill_value=0, wrap_negative_indices=False)


@lookup.defjvp
def _lookup_jvp(primals, tangents):
    (w, ids), (w_dot, _) = primals, tangents
    rows = jax.nn.one_hot(ids.reshape(-1), w.shape[0], dtype=w.dtype)
    return lookup(w, ids), (rows @ w_dot).reshape(*ids.shape, w.shape[1])
