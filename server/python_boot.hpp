#pragma once

namespace narwhal::server {

extern const char python_boot[];  // python_boot.py

}  // namespace narwhal::server
