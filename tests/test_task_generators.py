"""Each generator against its definition in plain Python, and against its baseline in a large sample."""

import collections
import itertools
import math
import re

import jax
import numpy as np
import pytest
import scipy.stats

from rnnzoo import tasks
from rnnzoo.tasks.regular import TOMITA

ROWS = 6000
REFERRED = 60  # rows that are compared with the definition


def copy(task, x):
    n, blank, signal = task.remember, task.symbols, task.symbols + 1
    said, rest = x[:n], x[n:]
    T = len(x) - 2 * n
    assert set(said) <= set(range(task.symbols))
    assert rest == [blank] * (T - 1) + [signal] + [blank] * n
    return [blank] * (T + n) + said


def selective_copy(task, x):
    n, marker = task.remember, task.vocabulary - 1
    assert x[-n:] == [marker] * n and marker not in x[:-n]
    data = [i for i in x[:-n] if i != 0]
    assert len(data) == n
    return [None] * (len(x) - n) + data


def adding(task, x):
    marked = [t for t, (_, mark) in enumerate(x) if mark == 1]
    assert [mark for _, mark in x].count(0) == len(x) - 2
    assert marked[0] < len(x) // 2 <= marked[1]
    assert all(0 <= number < 1 for number, _ in x)
    return [None] * (len(x) - 1) + [sum(x[t][0] for t in marked)]


def delayed_xor(task, x):
    d = task.delay
    return [None if t <= d else (x[t - d] + x[t - d - 1]) % 2 for t in range(len(x))]


def prefixes(task, x, answer, every=1):
    answers = [answer(x[: t + 1]) if t % every == 0 else None for t in range(len(x))]
    return answers if task.every_step else [None] * (len(x) - 1) + answers[-1:]


def parity(task, x):
    return prefixes(task, x, lambda word: word.count(1) % 2)


def even_pairs(task, x):
    return prefixes(task, x, lambda word: sum(a != b for a, b in itertools.pairwise(word)) % 2)


def cycle_navigation(task, x):
    return prefixes(task, x, lambda word: (word.count(2) - word.count(0)) % task.places)


def modular_arithmetic(task, x):
    m = task.modulus
    words = [str(i) if i < m else "+-*"[i - m] for i in x]
    assert all(word.isdigit() == (t % 2 == 0) for t, word in enumerate(words))
    return prefixes(task, x, lambda p: eval("".join(words[: len(p)])) % m, every=2)


def in_tomita(grammar, word):
    runs = [(bit, len(list(run)) % 2) for bit, run in itertools.groupby(word)]
    return {
        1: lambda: re.fullmatch("1*", word),
        2: lambda: re.fullmatch("(10)*", word),
        3: lambda: (
            not any(a == ("1", 1) and b == ("0", 1) for a, b in itertools.combinations(runs, 2))
        ),
        4: lambda: "000" not in word,
        5: lambda: word.count("0") % 2 == word.count("1") % 2 == 0,
        6: lambda: (word.count("0") - word.count("1")) % 3 == 0,
        7: lambda: re.fullmatch("0*1*0*1*", word),
    }[grammar]()


def tomita(task, x):
    return prefixes(task, x, lambda w: int(bool(in_tomita(task.grammar, "".join(map(str, w))))))


def group(name):
    n = int(name[1:])
    if name[0] == "Z":
        return [tuple((i + r) % n for i in range(n)) for r in range(n)]
    permutations = sorted(itertools.permutations(range(n)))
    if name[0] == "S":
        return permutations
    even = [p for p in permutations if round(np.linalg.det(np.eye(n)[list(p)])) == 1]
    assert len(even) == math.factorial(n) // 2
    return even


def word_problem(task, x):
    elements = group(task.group)
    moves = [
        p
        for p in elements
        if task.moved is None or sum(i != j for i, j in enumerate(p)) <= task.moved
    ]

    def product(word):
        things = list(range(len(elements[0])))
        for i in word:  # each thing is moved on from where it is
            things = [moves[i][place] for place in things]
        return elements.index(tuple(things))

    return prefixes(task, x, product)


