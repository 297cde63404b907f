"""plugins/wsgi/python/loggers.py: the logger gunicorn.error."""
import io
import logging
import re

import loggers
import pytest


@pytest.fixture(autouse=True)
def logger():
    made = logging.getLogger("gunicorn.error")
    yield made
    made.handlers.clear()
    made.setLevel(logging.NOTSET)
    made.propagate = True


def test_its_lines_have_the_servers_format(logger):
    errors = io.StringIO()
    loggers.prepare(errors, "WARNING")
    logger.info("too low")
    logger.warning("number %d", 7)
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[\d+\] \[WARNING\] number 7\n", errors.getvalue())


def test_a_logger_with_handlers_is_left_as_it_is(logger):
    own = logging.NullHandler()
    logger.addHandler(own)
    loggers.prepare(io.StringIO(), "DEBUG")
    assert logger.handlers == [own] and logger.level == logging.NOTSET and logger.propagate
