"""The page's server: what it streams is the sampler's text, and it does no more than it should."""

import contextlib
import importlib.util
import itertools
import json
import socket
import threading
import time

import httpx
import jax
import numpy as np
import pytest
import uvicorn

from rnnzoo import config as configs
from rnnzoo import play, runs, sampler
from rnnzoo.errors import UserError
from rnnzoo.play import display
from rnnzoo.play.player import Player
from rnnzoo.play.request import Bounds, Rate
from rnnzoo.play.server import make_app
from rnnzoo.vocabulary import Vocabulary

TEXT = Vocabulary.of("the cat sat on the mat.\n")
BYTES = Vocabulary.of("né🦊€\n".encode())


def untrained(cell, vocabulary=TEXT, hidden_size=4, layers=1):
    """A run that no one trained, with parameters large enough for its state to matter."""
    config = configs.get_config()
    config.cell.name, config.cell.hidden_size, config.cell.layers = cell, hidden_size, layers
    model = runs.make_model(config, len(vocabulary))
    params = jax.tree.map(lambda a: 2 * a, model.init(jax.random.key(0)))
    return runs.Run(runs.ROOT / cell, config, vocabulary, model, params)


@pytest.fixture(scope="module")
def elman():
    return Player(untrained("elman"))


def written(player, prompt, **options):
    return list(itertools.chain.from_iterable(player.play(prompt, **options)))


def text_of(characters):
    return "".join(c["text"] for c in characters)


# The text is the sampler's


@pytest.mark.parametrize(
    ("cells", "arrays"),
    [
        (
            "lstm,deltanet,lru",
            ["output", "layer 1: hidden", "layer 1: cell", "layer 2: state",
             "layer 3: state, real part", "layer 3: state, imaginary part"],
        ),
        ("clockwork_rnn", ["state 1 (the output)"]),  # and a clock
        ("variational_dropout", ["state 1 h", "state 1 output", "state 1 x",
                                 "state 2 hidden (the output)", "state 2 cell"]),
    ],
)  # fmt: skip
def test_it_writes_what_the_sampler_writes(cells, arrays):
    player = Player(untrained(cells))
    shown = player.describe()["arrays"]
    assert [a["name"] for a in shown] == arrays
    run = player.run
    for prompt, options in [
        ("the cat", {"length": 30, "temperature": 0.7, "top_k": 8, "seed": 3}),
        ("", {"length": 9, "temperature": 0, "top_k": 9}),
        ("a", {"length": 20, "top_k": 4, "top_p": 0.8}),
    ]:
        characters = written(player, prompt, **options)
        (expected,) = sampler.sample(run.model, run.params, run.vocabulary, prompt, **options)
        assert text_of(characters) == expected
        assert [c["drawn"] for c in characters] == [False] * len(prompt) + [True] * options[
            "length"
        ]
        numbers = [a["size"] for a in shown]
        assert all(list(map(len, c["state"])) == numbers for c in characters[1:])


def test_bytes_that_are_no_whole_character_have_their_numbers():
    player = Player(untrained("gru", BYTES))
    characters = written(player, "é🦊", length=40, seed=1)
    run = player.run
    (expected,) = sampler.sample(run.model, run.params, BYTES, "é🦊", length=40, seed=1)
    assert text_of(characters) == expected
    assert [(c["name"], c["text"]) for c in characters[:6]] == [
        ("0xc3", ""), ("0xa9", "é"), ("0xf0", ""), ("0x9f", ""), ("0xa6", ""), ("0x8a", "🦊"),
    ]  # fmt: skip
    assert len(characters) == 6 + 40


def test_a_character_comes_with_what_was_expected(elman):
    run = elman.run
    characters = written(elman, "the", length=12, temperature=0.5, top_k=3, seed=1)
    first = {"text": "t", "name": "t", "drawn": False, "p": None, "q": None, "rank": None}
    assert characters[0] == {**first, "top": [], "state": None}
    state = run.model.initial_state(run.params, 1)
    for before, character in itertools.pairwise(characters):
        ids = run.vocabulary.encode(before["name"])[None]
        logits, state = run.model.apply(run.params, None, ids, state)
        p = np.asarray(jax.nn.softmax(logits[0, 0]))
        q = p**2 * (p >= np.sort(p)[-3]) / (np.sort(p)[-3:] ** 2).sum()  # a temperature of 1/2
        id = run.vocabulary.encode(character["name"])[0]
        assert character["p"] == pytest.approx(p[id], rel=1e-3)
        assert character["q"] == pytest.approx(q[id], rel=1e-3)
        assert character["rank"] == 1 + (p > p[id]).sum()
        order = np.argsort(-p)[:8]
        assert [run.vocabulary.encode(n)[0] for n, *_ in character["top"]] == order.tolist()
        np.testing.assert_allclose([row[1] for row in character["top"]], p[order], rtol=1e-3)
        np.testing.assert_allclose([row[2] for row in character["top"]], q[order], rtol=1e-3)
        np.testing.assert_allclose(character["state"], state, rtol=1e-3)
    assert all(c["rank"] <= 3 for c in characters if c["drawn"])