def mqar(task, x):
    n, half = task.pairs, task.vocabulary // 2
    keys, values = x[0 : 2 * n : 2], x[1 : 2 * n : 2]
    assert len(set(keys)) == len(set(values)) == n
    assert all(0 < key < half for key in keys) and all(half <= value for value in values)
    memory = dict(zip(keys, values, strict=True))
    answers = [memory.get(i) if t >= 2 * n else None for t, i in enumerate(x)]
    if task.noise:  # it may be a key, and the answer to it does not count
        answers = [... if a is not None else None for a in answers]
    else:
        assert [t for t, a in enumerate(answers) if a is None and x[t] and t >= 2 * n] == []
        assert all(t % 2 == 0 for t, a in enumerate(answers) if a is not None)
        assert sorted(i for i in x[2 * n :] if i) == sorted(keys)
    return answers


def dyck(task, x):
    k, answers, stack = task.kinds, [], []
    for t, i in enumerate(x):
        if i < k:
            stack.append(i)
        else:
            assert stack.pop() == i - k
        assert len(stack) <= task.depth
        after = x[t + 1] if t + 1 < len(x) else ...  # the last one's is not there to be seen
        if after is not ... and after >= k:
            after = k + stack[-1]
        elif after is not ... and task.closings_only:
            after = None
        answers.append(after)
    return answers


def sines(task, x):
    """The values themselves; see below for the rest."""
    first, h = 3 * task.waves - 1, task.horizon
    ahead = [x[t + h] if t + h < len(x) else ... for t in range(len(x))]
    return [None] * first + ahead[first:]


VARIANTS = [
    (copy, {}),
    (copy, dict(symbols=3, remember=2)),
    (selective_copy, {}),
    (selective_copy, dict(remember=1, vocabulary=4)),
    (adding, {}),
    (delayed_xor, {}),
    (delayed_xor, dict(delay=0)),
    (parity, {}),
    (parity, dict(every_step=True)),
    (even_pairs, dict(every_step=True)),
    (cycle_navigation, {}),
    (cycle_navigation, dict(places=3, every_step=True)),
    (modular_arithmetic, {}),
    (modular_arithmetic, dict(modulus=3, every_step=True)),
    *((tomita, dict(grammar=n, every_step=n % 2 == 0)) for n in TOMITA),
    *((word_problem, dict(group=g)) for g in ("S5", "A4", "Z7")),
    (word_problem, dict(group="S4", moved=2, every_step=False)),
    (sines, dict(waves=1, horizon=1)),
    (mqar, dict(pairs=4, vocabulary=24)),
    (mqar, dict(pairs=1, vocabulary=9, power=0.3, noise=False)),
    (dyck, {}),
    (dyck, dict(kinds=3, depth=2, closings_only=False)),
    (dyck, dict(kinds=1, depth=1, closings_only=False)),
]


def draw(task, seed):
    """A batch of rows of four lengths, and the lengths."""
    shortest = task.least_length + 3
    longest = shortest + 3
    batch = task.sample(jax.random.key(seed), ROWS, longest, shortest)
    lengths = jax.random.randint(
        jax.random.split(jax.random.key(seed))[0], (ROWS,), shortest, longest + 1
    )
    return longest, np.asarray(lengths), tasks.Batch(*map(np.asarray, batch))


@pytest.mark.parametrize("reference, options", VARIANTS)
def test_generator(reference, options):
    task = tasks.make(reference.__name__, **options)
    longest, lengths, batch = draw(task, 0)
    check_shapes(task, longest, lengths, batch)
    check_reference(task, reference, lengths, batch)
    _, other_lengths, other = draw(task, 1)
    assert (batch.inputs != other.inputs).any()
    check_baseline(task, [(lengths, batch), (other_lengths, other)])
    if reference in FURTHER:
        at_longest = (a[: task.steps(longest), lengths == longest] for a in batch)
        FURTHER[reference](task, longest, *at_longest)


