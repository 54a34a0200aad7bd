"""Runs and their checkpoints; prompts and temperatures."""

import hashlib
import json
import os
import pathlib
import shlex
import shutil

from tests.bad_input.row import AGAIN, EVALUATE, REPRODUCE, SAMPLE, TRAIN, Row, file


def gone(*names):
    def prepare():
        for path in (pathlib.Path("run", name) for name in names):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return prepare


def cut_short(name):
    return lambda: os.truncate(f"run/{name}", os.path.getsize(f"run/{name}") // 2)


def damaged(pattern, content):
    """Writes over files in the run's folder."""

    def prepare():
        found = list(pathlib.Path("run").glob(pattern))
        assert found
        for path in found:
            path.write_bytes(content)

    return prepare


def notes(content):
    """Other notes in every checkpoint, with the checksum that goes with them."""

    def prepare():
        damaged("*/*/notes.json", content)()
        for path in pathlib.Path("run").glob("*/*/checksums.json"):
            sums = json.loads(path.read_text()) | {
                "notes.json": hashlib.sha256(content).hexdigest()
            }
            path.write_text(json.dumps(sums))

    return prepare


def wider():
    path = pathlib.Path("run/config.json")
    path.write_text(path.read_text().replace('"hidden_size": 8', '"hidden_size": 9'))


OTHER_VOCABULARY = '{"unit": "characters", "unknown": false, "symbols": "ABCDEFGHIJK"}'
RUNS = [
    Row("no checkpoint whole: sample", SAMPLE, "holds no parameters that are whole",
        damaged("*/*/*/d/*", b"x")),
    Row("no checkpoint whole: train", AGAIN, "no checkpoint in 'run/checkpoints' is whole",
        damaged("*/*/*/d/*", b"x")),
    Row("no checkpoint at all", SAMPLE, "holds no parameters yet", gone("best", "checkpoints")),
    Row("checksums of another kind", SAMPLE, "holds no parameters that are whole",
        damaged("*/*/checksums.json", b"[1]")),
    Row("notes of another kind", AGAIN, "no checkpoint in 'run/checkpoints' is whole", notes(b"[]")),
    Row("notes without the epoch", AGAIN, "'epoch' is missing", notes(b"{}")),
    Row("another model's checkpoint", SAMPLE, "are not this model's: elman/U.b is (8,) instead of (9,)",
        wider),
    Row("another model's checkpoint, forked", f"{AGAIN} --config.cell.hidden_size=9 --fork",
        "are not this model's: elman/U.b is (8,) instead of (9,)"),
    Row("another config", f"{AGAIN} --config.train.epochs=9",
        "another config: train.epochs is 9, was 1"),
    Row("config.json gone: train", AGAIN, "holds no config.json, but vocabulary.json",
        gone("config.json")),
    Row("config.json gone: sample", SAMPLE, "holds no run, there is no config.json",
        gone("config.json")),
    Row("config.json cut short", SAMPLE, "is not a config saved by rnnzoo", cut_short("config.json")),
    Row("config.json of bytes", AGAIN, "is not a config saved by", damaged("config.json", b"\xff")),
    Row("vocabulary.json gone: sample", SAMPLE, "cannot be read: No such file", gone("vocabulary.json")),
    Row("vocabulary.json gone: train", AGAIN, "cannot be read: No such file", gone("vocabulary.json")),
    Row("vocabulary.json cut short", SAMPLE, "does not hold a vocabulary", cut_short("vocabulary.json")),
    Row("vocabulary.json nested without end", SAMPLE, "does not hold a vocabulary",
        damaged("vocabulary.json", b"[" * 100_000)),
    Row("another vocabulary.json: sample", SAMPLE, "character 't' (U+0074) at index 0 is not in the",
        file("run/vocabulary.json", OTHER_VOCABULARY)),
    Row("another vocabulary.json: train", AGAIN, "is not the vocabulary of the run's text",
        file("run/vocabulary.json", OTHER_VOCABULARY)),
    Row("a vocabulary.json of another size", SAMPLE, "elman/U.w is (11, 8) instead of (2, 8)",
        file("run/vocabulary.json", OTHER_VOCABULARY.replace("CDEFGHIJK", ""))),
    Row("provenance.json gone", AGAIN, "cannot be read: No such file", gone("provenance.json")),
    Row("provenance.json cut short", AGAIN, "holds no checksum of the text",
        cut_short("provenance.json")),
    Row("provenance.json of another kind", EVALUATE, "holds no checksum of the text",
        damaged("provenance.json", b"[1]")),
    Row("metrics.jsonl gone", REPRODUCE, "'run/metrics.jsonl' cannot be read", gone("metrics.jsonl")),
    Row("metrics.jsonl cut short", AGAIN, "is shorter than when it was saved",
        cut_short("metrics.jsonl")),
    Row("metrics.jsonl of bytes", AGAIN, "'run/metrics.jsonl' is damaged",
        damaged("metrics.jsonl", b"\xff" * 9999)),
    Row("metrics.jsonl of another kind", REPRODUCE, "a line is no epoch's",
        damaged("metrics.jsonl", b"1\n" * 9999)),
    Row("metrics.jsonl of another kind: watch", "watch run", "a line is no epoch's",
        damaged("metrics.jsonl", b"1\n" * 9999)),
    Row("warnings.jsonl of bytes: watch", "watch run", "'run/warnings.jsonl' is damaged",
        file("run/warnings.jsonl", b"\xff\n")),
    Row("samples.txt gone", AGAIN, "samples.txt is shorter than when it was saved", gone("samples.txt")),
]  # fmt: skip

# Prompts and temperatures


def drawing(name, key, message):
    return Row(name, f"{SAMPLE} {shlex.quote(f'--config.sample.{key}')}", message)


SAMPLES = [
    drawing("a prompt with an unknown character", "prompt=the Zoo", "character 'Z' (U+005A) at index 4"),
    drawing("a prompt that is no text", "prompt=t\udcff", r"character '\udcff' (U+DCFF) at index 1"),
    drawing("a negative temperature", "temperature=-1", "finite number of at least 0, not -1.0"),
    drawing("a temperature of NaN", "temperature=nan", "finite number of at least 0, not nan"),
    drawing("an infinite temperature", "temperature=inf", "finite number of at least 0, not inf"),
    drawing("a text for a temperature", "temperature=hot", "must be a number, not 'hot'"),
    drawing("a negative top_k", "top_k=-2", "top_k must be a whole number of at least 1, not -2"),
    drawing("a top_p of 0", "top_p=0", "top_p must be above 0 and at most 1, not 0.0"),
    drawing("a top_p above 1", "top_p=1.5", "top_p must be above 0 and at most 1, not 1.5"),
    drawing("a negative length", "length=-1", "length must be a whole number of at least 0, not -1"),
    drawing("no text", "count=0", "count must be a whole number of at least 1"),
    drawing("more texts than memory", "count=999999999", "at least 1 and at most 100000, not 999999999"),
    drawing("a seed beyond 32 bits", "seed=4294967296", "at most 4294967295, not 4294967296"),
    drawing("an unknown key", "prmpt=a", "config.sample has no key 'prmpt': did you mean 'prompt'"),
    Row("the run's own settings", f"{SAMPLE} --config.train.epochs=3", "only config.sample.* can be"),
    Row("in training, before it begins", f"{TRAIN} --config.sample.prompt=Z",
        "config.sample.prompt: character 'Z' (U+005A)"),
]  # fmt: skip
