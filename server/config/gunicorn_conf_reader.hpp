// The program that a Python interpreter runs (-c) to read a gunicorn.conf.py: gunicorn_conf_reader.py as a string.
// Arguments  the descriptor of the answer, the file's path or "python:MODULE", and the names of the settings that are
//            asked for, joined with commas.
// Answer     JSON (which is also YAML): {"file": PATH, "settings": [[NAME, LINE, TYPE, VALUE], ...]}; or {"file": PATH,
//            "fault": [LINE, TEXT]}, after Python's own traceback was written to stderr. LINE is 0 where it is not known.
//            VALUE is a text; of a "list" it is [[TYPE, TEXT], ...], of a "dict" [[KEY, TYPE, TEXT], ...].
#pragma once

namespace narwhal::server {

extern const char gunicorn_conf_reader[];

}  // namespace narwhal::server
