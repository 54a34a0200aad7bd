"""What the README shows works as it is written there."""

import pathlib
import re

from rnnzoo import registry
from rnnzoo.command_line import parse
from rnnzoo.main import main

README = pathlib.Path(__file__).parents[1] / "README.md"


def test_the_cell_of_the_readme_trains(tmp_path, monkeypatch, capsys):
    code = re.search(r"```python\n(# my_cells.py.*?)```", README.read_text(), re.DOTALL)[1]
    assert len(code.splitlines()) <= 21
    (tmp_path / "my_cells.py").write_text(code)
    (tmp_path / "text.txt").write_text("to be or not to be " * 40)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    flags = (
        "--cell_module=my_cells --config.cell.name=minimal_gated --config.cell.hidden_size=8 "
        "--config.corpus.path=text.txt --config.train.epochs=3 --config.train.batch_size=2 "
        "--config.train.truncation=8 --config.train.max_subsequence_length=20 --workdir=run "
        "--config.sample.prompt=to --config.sample.length=5 --config.corpus.split=(0.8,0.2,0.0)"
    )
    main(parse(["main", *flags.split()]))
    assert (tmp_path / "run" / "metrics.jsonl").read_text().count('"loss"') == 3
