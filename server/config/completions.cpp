#include "server/config/completions.hpp"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "server/config/program_flags.hpp"
#include "server/config/setting_values.hpp"
#include "server/config/settings.hpp"

namespace narwhal::server {
namespace {

// What a shell needs to know of one flag.
struct Flag {
  std::vector<std::string_view> names;  // "-w", "--workers"
  std::string_view metavar, help;       // no metavar: it takes no value
  std::string words;                    // the values, separated by blanks; empty: free

  bool takes_files() const { return metavar == "FILE"; }
  bool takes_folders() const { return metavar.starts_with("DIR"); }
};

std::vector<Flag> all_flags() {
  std::vector<Flag> flags;
  for (const ProgramFlag& each : program_flags) flags.push_back({split_flags(each.flags), each.metavar, each.help, ""});
  for (const Setting& setting : settings()) {
    flags.push_back({split_flags(setting.flags), setting.metavar, setting.help, value_words(setting)});
  }
  return flags;
}

std::string joined_names(const Flag& flag, const char* separator) {
  return fmt::format("{}", fmt::join(flag.names, separator));
}

// ---- bash ----

std::string bash_values(const Flag& flag) {
  if (!flag.words.empty()) return "_narwhal_offer -W '" + flag.words + "'";
  if (flag.takes_files()) return "_narwhal_offer_files -f";
  if (flag.takes_folders()) return "_narwhal_offer_files -d";
  return ":";  // nothing to offer
}

constexpr const char* bash_start = R"(# bash completion for narwhal(1), made from its table of settings
_narwhal_offer() { mapfile -t COMPREPLY < <(compgen "$@" -- "$cur"); }
_narwhal_offer_files() {
  compopt -o filenames 2>/dev/null
  _narwhal_offer "$@"
}
_narwhal() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  # bash cuts --flag=value at the equals sign.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $prev in
)";

std::string bash_text() {
  std::string text = bash_start, words;
  for (const Flag& flag : all_flags()) {
    words += (words.empty() ? "" : " ") + joined_names(flag, " ");
    if (!flag.metavar.empty() && !flag.metavar.starts_with('['))
      text += fmt::format("    {}) {}; return ;;\n", joined_names(flag, " | "), bash_values(flag));
  }
  text += "  esac\n  if [[ $cur == -* ]]; then\n    _narwhal_offer -W '" + words + "'\n  else\n";
  return text + "    _narwhal_offer_files -f\n  fi\n}\ncomplete -F _narwhal narwhal\n";
}

// ---- zsh ----

std::string escaped(std::string_view text, std::string_view special) {
  std::string result;
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
      continue;
    }
    if (special.find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

std::string zsh_values(const Flag& flag) {
  if (flag.metavar.empty()) return "";
  const std::string start = (flag.metavar.starts_with('[') ? "::" : ":") + escaped(flag.metavar, "[]:") + ":";
  if (!flag.words.empty()) return start + "(" + flag.words + ")";
  if (flag.takes_files()) return start + "_files";
  return flag.takes_folders() ? start + "_files -/" : start;
}

std::string zsh_text() {
  std::string text = "#compdef narwhal\n# Made from narwhal's table of settings.\n_arguments -s \\\n";
  for (const Flag& flag : all_flags()) {
    const std::string about = "[" + escaped(flag.help, "[]:") + "]" + zsh_values(flag);
    for (const std::string_view name : flag.names) {
      const std::string_view equals = name.starts_with("--") && !flag.metavar.empty() ? "=" : "";
      text += fmt::format("  '*{}{}{}' \\\n", name, equals, about);
    }
  }
  return text + "  '1:application:_files'\n";
}

// ---- fish ----

std::string fish_values(const Flag& flag) {
  if (flag.metavar.empty() || flag.metavar.starts_with('[')) return "";
  if (!flag.words.empty()) return " -x -a '" + flag.words + "'";
  if (flag.takes_files()) return " -r -F";
  return flag.takes_folders() ? " -x -a '(__fish_complete_directories)'" : " -x";
}

std::string fish_text() {
  std::string text = "# Completion for narwhal(1), made from its table of settings\n";
  for (const Flag& flag : all_flags()) {
    text += "complete -c narwhal";
    for (const std::string_view name : flag.names)
      text += name.starts_with("--") ? " -l " + std::string(name.substr(2)) : " -s " + std::string(name.substr(1));
    text += fish_values(flag) + " -d '" + escaped(flag.help, "'\\") + "'\n";
  }
  return text;
}

}  // namespace

std::string completion_text(std::string_view shell) {
  if (shell == "bash") return bash_text();
  if (shell == "zsh") return zsh_text();
  if (shell == "fish") return fish_text();
  return "";
}

}  // namespace narwhal::server
