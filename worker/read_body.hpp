// How a handler reads the body of its request: whole, or as a stream while it comes.
// Threads  the handler's, or for a deferred exchange whichever the plugin chose.
// Errors   the codes of plugin.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "narwhal/plugin.h"

namespace narwhal::worker {

class Exchange;

int whole_body(Exchange& exchange, narwhal_bytes& out);
std::int64_t read_body(Exchange& exchange, char* buffer, std::size_t size);

}  // namespace narwhal::worker
