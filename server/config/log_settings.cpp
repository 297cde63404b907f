#include "server/config/log_settings.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <string_view>
#include <utility>

#include "core/access_format.hpp"
#include "core/nearest_name.hpp"

namespace narwhal::server {
namespace {

// The names of a line in JSON, and some of other servers, with the atom of that value.
constexpr std::pair<std::string_view, std::string_view> atom_names[] = {
    {"remote_address", "h"},
    {"remote_addr", "h"},
    {"client", "c"},
    {"user", "u"},
    {"remote_user", "u"},
    {"time", "t"},
    {"time_local", "t"},
    {"request", "r"},
    {"method", "m"},
    {"request_method", "m"},
    {"path", "U"},
    {"uri", "U"},
    {"query", "q"},
    {"args", "q"},
    {"protocol", "H"},
    {"status", "s"},
    {"response_code", "s"},
    {"bytes", "b"},
    {"size", "b"},
    {"response_length", "B"},
    {"body_bytes_sent", "B"},
    {"referer", "f"},
    {"referrer", "f"},
    {"agent", "a"},
    {"user_agent", "a"},
    {"request_time", "L"},
    {"duration", "L"},
    {"request_time_ms", "M"},
    {"request_time_us", "D"},
    {"pid", "p"},
};

// The atom that was meant: of another case, or with a name for it; empty: unknown.
std::string nearest_atom(const std::string& name) {
  if (name.size() == 1) {
    const auto other_case = static_cast<char>(std::isupper(static_cast<unsigned char>(name[0])) != 0
                                                  ? std::tolower(static_cast<unsigned char>(name[0]))
                                                  : std::toupper(static_cast<unsigned char>(name[0])));
    return access_atoms.find(other_case) == std::string_view::npos ? "" : std::string(1, other_case);
  }
  if (name.starts_with('{')) return name.substr(0, name.find('}')) + "}i";
  std::array<std::string_view, std::size(atom_names)> names;
  std::transform(std::begin(atom_names), std::end(atom_names), names.begin(),
                 [](const auto& each) { return each.first; });
  const std::string_view near = nearest_name(name, names);
  const auto found = std::find_if(std::begin(atom_names), std::end(atom_names),
                                  [near](const auto& each) { return each.first == near; });
  return found == std::end(atom_names) ? "" : std::string(found->second);
}

}  // namespace

void settle_logs(Draft& draft) {
  for (const std::string& name : compile_access_format(draft.config.access_log_format).unknown_atoms) {
    const std::string near = nearest_atom(name);
    draft.notices.push_back("access_log_format: '%(" + name + ")s' is not an atom and prints a dash" +
                            (near.empty() ? "" : ": did you mean '%(" + near + ")s'?"));
  }
}

}  // namespace narwhal::server
