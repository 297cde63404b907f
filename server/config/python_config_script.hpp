// The program that the Python interpreter runs to read a gunicorn.conf.py: see python_config.hpp.
// Arguments  the descriptor of the answer, the file's path or "python:MODULE", and the names that are asked for, in one
//            word with commas.
// Answer     JSON, which is YAML, too: {"file": PATH, "settings": [[NAME, LINE, TYPE, VALUE], ...]}, or {"file": PATH,
//            "fault": [LINE, TEXT]} after Python's own traceback has gone to stderr. LINE is 0 where it is not known.
//            VALUE is a text; of a "list" it is [[TYPE, TEXT], ...], of a "dict" [[KEY, TYPE, TEXT], ...].
#pragma once

namespace narwhal::server {

extern const char* const python_config_script;

}  // namespace narwhal::server