def test_of_a_large_state_so_many_numbers_are_shown(elman, monkeypatch):
    run = untrained("lstm", hidden_size=12)
    state = run.model.initial_state(run.params, 1)
    _, (h, _) = run.model.apply(run.params, None, np.zeros((1, 1), int), state)
    monkeypatch.setattr(display, "MOST", 5)
    monkeypatch.setattr(display, "MOST_ARRAYS", 2)
    model, arrays, not_shown = display.displaying(run.model, run.params)
    assert arrays == [("output", 12, 3), ("hidden", 12, 3)] and not_shown == 1
    start = model.initial_state(run.params, 1)
    _, state = model.apply(run.params, None, np.zeros((1, 1), int), start)
    for numbers in display.shown(state):
        np.testing.assert_allclose(numbers, h[:, ::3], rtol=1e-6)
    assert jax.tree.map(np.shape, display.shown(start)) == ((1, 4), (1, 4))


def test_what_is_not_finite_is_no_number_in_json(elman):
    run = elman.run._replace(params=jax.tree.map(lambda a: a * np.nan, elman.run.params))
    last = written(Player(run), "t", length=2)[-1]
    assert last["p"] is None and last["state"][0] == [None] * 4
    json.dumps(last, allow_nan=False)


# The server


@contextlib.contextmanager
def served(players, bounds=None, **options):
    """A client of the application, which a real server runs."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = make_app(players, bounds or Bounds(), **options)
    settings = {"log_level": "critical", "lifespan": "off", "ws": "none"}
    server = uvicorn.Server(uvicorn.Config(app, **settings))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    host, port = listener.getsockname()
    thread.start()
    try:
        with httpx.Client(base_url=f"http://{host}:{port}", timeout=20, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def client(elman):
    with served([elman, elman]) as client:
        yield client


def lines_of(answer):
    return [json.loads(line) for line in answer.text.splitlines()]


def test_a_text_is_streamed_to_its_end(client, elman):
    options = {"length": 30, "temperature": 0.6, "top_k": 9, "top_p": 0.9, "seed": 4}
    answer = client.post("/api/write", json={"run": 1, "prompt": "the ", **options})
    assert answer.status_code == 200
    *pieces, last = lines_of(answer)
    assert len(pieces) > 3 and last == {"done": True}
    characters = [c for piece in pieces for c in piece["characters"]]
    assert characters == written(elman, "the ", **options)


def test_the_page_asks_for_its_own_files_alone(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html") and "<textarea" in page.text
    for name in ("play.css", "play.js", "run.js", "heat.js", "icon.svg"):
        found = client.get(f"/static/{name}")
        assert found.status_code == 200 and len(found.content) > 100
        assert "http" not in found.text.replace("http://www.w3.org/2000/svg", "")
    assert page.headers["content-security-policy"].startswith("default-src 'self';")
    assert found.headers["content-security-policy"] == page.headers["content-security-policy"]
    about = client.get("/api/runs").json()
    assert [run["cell"] for run in about["runs"]] == ["elman", "elman"]
    assert about["bounds"] == {"prompt": 2000, "length": 2000}


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (b"{", None, "the request is no JSON"),
        (b"\xff", None, "the request is no JSON"),
        (b"[" * 20_000, None, "the request is no JSON"),
        (b'{"seed": ' + 5000 * b"9" + b"}", None, "the request is no JSON"),
        ([1], None, "the request is no JSON object"),
        ({"prmpt": "a"}, None, "there is no field 'prmpt': did you mean 'prompt'?"),
        ({"run": 2}, "run", "run must be a whole number from 0 to 1: it is 2"),
        ({"run": True}, "run", "it is True"),
        ({"prompt": 3}, "prompt", "prompt must be a text: it is 3"),
        ({"prompt": "the Zoo"}, "prompt", "character 'Z' (U+005A) at index 4 is not in the"),
        ({"prompt": "\ud800"}, "prompt", "character '\\ud800' (U+D800)"),
        ({"prompt": "t" * 2001}, "prompt", "has 2,001 characters, and 2,000 are the most: shorten"),
        ({"length": 0}, "length", "length must be from 1 to 2,000: it is 0"),
        ({"length": 2001}, "length", "length must be from 1 to 2,000: it is 2001"),
        ({"length": 1.5}, "length", "length must be a whole number"),
        ({"length": ""}, "length", "length must be a whole number of at least 0, not ''"),
        ({"temperature": -1}, "temperature", "a finite number of at least 0, not -1"),
        (b'{"temperature": NaN}', "temperature", "not nan"),
        (b'{"temperature": 1e999}', "temperature", "not inf"),
        ({"top_k": 0}, "top_k", "top_k must be a whole number of at least 1, not 0"),
        ({"top_p": 1.2}, "top_p", "top_p must be above 0 and at most 1, not 1.2"),
        ({"seed": -1}, "seed", "seed must be a whole number of at least 0 and at most 4294967295"),
        ({"count": 2}, None, "there is no field 'count'"),
    ],
)
def test_a_bad_request_is_told_in_one_line(client, body, field, message):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    answer = client.post("/api/write", content=content, headers=headers)
    assert answer.status_code == 400
    found = answer.json()
    assert found["field"] == field and message in found["error"] and "\n" not in found["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/none", 404), ("GET", "/static/../server.py", 404), ("GET", "/api/write", 405),
     ("POST", "/", 405)],
)  # fmt: skip
def test_other_addresses_are_errors_in_json(client, method, path, status):
    answer = client.request(method, path)
    assert answer.status_code == status and "open / for the page" in answer.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),  # whose name points to 127.0.0.1
        ({"Host": "127.0.0.1.evil.example:80"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),  # what a page of another site may send unasked
        ({"Host": "localhost:9", "Origin": "http://localhost:9"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_only_this_machine_s_own_page_is_answered(client, headers, status):
    answer = client.post(
        "/api/write",
        content=b'{"length": 1}',
        headers={"Content-Type": "application/json"} | headers,
    )
    assert answer.status_code == status
    assert status == 200 or answer.json()["error"]
    page = client.get("/", headers=headers)
    assert page.status_code == (403 if "Host" in headers and status == 403 else 200)


def test_a_large_request_is_refused_before_it_is_read(elman):
    with served([elman], Bounds(body=1000)) as client:
        headers = {"Content-Type": "application/json"}
        for content in (b" " * 1001, iter([b" " * 400] * 3)):  # with its length, and without
            answer = client.post("/api/write", content=content, headers=headers)
            assert answer.status_code == 413
            assert answer.json()["error"].startswith("the request has more than 1,000 bytes")


def test_a_request_that_does_not_end_is_refused(elman):
    with served([elman], Bounds(seconds=0.2)) as client:
        address = client.base_url
        with socket.create_connection((address.host, address.port)) as connection:
            connection.sendall(
                b"POST /api/write HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                b"Content-Length: 9\r\n\r\n{"
            )
            connection.settimeout(10)
            assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


def test_more_texts_than_a_minute_has_are_refused(elman):
    with served([elman], Bounds(per_minute=2)) as client:
        answers = [client.post("/api/write", json={"length": 1}) for _ in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
    assert answers[2].json()["error"].startswith("more than 2 texts within a minute: wait ")


def test_the_rate_is_of_any_such_time():
    times = iter([0, 50, 55, 59, 60, 61, 110])
    rate = Rate(2, 60, clock=lambda: next(times))
    assert [rate.wait() for _ in range(7)] == [0, 0, 5, 1, 0, 49, 0]


class Endless:
    """A player that writes until nobody reads."""

    def __init__(self):
        self.steps, self.fails = 0, False

    def play(self, prompt, **options):
        while True:
            self.steps += 1
            time.sleep(0.01)
            if self.fails:
                raise FloatingPointError("no number\nat all")
            yield [{"text": "a"}]


def wait_until(true):
    for _ in range(500):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it took too long")


def test_a_reader_who_goes_ends_the_work_and_makes_room():
    player = Endless()
    with served([player], Bounds(at_once=1)) as client:
        with client.stream("POST", "/api/write", json={}) as text:
            next(text.iter_lines())
            refused = client.post("/api/write", json={})
            assert refused.status_code == 429 and refused.headers["Retry-After"]
            assert refused.json()["error"].startswith("1 texts are being written, the most at once")
        wait_until(lambda: client.post("/api/write", json={"length": 0}).status_code == 400)

        def stands_still():
            before = player.steps
            time.sleep(0.05)
            return player.steps == before

        wait_until(stands_still)
        player.fails = True  # the place is free again
        assert client.post("/api/write", json={}).status_code == 200


def test_a_run_that_fails_says_so_in_the_last_line(caplog):
    player = Endless()
    player.fails = True
    with served([player]) as client:
        answer = client.post("/api/write", json={})
    assert lines_of(answer) == [{"error": "the run fails: FloatingPointError: no number at all"}]
    assert "a text ended" in caplog.text


def test_texts_end_with_the_server():
    with served([Endless()], stopping=lambda: True) as client:
        *_, last = lines_of(client.post("/api/write", json={}))
    assert last == {"error": "the server was stopped: start it again"}


# What is found before the server starts


def test_a_missing_package_is_named(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "uvicorn" else find(n))
    with pytest.raises(UserError, match=r"needs uvicorn, .*: pip install 'rnnzoo\[play\]'"):
        play.serve(["a"], runs.open_run, 0)


def test_a_port_in_use_is_told_before_a_run_is_opened():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            UserError, match=f"--port={port} .* Address already in use: give another"
        ):
            play.serve(["none"], runs.open_run, port)


def test_there_is_room_for_some_runs():
    with pytest.raises(UserError, match="has room for 6 runs, and 7 are named"):
        play.serve(list("abcdefg"), runs.open_run, 0)
