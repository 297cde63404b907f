// The program that a Python interpreter runs (-c) to read a gunicorn.conf.py: gunicorn_conf_reader.py as a string.
// Arguments  the descriptor for the answer, the file's path or "python:MODULE", and the names of the requested settings,
//            separated by commas.
// Answer     JSON (which is also YAML): {"file": PATH, "settings": [[NAME, LINE, TYPE, VALUE], ...],
//            "others": [[NAME, LINE], ...]} with the plain values of other names, if there are any; or {"file": PATH,
//            "fault": [LINE, TEXT]}, after Python's own traceback was written to stderr. LINE is 0 if it is unknown.
//            VALUE is a string; for a "list" it is [[TYPE, TEXT], ...], for a "dict" [[KEY, TYPE, TEXT], ...].
#pragma once

namespace narwhal::server {

extern const char gunicorn_conf_reader[];

}  // namespace narwhal::server
