#include "server/config/known_names.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "core/nearest_name.hpp"
#include "server/config/program_flags.hpp"
#include "server/config/settings.hpp"

namespace narwhal::server {
namespace {

std::string unknown_text(const char* what, std::string_view name, const std::vector<std::string_view>& known) {
  const std::string start = std::string("unknown ") + what + " '" + std::string(name) + "'";
  const std::string_view near = nearest_name(name, known);
  return near.empty() ? start : start + ": did you mean '" + std::string(near) + "'?";
}

}  // namespace

std::string unknown_key_text(std::string_view key) {
  std::vector<std::string_view> known{"app", "options", "routes", "wsgi_app"};
  for (const Setting& setting : settings()) known.push_back(setting.name);
  // The spelling of the flag ("access-logfile", "log_level") is the most common wrong key.
  std::string flag = "--" + std::string(key);
  std::replace(flag.begin(), flag.end(), '_', '-');
  for (const Setting& setting : settings()) {
    const std::vector<std::string_view> flags = split_flags(setting.flags);
    if (std::find(flags.begin(), flags.end(), flag) == flags.end()) continue;
    return "unknown key '" + std::string(key) + "': the key is '" + std::string(setting.name) + "'";
  }
  return unknown_text("key", key, known);
}

std::string unknown_flag_text(std::string_view flag) {
  std::vector<std::string_view> known;
  for (const ProgramFlag& program : program_flags) known.push_back(split_flags(program.flags).back());
  std::string name(flag.substr(std::min<std::size_t>(flag.size(), 2)));
  std::replace(name.begin(), name.end(), '-', '_');
  for (const Setting& setting : settings()) {
    if (setting.name == name) {
      return "unknown flag '" + std::string(flag) + "': the flag is '" + std::string(long_flag(setting)) + "'";
    }
    for (const std::string_view each : split_flags(setting.flags)) {
      if (each.starts_with("--")) known.push_back(each);
    }
  }
  return flag.starts_with("--") ? unknown_text("flag", flag, known) : unknown_text("flag", flag, {});
}

}  // namespace narwhal::server
