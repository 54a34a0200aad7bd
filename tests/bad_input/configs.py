"""Configs; the command line, and the folder of a run."""

from tests.bad_input.row import EVALUATE, TRAIN, Row, file


def setting(name, keys, message):
    words = " ".join(f"--config.{key}" for key in keys.split())
    return Row(name, f"{TRAIN} {words}", message)


def config_file(name, content, message, file_name="c.py"):
    words = f"--config={file_name} --config.corpus.path=text.txt --workdir=new"
    return Row(name, words, message, file(file_name, content))


CONFIGS = [
    setting("an unknown key", "cell.nmae=x", "config.cell has no key 'nmae': did you mean 'name'"),
    setting("an unknown section", "cel.name=gru", "there is no config.cel.name: did you mean"),
    setting("a section set to a value", "cell=gru", "there is no config.cell: did you mean"),
    setting("a text for a whole number", "cell.hidden_size=abc", "must be a whole number, not 'abc'"),
    setting("a fraction for a whole number", "cell.layers=1.5", "must be a whole number, not '1.5'"),
    setting("no value", "cell.hidden_size=", "must be a whole number, not ''"),
    setting("a text for a number", "optimizer.learning_rate=fast", "must be a number, not 'fast'"),
    setting("a text for a truth value", "corpus.unknown=maybe", "must be True or False"),
    setting("a negative size", "cell.hidden_size=-8", "config.cell.hidden_size must be at least 1"),
    setting("no layers", "cell.layers=0", "config.cell.layers must be at least 1, not 0"),
    setting("a size beyond 32 bits", "train.batch_size=99999999999", "must be less than 2**31"),
    setting("a seed beyond 32 bits", "train.seed=4294967296", "must be less than 2**32"),
    setting("a cell larger than the memory", "cell.hidden_size=1000000000", "GiB, and this machine has"),
    setting("truncation longer than the stretch", "train.truncation=21", "truncation 21 is longer"),
    setting("a stretch longer than the corpus", "train.max_subsequence_length=9999",
            "needs a text of at least 10000 characters, and this one has 768"),
    setting("batch rows shorter than the truncation", "train.sampling=stream train.batch_size=500",
            "in rows of 1, shorter than truncation 8"),
    setting("more devices than there are", "cpu_devices=4096", "config.cpu_devices is 4096, and this"),
    setting("a split of two parts", "corpus.split=(0.9,0.1)", "give three fractions of at least 0"),
    setting("a split that sums to more than 1", "corpus.split=(0.9,0.2,0)", "sum to 1.1, more than 1"),
    setting("a negative part", "corpus.split=(0.9,-0.1,0.2)", "three fractions of at least 0"),
    setting("a split of texts", "corpus.split=('a',0,0)", "must be three numbers"),
    setting("a learning rate of NaN", "optimizer.learning_rate=nan", "must be at least 0, not nan"),
    setting("an infinite learning rate", "optimizer.learning_rate=1e999", "at least 0, not inf"),
    setting("an unknown optimiser", "optimizer.name=admm", "did you mean 'adam'"),
    setting("an unknown optimiser's option", "optimizer.options.b11=1", "did you mean 'b1'"),
    setting("a text for an optimiser's number", "optimizer.options.b1=high",
            "optimizer 'adam' with the options {'b1': 'high'} fails: TypeError"),
    setting("an unknown schedule", "optimizer.schedule=cosin", "did you mean 'cosine'"),
    setting("a warm-up longer than the training", "optimizer.warmup=99", "not less than the training's"),
    setting("an unknown kind of stretch", "train.sampling=steam", "did you mean 'stream'"),
    setting("an unknown unit", "corpus.unit=byte", "did you mean 'bytes'"),
    setting("an unknown cell", "cell.name=elmann", "did you mean 'elman'"),
    setting("an empty name in a stack", "cell.name=gru,,gru", "no cell is named ''"),
    setting("an unknown cell's option", "cell.options.activtion=relu", "did you mean 'activation'"),
    setting("an unknown activation", "cell.options.activation=relo", "did you mean 'relu'"),
    setting("a list for an activation", "cell.options.activation=[1]", "no activation is named [1]"),
    setting("heads that do not divide H", "cell.name=deltanet cell.options.heads=3",
            "hidden_size=8 cannot be shared by heads=3"),
    setting("a text for a number of heads", "cell.name=deltanet cell.options.heads=two",
            "cell 'deltanet' fails: TypeError"),
    setting("a size among the options", "cell.options.hidden_size=3", "set config.cell.hidden_size"),
    Row("an option without a value", f"{TRAIN} --config.cell.options.activation", "needs a value"),
    config_file("a file that raises", "1 / 0", "config file 'c.py' fails: ZeroDivisionError"),
    config_file("a file that ends the program", "raise SystemExit(3)", "'c.py' fails: SystemExit: 3"),
    config_file("a file that is no Python", "def", "config file 'c.py' fails: SyntaxError"),
    config_file("a file without get_config", "x = 1", "needs a function get_config"),
    config_file("get_config without a config", "get_config = list", "that returns a config"),
    config_file("a section where a value belongs", "def get_config(): return {'cell': {'name': {}}}",
                "config.cell.name must be a text, not {}"),
    config_file("JSON cut short", "{", "is not a config saved by rnnzoo", "c.json"),
    config_file("JSON of another kind", "[1]", "it has no keys", "c.json"),
    config_file("JSON nested without end", "[" * 100_000, "is not a config saved by", "c.json"),
    config_file("a number of 5,000 digits", '{"train": {"seed": ' + 5000 * "9" + "}}",
                "is not a config saved by rnnzoo", "c.json"),
    Row("a missing file", "--config=none.py", "there is no config file 'none.py'"),
    Row("a folder", "--config=.", "there is no config file '.'"),
    Row("a name too long for a file", f"--config={300 * 'a'}.py", "check the path"),
    Row("an empty name", "--config=", "--config is empty: give a path"),
]  # fmt: skip

