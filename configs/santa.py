"""The exercise that rnnzoo grew from: an Elman network learns a book about Santa Claus.

python -m rnnzoo.main --config=configs/santa.py

2 minutes on two CPU cores. Mean loss of epochs 241 to 260: 1.60 nats; of the last 20: 0.94. With
--config.optimizer.schedule=constant these are 1.61 and 1.37: at a constant rate the loss has its
lowest near epoch 1,000, 1.32, and then rises.
"""

from rnnzoo.config import default_config


def get_config():
    """The exercise's own settings, and gradient clipping, without which the loss blows up."""
    config = default_config()
    config.corpus.name = "santa"
    config.corpus.split = (1.0, 0.0, 0.0)  # the book's last tenth is its licence

    config.cell.name = "elman"
    config.cell.hidden_size = 256

    config.train.epochs = 2000
    config.train.batch_size = 1
    config.train.truncation = 64
    config.train.sampling = "subsequence"
    config.train.max_subsequence_length = 5000
    config.train.log_every = 50

    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 1e-3
    config.optimizer.schedule = "cosine"  # at a constant rate the loss rises again, see above
    config.optimizer.clip_norm = 1.0

    config.sample.prompt = "Santa"
    config.sample.length = 50
    config.sample.temperature = 0.1
    return config
