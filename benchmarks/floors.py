"""Floors for text: what n-grams and compressors make of its last tenth, given the nine before.

    python -m benchmarks.floors --corpus=pydoc,santa,shakespeare

Nats and bits per character, of the part that `configs/` take for validation, to be beaten by whatever is
trained on the same nine tenths. See `rnnzoo.floors` for what is counted.
"""

import math
import time

import numpy as np
from absl import flags

from benchmarks import report, settings
from benchmarks.epochs import CORPUS
from rnnzoo import corpus as corpora
from rnnzoo import floors
from rnnzoo.loss import bits_per_character
from rnnzoo.vocabulary import Vocabulary

MOST = flags.DEFINE_integer("order", 6, "The characters of the longest n-grams.", lower_bound=1)
USED = (CORPUS, MOST)
SPLIT = (0.9, 0.1, 0.0)


def cut(found: corpora.Corpus) -> tuple[Vocabulary, np.ndarray, np.ndarray]:
    """A text's vocabulary, and the ids of its part to learn from and of the one to predict.

    Characters that only the held-out part has are one unknown symbol, the last of the vocabulary.
    """
    train, held_out, _ = corpora.split(found.ids, SPLIT)
    unknown = bool((found.first >= len(train)).any())
    vocabulary = found.vocabulary_until(len(train), unknown)
    seen, ahead = (vocabulary.encode_again(p, found.vocabulary) for p in (train, held_out))
    return vocabulary, seen, ahead


def of_text(found: corpora.Corpus, order: int) -> list[dict]:
    """The floors of one text, a row for each model; see `cut`."""
    train, held_out, _ = corpora.split(found.ids, SPLIT)
    vocabulary, seen, ahead = cut(found)
    seen_bytes, ahead_bytes = (found.vocabulary.to_bytes(p) for p in (train, held_out))

    def n_gram(n, smoothing):
        return bits_per_character(floors.fit(seen, len(vocabulary), n, smoothing).nats(ahead))

    def compressed(name, before):
        return floors.compressed_bits(name, before, ahead_bytes) / len(ahead)

    models = {
        (f"{n}-gram", smoothing.replace("_", "-")): lambda n=n, s=smoothing: (n_gram(n, s), None)
        for smoothing in floors.SMOOTHINGS
        for n in range(1, order + 1)
    } | {
        (name, ""): lambda name=name: (compressed(name, seen_bytes), compressed(name, b""))
        for name in floors.COMPRESSORS
    }
    rows = []
    for (model, smoothing), measured in models.items():
        begun = time.perf_counter()
        bits, alone = measured()
        rows.append(
            {
                "corpus": found.name,
                "sha256": found.sha256,
                "train_characters": len(seen),
                "held_out_characters": len(ahead),
                "vocabulary_size": len(vocabulary),
                "model": model,
                "smoothing": smoothing,
                "nats_per_character": bits * math.log(2),
                "bits_per_character": bits,
                "bits_per_character_alone": alone,
                "seconds": time.perf_counter() - begun,
            }
        )
    return rows


def measure(corpus: str, order: int) -> list[dict]:
    """Measures all floors of each text.

    Args:
      corpus: names or files, with commas between.
      order: the characters of the longest n-grams.

    Raises:
      UserError: see `rnnzoo.corpus.find`.
    """
    rows = []
    for source in corpus.split(","):
        rows += of_text(corpora.find(source), order)
    return rows


def main() -> None:
    """Measures what the flags say, prints the table and writes the file."""
    asked = settings.values(USED)
    rows = measure(**asked)
    out = settings.OUT.value or str(report.FOLDER / "results" / "floors.json")
    path = report.write("floors", asked, rows, out)
    report.show(
        "The last tenth of a text, given the nine before",
        ["corpus", "model", "smoothing", "nats/char", "bits/char", "bits/char alone"],
        [
            (
                row["corpus"],
                row["model"],
                row["smoothing"] or "–",
                f"{row['nats_per_character']:.3f}",
                f"{row['bits_per_character']:.3f}",
                f"{alone:.3f}" if (alone := row["bits_per_character_alone"]) else "–",
            )
            for row in rows
        ],
        path,
    )


if __name__ == "__main__":
    settings.run(main, USED)
