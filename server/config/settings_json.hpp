// All settings as JSON, for the `cfg` that hooks of a gunicorn.conf.py get.
#pragma once

#include <string>

#include "core/config.hpp"

namespace narwhal::server {

// {"bind": ["127.0.0.1:8000"], "workers": 2, "accesslog": null, ...}: names, types and texts as in Gunicorn. A text that
// is not set is null.
std::string settings_json(const Config& config);

}  // namespace narwhal::server
