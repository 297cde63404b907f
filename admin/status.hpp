// The view of a server as JSON: man/narwhalctl.1 names its members.
#pragma once

#include <string>

#include "admin/view.hpp"

namespace narwhal::admin {

std::string status_json(const View& view);

}  // namespace narwhal::admin
