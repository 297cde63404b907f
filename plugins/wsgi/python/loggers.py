"""The logger gunicorn.error, which applications use. loggers.cpp runs this once, before the application's import."""
import logging


def prepare(errors, level):
    """Gives it a handler that writes to `errors` in the format of the server's own lines, unless it has one."""
    logger = logging.getLogger("gunicorn.error")
    if not logger.handlers:
        handler = logging.StreamHandler(errors)
        handler.setFormatter(logging.Formatter("%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
                                               "[%Y-%m-%d %H:%M:%S %z]"))
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
