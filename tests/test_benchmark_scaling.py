import math

import pytest

from benchmarks import scaling

SIZES = {"hidden_size": 4, "truncation": 3, "vocabulary_size": 5, "batch_size": "1,2", "rounds": 2}
VARY = {"vary_T": "2,3", "vary_B": "2", "vary_H": "4", "vary_layers": "1,2", "vary_V": "5"}


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_benchmarks")
def test_scaling(run_benchmark, tmp_path):
    table, result = run_benchmark(scaling, cell="elman", **SIZES, **VARY)
    assert result["benchmark"] == "scaling"
    assert result["settings"]["vary_layers"] == [1, 2]
    found = [(row["variable"], row["value"], row["batch_size"]) for row in result["rows"]]
    assert found == [
        *[("T", T, B) for B in (1, 2) for T in (2, 3)],
        ("B", 2, 2),
        *[("H", 4, B) for B in (1, 2)],
        *[("layers", layers, B) for B in (1, 2) for layers in (1, 2)],
        *[("V", 5, B) for B in (1, 2)],
    ]
    rows = dict(zip(found, result["rows"], strict=True))
    base = rows["T", 3, 2]
    for variable, value in (("B", 2), ("H", 4), ("layers", 1), ("V", 5)):  # measured once
        assert rows[variable, value, 2]["median_seconds"] == base["median_seconds"]
    assert base["counted_flops"] == 3 * 3 * 2 * 2 * (4 * 4 + 4 * 5)
    assert rows["layers", 2, 2]["counted_bytes"] == 2 * base["counted_bytes"]
    for row in rows.values():
        assert math.isclose(row["limit_fraction"], row["limit_seconds"] / row["median_seconds"])
    assert f"{base['characters_per_second']:,.0f}" in table
    folder = tmp_path / "results"
    assert (folder / "out.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "out.svg").read_text(encoding="utf-8")
