"""The loggers of an application where a setting makes a process write the logs: run in place of loggers.py.

As in a worker of Gunicorn, logconfig and its kin are applied here too, so records of the application go where they say.
"""
import json
import logging
import sys
import types

import narwhal_gunicorn
import narwhal_logging


def conf_module(location):
    """The gunicorn.conf.py, which the hooks may have loaded already."""
    loaded = sys.modules.get("__config__")
    if not location or getattr(loaded, "__file__", None) == location:
        return loaded
    return narwhal_gunicorn.load(location)


def prepare(write, level, text):
    facts = types.SimpleNamespace(**json.loads(text))
    logger = logging.getLogger("gunicorn.error")
    if not logger.handlers:
        logger.addHandler(narwhal_gunicorn.ServerHandler(write))
        logger.setLevel(level)
        logger.propagate = False
    facts.logconfig_dict = conf_module(facts.conf_file).logconfig_dict if facts.has_logconfig_dict else {}
    narwhal_logging.apply_logconfig(facts)
