// An access line in JSON: one object with every atom under a name, and the fields and variables that the format names.
#pragma once

#include <string>

#include "worker/access_values.hpp"

namespace narwhal::worker {

// Without a line feed. A value that is not there is null. The format's pieces that are not {name}i, {name}o or {name}e
// have no effect.
void add_json_line(std::string& line, const AccessFormat& format, const Exchange& exchange, const Answered& answered,
                   Instant now);

}  // namespace narwhal::worker
