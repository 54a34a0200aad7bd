"""The command that prints certificates; the checks themselves: test_certificates.py."""

import json

import pytest

from rnnzoo import certificate, certify


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command with one check that passes and one that may fail."""

    def call(*words, fails=False):
        def passes(subject):
            """All is well."""

        def may_fail(subject):
            """A [b]second[/b] check."""
            assert not fails, "a number [1] that is wrong"

        checks = {"passes": passes, "may_fail": may_fail}
        monkeypatch.setattr(certificate, "CHECKS", checks)
        monkeypatch.setattr("rnnzoo.certificate.checks.CHECKS", checks)
        monkeypatch.setattr("sys.argv", ["certify", *words])
        certify.run()
        return capsys.readouterr().out

    return call


def test_a_certificate_as_json(run, capsys):
    found = json.loads(run("elman", "--json", "--speed_hidden_size=0"))
    assert found == [
        {
            "name": "elman",
            "passed": True,
            "checks": [
                {"check": "passes", "verdict": "passed", "meaning": "All is well."},
                {"check": "may_fail", "verdict": "passed", "meaning": "A [b]second[/b] check."},
            ],
            "size": None,
            "steps_per_second": None,
        }
    ]


def test_size_and_speed(run):
    (found,) = json.loads(run("elman", "--json", "--speed_hidden_size=4"))
    assert found["size"]["parameters"] == 4 * (4 + 4 + 1)
    assert found["size"].keys() == {
        "hidden_size", "parameters", "flops_in_products", "bytes_of_weights",
    }  # fmt: skip
    assert [speed > 0 for speed in found["steps_per_second"].values()] == [True, True]


def test_a_table_for_a_person_and_a_line_for_the_quiet(run):
    out = run("elman", "gru", "--speed_hidden_size=0")
    assert "may fail" in out and "A [b]second[/b] check." in out and "\x1b" not in out
    assert run("elman", "gru", "--speed_hidden_size=0", "--quiet") == "elman: passed\ngru: passed\n"


def test_a_failed_check_is_the_exit_code_1(run, capsys):
    with pytest.raises(SystemExit) as e:
        run("elman", "--json", "--speed_hidden_size=0", fails=True)
    (found,) = json.loads(capsys.readouterr().out)
    assert e.value.code == 1 and not found["passed"]
    assert found["checks"][1]["verdict"] == "failed" and "wrong" in found["checks"][1]["meaning"]


def test_help_and_mistakes(run, capsys):
    out = run("--help")
    assert "python -m rnnzoo.certify gru lstm" in out and "--[no]json" in out
    with pytest.raises(SystemExit) as e:
        run("elmann")
    assert e.value.code == 2 and "did you mean 'elman'" in capsys.readouterr().err
