"""How much work the leaderboard spends on a cell and a task."""

import os
import runpy

from ml_collections import ConfigDict

from rnnzoo.errors import UserError, blaming, did_you_mean

# Each with its options, as `rnnzoo.tasks.make` takes them. Of text, the corpora of config.corpus.
TASKS = (
    ("parity", {}),
    ("word_problem", {"group": "S3"}),
    ("modular_arithmetic", {}),
    ("mqar", {}),
    ("selective_copy", {}),
    ("delayed_xor", {}),
    ("dyck", {}),
    ("sines", {}),
    ("capacity", {}),
    ("word_problem", {"group": "S5"}),
    ("copy", {}),
    ("adding", {}),
)

BUDGETS = {
    "small": {"parameters": 30_000, "updates": 1000, "learning_rates": (3e-3, 1e-2)},
    "full": {"parameters": 100_000, "updates": 10_000, "learning_rates": (1e-3, 3e-3, 1e-2)},
}


def get_config(budget: str = "small") -> ConfigDict:
    """The work of a budget, of `BUDGETS`.

    Raises:
      UserError: there is no such budget.
    """
    if budget not in BUDGETS:
        raise UserError(f"there is no budget {budget!r}: {did_you_mean(budget, BUDGETS)}")
    config = ConfigDict()
    config.budget = budget
    config.parameters = BUDGETS[budget]["parameters"]  # of each model, as nearly as H allows
    config.updates = BUDGETS[budget]["updates"]
    # The one with the least loss counts, on sequences apart from those of the test.
    config.learning_rates = BUDGETS[budget]["learning_rates"]
    # What every cell reads: with one-hot bits, those without a recurrent matrix would be thousands of
    # units wide at as many parameters.
    config.embedding_size = 64
    config.batch_size = 32
    config.seeds = 3
    config.corpora = ("pydoc",)  # texts: pydoc, santa, shakespeare, or files
    config.truncation = 64  # characters of a piece of text
    return config


def load(path: str) -> ConfigDict:
    """The work of a file, whose `get_config()` changes what this module's gives, such as its updates.

    Raises:
      UserError: there is no such file, or it fails.
    """
    if not os.path.isfile(path):
        raise UserError(f"there is no config file {path!r}: check the path")
    with blaming(f"config file {path!r}"):
        return runpy.run_path(path)["get_config"]()
