"""The first prototype of a whole-sequence kernel for a GPU: the cell's own step, traced into it.

`unroll` is `rnnzoo.unroll` with the recurrent loop as one kernel instead of a `lax.scan`; the input
projection and the weights' gradients are outside of it, as they always are. docs/performance.md
tells what it is for and what it reached; what a kernel of the library would have to do besides is
there, too.

  unit.py    from a loop of the plan to its step at one unit, as C
  kernel.cu  everything else of the kernel
  build.py   the two compiled, and known to JAX
  run.py     the loop as a function with a derivative; `unroll`
"""

from benchmarks.whole_sequence.run import unroll as unroll
