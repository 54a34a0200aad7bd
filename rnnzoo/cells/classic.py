"""The Elman cell, and two of them stacked: the exercise that rnnzoo grew from."""

import haiku as hk

from rnnzoo.cells.base import Cell, find_activation, find_initializer
from rnnzoo.registry import register


@register("elman", family="classic", cites="elman1990finding")
class Elman(Cell):
    r"""The simple recurrent network of Elman.

    .. math:: h_t = \tanh(W h_{t-1} + U x_t + b)

    The output is the new state h_t; the paper's o_t = V h_t + c is the model's readout. Elman (1990)
    used the logistic function where today's networks use tanh: `activation="sigmoid"`. torch.nn.RNN
    and hk.VanillaRNN have a second bias, added to the first.
    """

    def __init__(
        self, hidden_size, activation="tanh", initializer="orthogonal", name: str | None = None
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          activation: a name of `rnnzoo.cells.base.ACTIVATIONS`, or a function.
          initializer: of W; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku initialiser.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.activation = find_activation(activation)
        self.w_init = find_initializer(initializer)

    def __call__(self, x, h):
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        W = hk.Linear(self.hidden_size, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(self.hidden_size, name="U")  # with the bias b
        h = self.activation(W(h) + U(x))
        return h, h


@register("stacked_elman", family="classic", cites="elman1990finding")
class StackedElman(hk.RNNCore):
    r"""Two Elman cells, the upper one reading the lower one's new state.

    .. math::
        h^1_t = \tanh(W_1 h^1_{t-1} + U_1 x_t + b_1) \\
        h^2_t = \tanh(W_2 h^2_{t-1} + U_2 h^1_t + b_2)

    The output is h^2_t, the state the pair (h^1, h^2): the two-layer case of the general stack,
    `make("elman", hidden_size, layers=2)`. The exercise that this project grew from prints the second
    equation with the first cell's weights and with its *previous* state h^1_{t-1}. `delayed=True`
    takes it at its word on the state, with own weights; the upper cell is then one step behind.
    """

    def __init__(
        self,
        hidden_size: int,
        delayed: bool = False,
        activation="tanh",
        initializer="orthogonal",
        name: str | None = None,
    ):
        """Makes the two cells.

        Args:
          hidden_size: H, the number of units of each cell.
          delayed: the upper cell reads h^1_{t-1} instead of h^1_t.
          activation: as for `Elman`.
          initializer: of W_1 and W_2, as for `Elman`.
          name: Haiku's module name.
        """
        super().__init__(name=name)
        self.delayed = delayed
        self.lower = Elman(hidden_size, activation, initializer)
        self.upper = Elman(hidden_size, activation, initializer)

    def __call__(self, x, state):
        """One step: x of shape [..., D] and a pair of [..., H] to the upper state and the new pair."""
        h_1, h_2 = state
        _, next_h_1 = self.lower(x, h_1)
        _, next_h_2 = self.upper(h_1 if self.delayed else next_h_1, h_2)
        return next_h_2, (next_h_1, next_h_2)

    def initial_state(self, batch_size: int | None):
        """A pair of zeros, each of shape [batch_size, H], or [H] for a `batch_size` of None."""
        return self.lower.initial_state(batch_size), self.upper.initial_state(batch_size)
