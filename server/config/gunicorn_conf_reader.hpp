// The program that a Python interpreter runs (-c) to read a gunicorn.conf.py: gunicorn_conf_reader.py, with its modules.
// Arguments  the descriptor of a SOCK_SEQPACKET socket, the file's path or "python:MODULE", and the names of the requested
//            settings, separated by commas.
// Answer     JSON (which is also YAML): {"file": PATH, "settings": [[NAME, LINE, TYPE, VALUE], ...],
//            "others": [[NAME, LINE], ...], "loggers": "true"} with the plain values of other names, if there are any, and
//            whether the file has added filters or handlers to Gunicorn's loggers; or {"file": PATH,
//            "fault": [LINE, TEXT]}, after Python's own traceback was written to stderr. LINE is 0 if it is unknown.
//            VALUE is a string; for a "list" it is [[TYPE, TEXT], ...], for a "dict" [[KEY, TYPE, TEXT], ...].
// Messages   the answer comes in messages that begin with 'a'; '.' ends it. If the file has hooks of the master, the
//            process stays then. To it: "settings JSON" (settings_json.hpp) first, then a hook's name with its
//            arguments, "listeners ADDRESS..." or "forked AGE PID"; the next one after the answer to the last. From it:
//            'd' when the hook has returned or raised; 'l', a digit (LogLevel), a line, NUL and a text below it, for the
//            error log.
#pragma once

namespace narwhal::server {

extern const char gunicorn_conf_reader[];

}  // namespace narwhal::server
