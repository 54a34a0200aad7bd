"""An LSTM on Tiny Shakespeare, in the 1,536,000 characters of nanoGPT's recipe for a CPU.

python -m rnnzoo.main --config=configs/shakespeare.py

2.4 minutes of one CPU core. Loss on the validation text, for --config.train.seed=0, 1 and 2: 1.620,
1.582 and 1.600 nats (nanoGPT's recipe: 1.88).
"""

from rnnzoo.config import default_config


def get_config():
    """6,000 updates of 8 x 32 characters, with fewer parameters than nanoGPT's 0.8 million."""
    config = default_config()
    config.corpus.name = "shakespeare"
    config.corpus.split = (0.9, 0.1, 0.0)

    config.cell.name = "lstm"
    config.cell.hidden_size = 384

    config.train.epochs = 30
    config.train.batch_size = 8
    config.train.truncation = 32
    config.train.sampling = "subsequence"
    config.train.max_subsequence_length = 6400  # 200 pieces in each epoch
    config.train.log_every = 5
    config.train.evaluate_every = 5

    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 6e-3
    config.optimizer.schedule = "cosine"
    config.optimizer.clip_norm = 1.0

    config.sample.prompt = "ROMEO:"
    config.sample.length = 300
    config.sample.temperature = 0.7
    return config