def check_shapes(task, longest, lengths, batch):
    T = task.steps(longest)
    assert batch.weights.shape == (T, ROWS) and set(np.unique(batch.weights)) == {0, 1}
    for found, space in zip(batch, (task.inputs, task.outputs), strict=False):
        if isinstance(space, tasks.Ids):
            assert found.shape == (T, ROWS) and found.dtype == np.int32
            assert found.min() >= 0 and found.max() < space.size
        else:
            assert found.shape == (T, ROWS, space.size) and found.dtype == float
        assert not found[np.arange(T)[:, None] >= task.steps(lengths)].any()
    for length in range(longest - 3, longest + 1):
        assert abs((lengths == length).sum() - ROWS / 4) < 5 * math.sqrt(ROWS / 4)


def check_reference(task, reference, lengths, batch):
    for b in range(REFERRED):
        steps = task.steps(int(lengths[b]))
        inputs, targets, weights = (a[:steps, b].tolist() for a in batch)
        for t, expected in enumerate(reference(task, inputs)):
            if expected is not ...:
                assert weights[t] == (expected is not None)
                assert expected is None or np.allclose(targets[t], expected)


def check_baseline(task, draws):
    """What the targets' own frequencies lose, counted in one half and measured in the other."""
    for length in np.unique(draws[0][0]):
        known, tested = (
            [a[: task.steps(length), lengths == length] for a in batch] for lengths, batch in draws
        )
        of_ids = isinstance(task.outputs, tasks.Ids)
        if of_ids and len(task.marginals(int(length))) == 1:  # all steps are alike
            known = [a.reshape(1, -1) for a in known]
            tested = [a.reshape(1, -1) for a in tested]
        losses = np.stack([blind_loss(task, *step) for step in zip(*known, tested[1], strict=True)])
        mean, error = mean_and_error(losses, tested[2])
        counted = known[2].sum(axis=1)
        few = task.outputs.size / counted[counted > 0].min()  # frequencies are not probabilities
        assert abs(mean - task.baseline(int(length))) < 4 * error + few < 0.2
        assert 0 <= task.floor(int(length)) <= task.baseline(int(length))


def blind_loss(task, _inputs, known, weights, tested):
    if isinstance(task.outputs, tasks.Reals):
        mean = np.average(known, axis=0, weights=weights + 1e-9)
        return np.square(tested - mean).mean(axis=-1)
    counts = np.bincount(known, weights, task.outputs.size) + 1e-3
    return -np.log(counts / counts.sum())[tested]


def mean_and_error(losses, weights):
    mean = (losses * weights).sum() / weights.sum()
    of_rows = ((losses - mean) * weights).sum(axis=0)
    return mean, of_rows.std() * math.sqrt(of_rows.size) / weights.sum()


def check_words(task, length, inputs, targets, weights):
    """Those of either kind are equally likely."""
    drawn = collections.Counter("".join(map(str, word)) for word in inputs.T.tolist())
    every = ["".join(bits) for bits in itertools.product("01", repeat=length)]
    kinds = [
        [w for w in every if bool(in_tomita(task.grammar, w)) == kind] for kind in (False, True)
    ]
    kinds = [words for words in kinds if words]
    for words in kinds:
        expected = inputs.shape[1] / len(words) / len(kinds)
        squares = sum((drawn[word] - expected) ** 2 / expected for word in words)
        assert scipy.stats.chi2.sf(squares, len(words)) > 1e-4


