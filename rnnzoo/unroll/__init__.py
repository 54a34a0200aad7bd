"""Running a core over time: `unroll`, its fast ways and the obvious one that they are compared with.

The way of a step through this package: `trace` makes it a list of equations, `rewrite` takes joined
gates apart, `plan` finds what really has to loop, and `deferred` runs it, with the weight gradients
taken after the loop (`product`). `chunked` does so in rematerialised chunks; `reference` is the loop
that all are compared with.
"""

from rnnzoo.unroll.bidirectional import bidirectional
from rnnzoo.unroll.unroll import STRATEGIES, unroll

__all__ = ["STRATEGIES", "bidirectional", "unroll"]
