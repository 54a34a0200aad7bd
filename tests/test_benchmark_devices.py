import pytest

from benchmarks import devices
from rnnzoo.errors import UserError


def test_more_devices_have_the_same_loss_and_less_work_each(
    tiny_benchmarks, run_benchmark, checked_losses
):
    sizes = {"hidden_size": 4, "truncation": 3, "vocabulary_size": 5, "rounds": 1}
    table, result = run_benchmark(devices, cells="elman", devices="1,2", batch_size="2", **sizes)
    assert checked_losses[0].keys() == {"1", "2"}
    one, two = result["rows"]
    parameters = 5 * 4 + 4 * 4 + 4 + 4 * 5 + 5
    assert (one["bytes_sent"], two["bytes_sent"]) == (0, 4 * (parameters + 1))
    assert one["flops"] == 2 * two["flops"] > 0
    assert one["speedup"] == 1 and "elman" in table


def test_rows_that_cannot_be_shared_out_are_told():
    with pytest.raises(UserError, match="--devices=2 cannot share out 3 rows evenly"):
        devices.measure(["elman"], [2], 4, 3, 5, [3], 1)