def check_questions(task, length, inputs, targets, weights):
    """Every key is asked for once; a power law says how soon the only one of a pair."""
    n = task.pairs
    for x, y, w in zip(*(a.T[:REFERRED].tolist() for a in (inputs, targets, weights)), strict=True):
        asked = {x[t]: y[t] for t in range(len(x)) if w[t]}
        assert asked == dict(zip(x[0 : 2 * n : 2], x[1 : 2 * n : 2], strict=True))
        assert sum(w) == n and not any(w[1::2])
    if n == 1:
        asked = weights.mean(axis=1)
        p = np.arange(1, (length + 1) // 2) ** (task.power - 1)
        np.testing.assert_allclose(asked[2::2], p / p.sum(), atol=2.5 / math.sqrt(weights.shape[1]))


def check_entropy(task, length, inputs, targets, weights):
    """The floor is what the generator itself loses."""
    if not task.closings_only:
        k = task.kinds
        depths = np.cumsum(np.where(inputs < k, 1, -1), axis=0)
        either = np.where(targets < k, 1 / 2 / k, 1 / 2)
        p = np.where(depths == 0, 1 / k, np.where(depths == task.depth, 1, either))
        mean, error = mean_and_error(-np.log(p), weights)
        assert abs(mean - task.floor(length)) <= 4 * error + 1e-9


FURTHER = {tomita: check_words, mqar: check_questions, dyck: check_entropy}


def test_sines_are_determined_by_the_values_before_the_first_step_that_counts():
    """By their symmetric linear recurrence, whose coefficients are solved for."""
    task = tasks.make("sines", waves=2, horizon=3)
    batch = tasks.Batch(*map(np.asarray, task.sample(jax.random.key(0), 40, task.least_length)))
    n, errors = task.waves, []
    for b in range(40):
        x = batch.inputs[:, b, 0].tolist()
        assert batch.weights[:, b].tolist() == [0] * (3 * n - 1) + [1]
        sums = [[x[s + j] + x[s + 2 * n - j] for j in range(n)] + [x[s + n]] for s in range(n)]
        sums = np.array(sums)
        c = np.linalg.solve(sums[:, 1:], -sums[:, 0])
        for _ in range(task.horizon):
            last = x[-2 * n :]
            inner = [last[j] + (last[2 * n - j] if j else 0) for j in range(n)] + [last[n]]
            x.append(-np.dot([1, *c], inner))
        errors.append(abs(x[-1] - batch.targets[-1, b, 0]))
    assert np.median(errors) < 1e-6


def test_the_capacity_data_are_fixed_and_differ():
    task = tasks.make("capacity", examples=50, classes=3)
    data, drawn = (
        tasks.Batch(*map(np.asarray, batch))
        for batch in (task.data(7), task.sample(jax.random.key(5), 400, 7))
    )
    labels = dict(zip(map(tuple, data.inputs.T), data.targets[-1], strict=True))
    assert len(labels) == 50 and set(labels.values()) == {0, 1, 2}
    columns = list(map(tuple, drawn.inputs.T))
    assert [labels[x] for x in columns] == drawn.targets[-1].tolist()
    assert set(columns) == set(labels)
    for batch in (data, drawn):
        assert (batch.weights == (np.arange(7) == 6)[:, None]).all()
    assert (tasks.make("capacity", examples=50, seed=1).data(7).inputs != data.inputs).any()


def test_the_capacity_data_can_be_vectors():
    task = tasks.make("capacity", examples=50, width=8)
    data, drawn = (
        tasks.Batch(*map(np.asarray, batch))
        for batch in (task.data(3), task.sample(jax.random.key(5), 400, 3))
    )
    assert data.inputs.shape == (3, 50, 8) and set(data.inputs.ravel()) == {-1, 1}
    assert (data.inputs == data.inputs[0]).all() and (drawn.inputs == drawn.inputs[0]).all()
    labels = dict(zip(map(tuple, data.inputs[0]), data.targets[-1], strict=True))
    assert len(labels) == 50
    columns = list(map(tuple, drawn.inputs[0]))
    assert [labels[x] for x in columns] == drawn.targets[-1].tolist()
    assert set(columns) == set(labels)


def test_groups_are_groups():
    for name, order in (("S3", 6), ("A5", 60), ("Z60", 60), ("S5", 120)):
        next, labels = tasks.make("word_problem", group=name).machine
        assert next.shape == (order, order) and (labels == np.arange(order)).all()
        assert (next[0] == np.arange(order)).all() and (next[:, 0] == np.arange(order)).all()
        assert (np.sort(next, axis=0) == np.arange(order)[:, None]).all()
        assert (next == next.T).all() == (name[0] == "Z")
    assert tasks.make("word_problem", group="S5", moved=2).inputs.size == 11
