// AboutTo: is called with each step of a set-up before it begins: "load shop.so", "worker_init of shop.so". When the process
// crashes or hangs, the last one says where.
#pragma once

#include <functional>
#include <string_view>

namespace narwhal {

using AboutTo = std::function<void(std::string_view step)>;

}  // namespace narwhal
