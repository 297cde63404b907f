// What narwhalctl shows of a server, as lines of text. Pure: made from the JSON of /status.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace narwhal::ctl {

using Json = nlohmann::ordered_json;

std::string status_text(const Json& status);
std::string workers_text(const Json& status);

// A screen of `narwhalctl top`: the figures are about the time between `before` and `status`, `seconds` apart. Cut to
// `lines` and `columns`.
std::string top_text(const Json& status, const Json& before, double seconds, std::size_t lines, std::size_t columns);

std::string duration_text(double seconds);

}  // namespace narwhal::ctl
