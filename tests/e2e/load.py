"""Clients that send requests until stop(), and record everything: successes, failures with reasons, latencies, bodies."""
import collections
import threading
import time
from dataclasses import dataclass

from clock import eventually, scaled
from wire import Response, Wire, request_bytes


@dataclass
class Failure:
    at: float  # monotonic
    client: int
    reason: str
    reused: bool  # the connection had carried a response before

    def __str__(self):
        return f"client {self.client}{' (kept alive)' if self.reused else ''}: {self.reason}"


class Load:
    """`clients` threads that send one request after another: on one connection each, or on a new one each time.

    A connection that the server announced to close (Connection: close) is replaced; any other end, refusal, unexpected
    status, truncation or silence is a failure, and no request is ever tried twice."""

    def __init__(self, address, clients=8, keep_alive=True, target="/", pause=0.002, timeout=20.0, accept=None,
                 **parts):
        self.address, self.clients, self.keep_alive, self.pause, self.timeout = (
            address, clients, keep_alive, pause, timeout)
        self.method = parts.get("method", "GET")
        headers = list(parts.pop("headers", ()))
        if not keep_alive:
            headers.append(("Connection", "close"))
        self.request = request_bytes(target, headers=headers, **parts)
        self.accept = accept or (lambda response: response.status == 200)
        self.failures, self.latencies = [], []
        self.bodies = collections.Counter()
        self.last_seen = {}  # body: monotonic time of its last arrival
        self.first_seen = {}
        self.connections = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(number,), daemon=True)
                         for number in range(clients)]

    # ---- life ----
    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # ---- results ----
    @property
    def answered(self):
        return sum(self.bodies.values())

    def wait_for_more(self, count, timeout=20.0):
        """Until `count` more responses have arrived than now."""
        goal = self.answered + count
        eventually(f"{count} more responses ({len(self.failures)} failures so far: {self.reasons()[:3]})",
                   lambda: self.answered >= goal, timeout)

    def wait_for_body(self, body, timeout=20.0):
        eventually(f"a response {body!r}; seen {dict(self.bodies)}", lambda: self.bodies[body] > 0, timeout)

    def reasons(self):
        return [str(failure) for failure in self.failures]

    def percentile(self, share):
        with self._lock:
            ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]

    def assert_clean(self, at_least=1):
        assert not self.failures, f"{len(self.failures)} of {self.answered + len(self.failures)} requests failed: " + \
            "; ".join(self.reasons()[:10])
        assert self.answered >= at_least, f"only {self.answered} responses"

    # ---- one client ----
    def _client(self, number):
        wire, reused = None, False
        while not self._stop.is_set():
            try:
                if wire is None:
                    reused = False
                    wire = Wire(self.address, self.timeout)
                    with self._lock:
                        self.connections += 1
                began = time.monotonic()
                wire.send(self.request)
                response = wire.response(self.method)
                self._remember(response, time.monotonic() - began, number, reused)
                reused = True
                if not self.keep_alive or response.closes:
                    wire.close()
                    wire = None
            except Exception as error:  # every kind of failure counts, none ends the client
                with self._lock:
                    self.failures.append(Failure(time.monotonic(), number, f"{type(error).__name__}: {error}", reused))
                if wire is not None:
                    wire.close()
                wire = None
                self._stop.wait(0.05)
            if self.pause:
                self._stop.wait(self.pause)
        if wire is not None:
            wire.close()

    def _remember(self, response: Response, latency, number, reused):
        now = time.monotonic()
        with self._lock:
            if not self.accept(response):
                self.failures.append(Failure(now, number, f"status {response.status}: {response.body[:100]!r}", reused))
                return
            self.latencies.append(latency)
            body = response.body if len(response.body) <= 200 else response.body[:200]
            self.bodies[body] += 1
            self.first_seen.setdefault(body, now)
            self.last_seen[body] = now


def in_parallel(count, call, *args):
    """Runs call(index, *args) on `count` threads; returns the results in order, exceptions among them."""
    results = [None] * count

    def run(index):
        try:
            results[index] = call(index, *args)
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Background:
    """One call on a separate thread: result() waits for it and raises what it raised."""

    def __init__(self, call, *args, **named):
        self._outcome = None
        self.thread = threading.Thread(target=self._run, args=(call, args, named), daemon=True)
        self.thread.start()

    def _run(self, call, args, named):
        try:
            self._outcome = (call(*args, **named), None)
        except BaseException as error:
            self._outcome = (None, error)

    @property
    def done(self):
        return self._outcome is not None

    def result(self, timeout=60.0):
        self.thread.join(scaled(timeout))
        assert self._outcome is not None, "still running"
        value, error = self._outcome
        if error is not None:
            raise error
        return value