# The command line, and the folder of a run

COMMANDS = [
    Row("an unknown flag", "--moed=sample", "there is no flag --moed: did you mean '--mode'"),
    Row("an unknown mode", "--mode=tarin", "should be one of <train|sample|evaluate|"),
    Row("a flag without a value", "--workdir", "Missing value for flag --workdir"),
    Row("a word of no flag", "trian", "'trian' belongs to no flag"),
    Row("no workdir where one is needed", "--mode=sample", "give its --workdir"),
    Row("an empty workdir", "--config=tiny.py --workdir=", "--workdir is empty"),
    Row("a workdir that is a file", "--config=tiny.py --workdir=text.txt", "File exists"),
    Row("a workdir below a file", "--config=tiny.py --workdir=text.txt/a", "Not a directory"),
    Row("a workdir's name too long", f"--config=tiny.py --workdir={300 * 'a'}", "File name too long"),
    Row("a workdir's name with a NUL", "--config=tiny.py --workdir=a\0b", "embedded null byte"),
    Row("a workdir with files of others", TRAIN, "samples.txt, which a run would overwrite",
        file("new/samples.txt", "mine")),
    Row("a workdir with another's config.json", TRAIN, "there is no config.theirs",
        file("new/config.json", '{"theirs": 1}')),
    Row("a fork of nothing", f"{TRAIN} --fork", "--fork goes on from a run, and there is none"),
    Row("a flag of another mode", f"{EVALUATE} --fork", "evaluate takes no --fork: it is a"),
    Row("a config key for a mode that takes none", "cells --config.cell.name=lstm",
        "cells takes no config, and config.cell.name is set"),
    Row("an interval of no time", "watch run --interval=0", "--interval=0: 0.0 is not number >="),
    Row("an unknown shell", "completion tcsh", "for which shell? completion bash|zsh|fish"),
    Row("a run that does not exist: watch", "watch none", "'none' holds no run"),
    Row("two runs for a mode that reads one", "watch run new", "watch reads one run, and 2 are named"),
    Row("a part that does not exist", f"{EVALUATE} --split=foo", "<train|validation|test>"),
    Row("a run that does not exist", "--mode=sample --workdir=none", "'none' holds no run"),
    Row("no run to play", "play --port=0", "give its --workdir"),
    Row("one of the runs to play does not exist", "play run none --port=0", "'none' holds no run"),
    Row("more runs than the page has room for", f"play {7 * 'run '}", "room for 6 runs, and 7 are"),
    Row("a port beyond 65535", "play run --port=65536", "65536 is not an integer in the range"),
    Row("a text for a port", "play run --port=http", "invalid literal for int() with base 10: 'http'"),
]  # fmt: skip
