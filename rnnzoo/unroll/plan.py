"""Which part of a step has to run in a loop, and which can run for all time steps at once.

A state variable is recurrent if its next value depends, perhaps by way of others, on itself. Those
that depend on each other in a circle form one `Loop`, whose body is what leads from them back to
them. Everything else leaves the loop:

- what needs neither inputs nor state runs once;
- what needs only inputs, or the states of loops that have run, runs for all T at once: the input
  projection of every layer of a stack, a readout;
- state that is not recurrent (an input remembered for a step) needs no loop, only a shift in time.

Two exceptions keep memory traffic low. Cheap arithmetic that makes its operands larger (the broadcast
of a bias, an outer product) is done in the loop that reads it, and so is any arithmetic of single
numbers that only this loop needs; and cheap arithmetic that makes a loop's results smaller (a matrix
state read by a query) is done in the loop that made them.
"""

import functools
from typing import NamedTuple

from jax.extend.core import JaxprEqn, Var
from jax.extend.core import primitives as P

from rnnzoo.unroll.rewrite import ELEMENTWISE
from rnnzoo.unroll.trace import (
    Atom,
    Step,
    depending_on,
    leading_to,
    size_in_bytes,
    state_dependence,
    variables,
)

CHEAP = frozenset(
    "add sub mul neg max min select_n square integer_pow convert_element_type reduce_sum slice split "
    "concatenate broadcast_in_dim reshape transpose squeeze pad iota copy add_any "
    "eq ne lt le gt ge and or not stop_gradient real imag complex conj one_minus_square".split()
)


class Loop(NamedTuple):
    """State variables that depend on each other in a circle, and the equations of that circle.

    Attributes:
      state: the variables of the state.
      next_state: the atoms that hold their next values.
      body: the equations to run at each step; none if the state is not recurrent.
      emitted: variables of the body or the state whose values at every t are read elsewhere.
      recurrent: False for a state variable that does not depend on itself.
    """

    state: list[Var]
    next_state: list[Atom]
    body: list[JaxprEqn]
    emitted: list[Var]
    recurrent: bool


class Plan(NamedTuple):
    """How to unroll a step.

    Attributes:
      loops: in the order in which they run; each reads only what those before it have made.
      outside: one list of equations to run before each loop, and one to run after the last.
    """

    loops: list[Loop]
    outside: list[list[JaxprEqn]]


def plan(step: Step) -> Plan:
    """Plans the unrolling of a step."""
    eqns = step.eqns
    varying = depending_on(eqns, [*step.inputs, *step.state])
    cheap = [e for e in eqns if _is_cheap(e, varying)]
    loops = []
    for members, recurrent in _circles(step):
        state = [step.state[i] for i in members]
        next_state = [step.next_state[i] for i in members]
        body = leading_to(eqns, next_state, after=state) if recurrent else []
        loops.append(Loop(state, next_state, body, [], recurrent))
    stage = _stages(step, eqns, loops)

    results = set(variables(step.outputs))  # what is wanted for every t
    results.update(v for p in loops if not p.recurrent for v in variables(p.next_state))
    for k, p in enumerate(loops):
        if p.recurrent:
            earlier = {v for v in stage if stage[v] <= k}
            joining = _followers(p, eqns, cheap, earlier, results)
            loops[k] = p._replace(body=_in_order(eqns, p.body + joining))
    inside = {v for p in loops for v in _results(p.body)}
    outside = [e for e in eqns if not inside.intersection(e.outvars)]
    for k, p in enumerate(loops):
        elsewhere = results.union(*(_reads(other) for other in loops if other is not p))
        own = _needed_only_here([e for e in outside if varying.issuperset(e.outvars)], elsewhere)
        again = _broadcasts(p, outside, [*cheap, *own])
        loops[k] = p._replace(body=_in_order(eqns, p.body + again))

    reads = [_reads(p) for p in loops]
    outside = leading_to(outside, results.union(*reads))
    read_outside = results.union(v for e in outside for v in variables(e.invars))
    for k, p in enumerate(loops):
        if p.recurrent:
            read = read_outside.union(*reads[:k], *reads[k + 1 :])
            own = [v for v in [*p.state, *_results(p.body)] if stage[v] == k + 1]
            loops[k] = p._replace(emitted=[v for v in own if v in read])
    before = [[e for e in outside if stage[e.outvars[0]] == k] for k in range(len(loops) + 1)]
    return Plan(loops, before)


