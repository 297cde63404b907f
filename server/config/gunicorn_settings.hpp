// Gunicorn's settings that are not settings of narwhal, and what a value of them means here: the same whether it is
// written as a flag, in narwhal.yaml or in a gunicorn.conf.py.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace narwhal::server {

struct GunicornSetting {
  enum class Takes { value, nothing };  // what its flag takes
  // What a value is that would change something.
  enum class Other {
    moot,     // no value changes anything here
    ignored,  // the server starts without it, and the log names it
    later,    // like `ignored`, but a later version may have it
    refused,  // the server does not start: what it would serve is not what was asked for
    missing,  // like `refused`, but a later version may have it
    hook,     // a function: gunicorn_file.cpp decides
  };
  std::string_view name;
  std::string_view flags;  // separated by commas, may be empty
  Takes takes;
  Other other;
  std::string_view reason;         // why, or what to use instead; may be empty for `later` and `missing`
  std::string_view harmless = {};  // values that change nothing, separated by blanks; so do those that mean "no"
};

// What becomes of a value. Both empty: it changes nothing.
struct Judgement {
  std::string fault;   // the server must not start
  std::string notice;  // for the log: it has no effect
};

std::span<const GunicornSetting> gunicorn_settings();
const GunicornSetting* find_gunicorn_setting(std::string_view name);
// `shown`: its name as it was written: "certfile", "--certfile".
Judgement judge(const GunicornSetting& setting, std::string_view shown, std::string_view value);
// True for "", "0", "false", "no", "off", "none" and the like.
bool means_no(std::string_view value);
// True for "y", "1", "yes" and "true": the values of an environment variable that switch something on.
bool means_yes(std::string_view value);

}  // namespace narwhal::server
