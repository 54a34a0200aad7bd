"""The networks of Karpathy, Johnson and Li, 'Visualizing and understanding recurrent networks' (2015).

python -m rnnzoo.main --config=configs/war_and_peace.py
python -m rnnzoo.main evaluate runs/war_and_peace.txt-lstm --split=test

It reads war_and_peace.txt in the working folder. The paper's text is the first 3,258,246 bytes, of 87
kinds, of warpeace_input.txt, some copies of which go on after the book's end:
head -c 3258246 warpeace_input.txt > war_and_peace.txt gives SHA-256 fb66ba999daf...

The paper's other cells have as many parameters as its LSTMs of 64, 128, 256 and 512 units:
--config.cell.name=elman has them with 141, 272, 531 and 1044 units, gru and
--config.cell.options.reset=before with 77, 151, 300 and 596. Otherwise than there, the gradient's norm
is clipped instead of each of its numbers, and there is no dropout.

Loss of the LSTM of 64 units on the test text after the 50 epochs, three seeds: 1.462, 1.453 and 1.461
nats (the paper's, from memory: 1.449). docs/published.md has the other cells, and what the split and the
initial weights are worth.
"""

from rnnzoo.config import default_config

EPOCH = 261  # updates: 80 % of 3,258,246 bytes, by 100 rows of 100 time steps


def get_config():
    """The paper's optimiser and schedule: RMSProp, at a rate that falls from the tenth epoch on."""
    config = default_config()
    config.corpus.path = "war_and_peace.txt"
    config.corpus.unit = "bytes"  # a line end is two, as in the paper's 3,258,246 characters
    config.corpus.split = (0.8, 0.1, 0.1)
    config.corpus.sections = 100  # the paper's code splits the stream of each row
    config.corpus.unknown = True  # two bytes, = and /, are in the validation text alone

    config.cell.name = "lstm"
    config.cell.hidden_size = 64
    config.model.initial_range = 0.08

    config.train.epochs = 50
    config.train.batch_size = 100
    config.train.truncation = 100
    config.train.sampling = "stream"
    config.train.evaluate_every = 5
    config.train.log_every = 10

    config.optimizer.name = "rmsprop"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.options.decay = 0.95
    config.optimizer.options.eps_in_sqrt = False  # as in Torch: the gradients are small
    config.optimizer.schedule = "step"
    config.optimizer.step_factor = 0.95
    config.optimizer.step_first = 10 * EPOCH
    config.optimizer.step_every = EPOCH
    config.optimizer.clip_norm = 5.0
    return config
