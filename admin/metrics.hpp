// The metrics of a server in Prometheus' text format, version 0.0.4.
#pragma once

#include <string>

#include "admin/view.hpp"

namespace narwhal::admin {

std::string metrics_text(const View& view);

}  // namespace narwhal::admin
