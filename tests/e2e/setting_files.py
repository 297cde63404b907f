"""Files that test_every_setting.py names in settings: an application, a logger, and two configurations of logging."""

APP = """
import os, sys
try:
    from mylib import NAME
except ImportError:
    NAME = None
print("printed at the import", flush=True)
imported_by, sent, at = os.getpid(), [], []
def stream():
    for number in range(32):
        sent.append(number)
        yield b"x" * (1 << 20)
def app(environ, start_response):
    path = environ["PATH_INFO"]
    start_response("200 OK", [])
    if path == "/stream":
        return stream()
    if path == "/file":
        file = open(__file__, "rb")
        close = file.close
        file.close = lambda: (at.append(file.tell()), close())
        return environ["wsgi.file_wrapper"](file)
    return [repr({"by": imported_by, "greeting": os.environ.get("GREETING"), "lib": NAME, "prefix": sys.prefix,
                  "sent": len(sent), "at": at}).encode()]
"""

LOGGER = """
from gunicorn.glogging import Logger
class Own(Logger):
    def info(self, text, *args, **named):
        super().info("own " + str(text), *args, **named)
"""

LOG_FILE = """[loggers]
keys=root,error
[handlers]
keys=file
[formatters]
keys=own
[formatter_own]
format=own|%(message)s
[handler_file]
class=FileHandler
formatter=own
args=('error.out',)
[logger_root]
level=INFO
handlers=file
[logger_error]
level=INFO
handlers=file
qualname=gunicorn.error
propagate=0
"""

LOG_DICTIONARY = {
    "version": 1, "formatters": {"own": {"format": "own|%(message)s"}},
    "handlers": {"file": {"class": "logging.FileHandler", "formatter": "own", "filename": "error.out"}},
    "root": {"level": "INFO", "handlers": []},
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": ["file"], "propagate": False}}}
