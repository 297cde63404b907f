"""Deadlines. Every wait in these tests is for an event and has one; NARWHAL_TEST_SCALE multiplies them all,
for sanitizer builds and slow machines."""
import os
import time

SCALE = float(os.environ.get("NARWHAL_TEST_SCALE", "1"))


def scaled(seconds):
    return seconds * SCALE


def eventually(what, condition, timeout=10.0, pause=0.02):
    """The first true value of condition(), or a failure that says what was waited for."""
    end = time.monotonic() + scaled(timeout)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {scaled(timeout):g} s: {what} (last seen: {value!r})")
        time.sleep(pause)


def holds_for(what, condition, seconds):
    """Fails as soon as condition() is false within the given (unscaled) time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"did not hold: {what}"
        time.sleep(0.02)
