#include "server/config/abbreviations.hpp"

#include <algorithm>

#include "server/config/gunicorn_settings.hpp"
#include "server/config/program_flags.hpp"
#include "server/config/settings.hpp"

namespace narwhal::server {
namespace {

void add_flags(std::string_view flags, bool needs_value, std::string_view owner, std::vector<FlagName>& known) {
  for (const std::string_view flag : split_flags(flags)) known.push_back({flag, needs_value, owner});
}

// Those that begin with `name`, one of each setting; only the exact one if there is one.
std::vector<FlagName> candidates(const std::vector<FlagName>& known, std::string_view name) {
  std::vector<FlagName> found;
  for (const FlagName& each : known) {
    if (each.flag == name) return {each};
    const bool is_new = found.empty() || found.back().owner != each.owner;
    if (is_new && each.flag.starts_with("--") && each.flag.starts_with(name)) found.push_back(each);
  }
  return found;
}

std::string ambiguous_text(std::string_view name, const std::vector<FlagName>& found) {
  std::string text = "'" + std::string(name) + "' is ambiguous: it may be ";
  for (std::size_t at = 0; at < found.size(); ++at) {
    if (at > 0) text += at + 1 == found.size() ? " or " : ", ";
    text += found[at].flag;
  }
  return text;
}

}  // namespace

std::vector<FlagName> known_flags() {
  std::vector<FlagName> known;
  for (const ProgramFlag& flag : program_flags) add_flags(flag.flags, !flag.metavar.empty(), flag.flags, known);
  for (const Setting& setting : settings())
    add_flags(setting.flags, !setting.is_switch() && setting.bare.empty(), setting.name, known);
  for (const GunicornSetting& setting : gunicorn_settings())
    add_flags(setting.flags, setting.takes == GunicornSetting::Takes::value, setting.name, known);
  return known;
}

std::vector<std::string> expand_abbreviations(std::vector<std::string> words, std::vector<std::string>& ambiguous) {
  const std::vector<FlagName> known = known_flags();
  for (std::size_t at = 0; at < words.size() && words[at] != "--"; ++at) {
    std::string& word = words[at];
    if (!word.starts_with("-")) continue;
    const std::size_t equals = std::min(word.find('='), word.size());
    const std::string name = word.substr(0, equals);
    const std::vector<FlagName> found = candidates(known, name);
    if (found.size() > 1 && name.starts_with("--")) ambiguous.push_back(ambiguous_text(name, found));
    if (found.size() != 1) continue;
    const bool is_alone = equals == word.size();
    word = std::string(found[0].flag) + word.substr(equals);
    if (is_alone && found[0].needs_value) ++at;  // its value
  }
  return words;
}

}  // namespace narwhal::server
