// The one table of settings: name, flags, type, unit, range and help. It drives the reading of narwhal.yaml,
// the command line, --help, --print-config and the tests that hold the manual pages to it. Defaults are
// Config's own and are written nowhere else.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/config.hpp"

namespace narwhal::server {

enum class Group { served, processes, time_limits, request_limits, proxy, logs };
std::string_view group_title(Group group);

struct Setting {
  using Member = std::variant<
      bool Config::*, unsigned Config::*, int Config::*, std::size_t Config::*, std::chrono::seconds Config::*,
      std::string Config::*, LogLevel Config::*, HeaderMap Config::*, ClientHeader Config::*, ProxyProtocol Config::*,
      Wire Config::*, ReloadEngine Config::*, Share Config::*, Seccomp Config::*,
      // lists
      std::vector<Bind> Config::*, Options Config::*, IpRanges Config::*, std::vector<std::string> Config::*>;
  // What a text means: itself, a path, comma-separated paths, a path where "-" is a standard stream, or the name of a
  // header field (for Options, with its value).
  enum class Text { plain, path, paths, log_target, field };
  // Whether SIGHUP can apply a new value.
  enum class Change { reload, restart };
  // What happens to a number above max: an error, or max is used, as Gunicorn does for the limits of a request.
  enum class Above { refused, cut };

  std::string_view name;   // Gunicorn's, where it has one; the key in narwhal.yaml
  std::string_view flags;  // "-w,--workers", short first, aliases last
  Group group;
  Member member;
  std::string_view metavar;        // what --help calls the value; empty for a switch
  std::string_view unit;           // "seconds", "bytes", "bytes per second" or empty
  std::string_view help;           // one line, without unit and default
  std::uint64_t min = 0, max = 0;  // whole numbers only
  Text text = Text::plain;
  Change change = Change::reload;
  Above above = Above::refused;
  std::string_view bare = {};  // the value of the flag without a value; empty: it needs one

  bool is_switch() const { return std::holds_alternative<bool Config::*>(member); }
  bool switches_off() const { return is_switch() && flags.starts_with("--no-"); }  // and --no-x=false switches on
  bool is_list() const { return member.index() >= 13; }                            // may be given several times
  bool is_map() const { return std::holds_alternative<Options Config::*>(member); }
};

std::span<const Setting> settings();
const Setting* find_setting(std::string_view name);
// The long flag that --help and the manual use: "--workers".
std::string_view long_flag(const Setting& setting);
// "-w,--workers" as its names.
std::vector<std::string_view> split_flags(std::string_view flags);

}  // namespace narwhal::server
