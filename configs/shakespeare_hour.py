"""Tiny Shakespeare as well as a CPU learns it within an hour: two LSTMs with dropout.

python -m rnnzoo.main --config=configs/shakespeare_hour.py

31 minutes of one CPU core. Loss on the validation text: 1.437, 1.441 and 1.451 nats for seeds 0, 1, 2
(nanoGPT's recipe for a GPU, with 10.7 million parameters and 81.9 million characters: 1.4697).
"""

from rnnzoo.config import default_config


def get_config():
    """20 million characters, 20 times the text, and 1.3 million parameters."""
    config = default_config()
    config.corpus.name = "shakespeare"
    config.corpus.split = (0.9, 0.1, 0.0)

    config.cell.name = "variational_dropout"
    config.cell.hidden_size = 320
    config.cell.layers = 2
    config.cell.options.cell = "lstm"
    config.cell.options.rate = 0.1  # of the recurrent state
    config.cell.options.output_rate = 0.3  # of what the layer above or the readout sees

    config.train.epochs = 610
    config.train.batch_size = 32
    config.train.truncation = 64
    config.train.sampling = "subsequence"
    config.train.max_subsequence_length = 1024  # other masks for each stretch
    config.train.log_every = 61
    config.train.evaluate_every = 122

    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 4e-3
    config.optimizer.schedule = "cosine"
    config.optimizer.clip_norm = 1.0

    config.sample.prompt = "ROMEO:"
    config.sample.length = 300
    config.sample.temperature = 0.7
    return config
