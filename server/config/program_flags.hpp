// The flags that are not settings.
#pragma once

#include <string_view>

namespace narwhal::server {

struct ProgramFlag {
  std::string_view flags;    // "-c,--config"
  std::string_view metavar;  // empty: it takes no value
  std::string_view help;
};

inline constexpr ProgramFlag program_flags[] = {
    {"-c,--config", "FILE", "settings file [./narwhal.yaml, ./gunicorn.conf.py]"},
    {"--option", "KEY=VALUE", "an option of APP, in place of the file's; repeatable"},
    {"--check-config", "", "load settings and plugins, report mistakes and exit"},
    {"--print-config", "", "print all settings and their sources, check and exit"},
    {"--debug", "", "serve in one process, for gdb, valgrind and sanitizers"},
    {"-v,--version", "", "print the version and exit"},
    {"-h,--help", "", "print this help and exit"},
};

}  // namespace narwhal::server