def _circles(step: Step) -> list[tuple[list[int], bool]]:
    """The state's indices in circles of mutual dependence, with 'is it recurrent?', in an order
    in which each depends only on those before it.
    """
    depends = state_dependence(step)
    reach = [set().union(*(depends.get(v, ()) for v in variables([a]))) for a in step.next_state]
    for k in range(len(reach)):  # the transitive closure, after Warshall
        for r in reach:
            if k in r:
                r |= reach[k]
    circles = []
    for i in sorted(range(len(reach)), key=lambda i: len(reach[i] | {i})):
        if not any(i in members for members, _ in circles):
            circle = [j for j in range(len(reach)) if j == i or (j in reach[i] and i in reach[j])]
            circles.append((circle, i in reach[i]))
    return circles


def _stages(step: Step, eqns: list[JaxprEqn], loops: list[Loop]) -> dict[Var, int]:
    """For each variable, how many of the loops have to run before it can be known."""
    stage = dict.fromkeys([*step.consts, *step.inputs], 0)
    for k, p in enumerate(loops):
        stage |= dict.fromkeys([*p.state, *_results(p.body)], k + 1)
    for e in eqns:
        before = max((stage[v] for v in variables(e.invars)), default=0)
        stage |= {v: stage.get(v, before) for v in e.outvars}
    return stage


def _broadcasts(loop: Loop, outside: list[JaxprEqn], possible: list[JaxprEqn]) -> list[JaxprEqn]:
    """Of the possible equations outside, those that the loop had better do than read their results."""
    ids = set(map(id, possible))
    made_by = {v: e for e in outside if id(e) in ids for v in e.outvars}

    @functools.cache
    def to_read(v: Var) -> int:
        """Bytes to read for v if the loop may make it anew."""
        if v not in made_by:
            return size_in_bytes(v)
        return min(size_in_bytes(v), sum(map(to_read, variables(made_by[v].invars))))

    redone, wanted = [], [v for e in loop.body for v in variables(e.invars)]
    while wanted:
        v = wanted.pop()
        if to_read(v) < size_in_bytes(v):
            redone.append(made_by[v])
            wanted += variables(made_by[v].invars)
    return redone


def _needed_only_here(outside: list[JaxprEqn], elsewhere: set[Var]) -> list[JaxprEqn]:
    """The elementwise equations that nothing but one loop needs: in it, they are done no more often.

    Args:
      outside: the equations outside of the loop whose results vary in time.
      elsewhere: what is needed besides.
    """
    elsewhere, found = set(elsewhere), []
    for e in reversed(outside):
        if e.primitive.name in ELEMENTWISE and elsewhere.isdisjoint(e.outvars):
            found.append(e)
        else:
            elsewhere.update(variables(e.invars))
    return found


def _followers(
    loop: Loop, eqns: list[JaxprEqn], cheap: list[JaxprEqn], earlier: set[Var], results: set[Var]
) -> list[JaxprEqn]:
    """Equations after the loop that had better join it, so that fewer bytes are kept for each t."""
    inside = [*loop.state, *_results(loop.body)]
    known, may_follow, made_by = earlier.union(inside), set(), {}
    for e in cheap:
        if known.issuperset(variables(e.invars)) and not known.intersection(e.outvars):
            known.update(e.outvars)
            may_follow.add(id(e))
            made_by |= dict.fromkeys(e.outvars, e)
    in_body = set(map(id, loop.body))
    readers = {v: [] for v in known}
    for e in eqns:
        for v in set(variables(e.invars)) & known if id(e) not in in_body else ():
            readers[v].append(e)

    @functools.cache
    def to_keep(v: Var) -> int:
        """Bytes to keep of v for each t if its readers may join the loop."""
        if v in results or any(id(e) not in may_follow for e in readers[v]):
            return size_in_bytes(v)
        return min(size_in_bytes(v), sum(to_keep(u) for e in readers[v] for u in e.outvars))

    joined = {}
    waiting = [e for v in inside if to_keep(v) < size_in_bytes(v) for e in readers[v]]
    while waiting:
        e = waiting.pop()
        if id(e) not in joined:
            joined[id(e)] = e
            waiting += [made_by[v] for v in variables(e.invars) if v in made_by]
            for v in e.outvars:
                waiting += readers[v] if to_keep(v) < size_in_bytes(v) else []
    return list(joined.values())


def _is_cheap(e: JaxprEqn, varying: set[Var]) -> bool:
    """Whether an equation is cheap arithmetic; products of two values that vary in time count."""
    if e.primitive is P.dot_general_p:
        return all(v in varying for v in e.invars)
    return e.primitive.name in CHEAP


def _results(eqns: list[JaxprEqn]) -> list[Var]:
    return [v for e in eqns for v in e.outvars]


def _reads(loop: Loop) -> set[Var]:
    """What the loop's body reads and does not make."""
    return {v for e in loop.body for v in variables(e.invars)} - set(_results(loop.body))


def _in_order(eqns: list[JaxprEqn], some: list[JaxprEqn]) -> list[JaxprEqn]:
    """Some of the equations in their old order, each once."""
    ids = set(map(id, some))
    return [e for e in eqns if id(e) in ids]
