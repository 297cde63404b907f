#include <uv.h>

#include "protocol/http1_cut.hpp"
#include "worker/worker.hpp"

namespace narwhal::worker {

std::string library_versions() {
  return std::string("libuv ") + uv_version_string() + "\nllhttp " + protocol::llhttp_version() + "\n";
}

}  // namespace narwhal::worker
