"""A number measured: trained from each seed, and tested on what training never saw."""

import dataclasses
import pathlib
import statistics
import time
from typing import Any

import jax

from benchmarks.published.number import OfTask, OfText, TaskModel, TextModel
from rnnzoo import runs, session
from rnnzoo.metrics import read_metrics
from rnnzoo.model import count_parameters
from rnnzoo.tasks import capacity, learn

TESTS = 4  # measurements of a model on a task, each on fresh sequences: their mean counts


def of_task(number: OfTask, model: TaskModel) -> dict[str, Any]:
    """What a model of a task's number gives.

    Returns:
      Parameters, the result of each seed, its learning curve, and the seconds.
    """
    begun = time.perf_counter()
    learner, results, curves = number.learner(model), [], []
    # In turn: products of several seeds at once took a CPU six times as long as those of one.
    for seed in range(number.seeds):
        (params,), curve = dataclasses.replace(learner, seed=seed).train(number.learning_rate)
        results.append(_result(number, learner.model, params))
        curves.append([round(loss, 6) for (loss,) in curve])
    return {
        "parameters": learn.parameters(learner.model),
        "results": results,
        "curves": curves,
        "seconds": time.perf_counter() - begun,
    }


def _result(number: OfTask, model, params) -> float:
    task, (shortest, longest) = number.made(), number.lengths()
    if isinstance(task, capacity.Capacity):
        accuracy = _accuracy(model, params, task, longest)
        bits = capacity.remembered_bits(accuracy, task.examples, task.classes)
        return bits / count_parameters(params)
    name = number.measured.removeprefix("scaled_")
    seeds = range(learn.TEST_SEED, learn.TEST_SEED + TESTS)
    tests = [learn.measure(model, params, task, longest, seed, shortest)[name] for seed in seeds]
    found = statistics.fmean(tests)
    if number.measured != "scaled_accuracy":
        return found
    chance = task.chance(longest)
    return (found - chance) / (1 - chance)


def _accuracy(model, params, task: capacity.Capacity, length: int) -> float:
    """Over all examples."""
    data = task.data(length)
    outputs, _ = jax.jit(model.apply)(
        params, None, data.inputs, model.initial_state(params, task.examples)
    )
    return float(task.metrics(outputs, data)["accuracy"])


def of_text(
    number: OfText, model: TextModel, folder: pathlib.Path, path: str = ""
) -> dict[str, Any]:
    """What a model of a text's number gives; a training that was stopped goes on where it was.

    If its config has the seeds train as one program, as suits a GPU, the results are those of its
    log: of that program only the best seed's parameters are kept.

    Args:
      number: the number.
      model: one of its models.
      folder: where the model's runs are.
      path: a copy of the text; '' to find it as the config does.

    Raises:
      UserError: the text cannot be had.
    """
    begun, results = time.perf_counter(), []
    at_once = model.made().seeds
    for seed in range(0, number.seeds, at_once):
        config = model.made()
        config.train.seed, config.corpus.path = seed, path or config.corpus.path
        run = runs.open_run(session.train(config, folder / f"seed_{seed}"))
        if at_once > 1:
            logged = [row.get("validation_losses") for row in read_metrics(run.folder)]
            results += map(min, zip(*filter(None, logged), strict=True))
        else:
            results.append(runs.evaluate(run, number.part)[number.part])
    return {
        "parameters": count_parameters(run.params),
        "results": results,
        "seconds": time.perf_counter() - begun,
    }
