#include "server/config/command_line.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <utility>

#include "server/config/abbreviations.hpp"
#include "server/config/gunicorn_settings.hpp"
#include "server/config/known_names.hpp"
#include "server/config/setting_values.hpp"

namespace narwhal::server {
namespace {

struct ModeFlag {
  Mode mode;
  const char* flags;
};
// If several are given, the first in this list wins.
constexpr ModeFlag mode_flags[] = {
    {Mode::help, "-h,--help"},       {Mode::version, "-v,--version"}, {Mode::print, "--print-config"},
    {Mode::check, "--check-config"}, {Mode::debug, "--debug"},
};

// An option that takes one text each time it is given, any number of times.
CLI::Option* add_valued(CLI::App& app, const std::string& flags) {
  return app.add_option(flags)
      ->type_size(1)
      ->expected(1, CLI::detail::expected_max_vector_size)
      ->allow_extra_args(false);
}

// "--name=" becomes "--name" and "": CLI11 would take the next word as its value.
std::vector<std::string> part_empty_values(std::vector<std::string> words) {
  std::vector<std::string> result;
  bool words_only = false;
  for (std::string& word : words) {
    words_only = words_only || word == "--";
    const bool empty_value = !words_only && word.starts_with("--") && word.find('=') + 1 == word.size();
    if (empty_value) word.pop_back();
    result.push_back(std::move(word));
    if (empty_value) result.emplace_back();
  }
  return result;
}

// "--proxy-protocol" becomes "--proxy-protocol auto", unless the next word is a valid value: an APP is not.
std::vector<std::string> fill_bare_flags(std::vector<std::string> words) {
  for (const Setting& setting : settings()) {
    if (setting.bare.empty()) continue;
    const auto end = std::find(words.begin(), words.end(), "--");
    const auto flag = std::find(words.begin(), end, long_flag(setting));
    if (flag == end) continue;
    Config unused;
    const bool has_value = flag + 1 != end && !set_value(setting, flag[1], unused);
    if (!has_value) words.emplace(flag + 1, setting.bare);
  }
  return words;
}

std::vector<std::string> long_flags(std::string_view flags) {
  std::vector<std::string> result;
  for (const std::string_view flag : split_flags(flags)) {
    if (flag.starts_with("--")) result.emplace_back(flag);
  }
  return result;
}

bool names_switch(const std::string& flag) {
  return std::any_of(settings().begin(), settings().end(), [&](const Setting& setting) {
    const std::vector<std::string> flags = long_flags(setting.flags);
    return setting.is_switch() && std::find(flags.begin(), flags.end(), flag) != flags.end();
  });
}

bool names_mode(const std::string& flag) {
  return std::any_of(std::begin(mode_flags), std::end(mode_flags),
                     [&](const ModeFlag& mode) { return long_flags(mode.flags).front() == flag; });
}

// What is wrong with "--check-config=x" or "--reload=": CLI11 would ignore the first value, and take the second for APP.
std::string needless_value_text(const std::string& word) {
  const std::size_t equals = word.find('=');
  const std::string flag = word.substr(0, equals);
  if (equals == std::string::npos) return "";
  if (names_mode(flag)) return flag + ": does not take a value, but got '" + word.substr(equals + 1) + "'";
  const bool is_empty = equals + 1 == word.size();
  return is_empty && names_switch(flag) ? flag + ": the value is empty: leave out the '=', or give true or false" : "";
}

// CLI11's own text is "--workers: 1 required  missing".
std::string missing_value_text(const std::string& theirs) {
  return theirs.substr(0, theirs.find(':')) + ": needs a value";
}

class Parser {
 public:
  explicit Parser(const std::string& source) : source_(source), where_(source == "command line" ? "" : source + ": ") {
    app_.set_help_flag();
    app_.allow_extras();
    for (const ModeFlag& flag : mode_flags) modes_.emplace_back(flag.mode, app_.add_flag(flag.flags));
    config_ = add_valued(app_, "-c,--config");
    plugin_options_ = add_valued(app_, "--option");
    for (const Setting& setting : settings()) {
      const std::string flags = (setting.switches_off() ? "!" : "") + std::string(setting.flags);
      CLI::Option* option = setting.is_switch() ? app_.add_flag(flags) : add_valued(app_, flags);
      options_.emplace_back(&setting, option);
    }
    for (const GunicornSetting& setting : gunicorn_settings()) {
      if (setting.flags.empty()) continue;
      const std::string flags(setting.flags);
      const bool is_switch = setting.takes == GunicornSetting::Takes::nothing;
      foreign_.emplace_back(&setting, is_switch ? app_.add_flag(flags) : add_valued(app_, flags));
    }
  }

  CommandLine parse(std::vector<std::string> words) {
    std::vector<std::string> ambiguous;
    words = expand_abbreviations(std::move(words), ambiguous);
    for (const std::string& text : ambiguous) fault(text);
    for (const std::string& word : words) {
      if (word == "--") break;
      const std::string text = needless_value_text(word);
      if (!text.empty()) fault(text);
    }
    if (!line_.layer.faults.empty()) return std::move(line_);
    words = part_empty_values(fill_bare_flags(std::move(words)));
    std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
    try {
      app_.parse(std::move(words));
    } catch (const CLI::ArgumentMismatch& fault) {
      this->fault(missing_value_text(fault.what()));
      return std::move(line_);
    } catch (const CLI::ParseError& fault) {
      this->fault(fault.what());
      return std::move(line_);
    }
    take_flags();
    take_words();
    return std::move(line_);
  }

 private:
  void take_flags() {
    for (const auto& [mode, option] : modes_) {
      if (option->count() > 0 && !line_.mode) line_.mode = mode;
    }
    if (config_->count() > 0) line_.config = config_->results().back();
    for (const std::string& text : plugin_options_->results()) take_plugin_option(text);
    for (const auto& [setting, option] : options_) {
      if (option->count() == 0) continue;
      Assignment assignment{setting, {}, source_};
      const std::string where = where_ + std::string(long_flag(*setting));
      for (const std::string& text : option->results()) assignment.values.push_back({text, where});
      if (!setting->is_list()) assignment.values.erase(assignment.values.begin(), assignment.values.end() - 1);
      line_.layer.assignments.push_back(std::move(assignment));
    }
    for (const auto& [setting, option] : foreign_) {
      if (option->count() == 0) continue;
      const std::string flag = long_flags(setting->flags).front();
      const Judgement judged = judge(*setting, flag, option->results().back());
      if (!judged.fault.empty()) fault(judged.fault);
      if (!judged.notice.empty()) line_.layer.notices.push_back(where_ + judged.notice);
    }
  }

  void take_plugin_option(const std::string& text) {
    const std::size_t equals = text.find('=');
    if (equals == text.npos || equals == 0) return fault("--option: '" + text + "' is not KEY=VALUE");
    line_.layer.single_options.emplace_back(text.substr(0, equals),
                                            Located{text.substr(equals + 1), where_ + "--option"});
  }

  // What CLI11 did not know: words are APP, the rest are unknown flags; after "--" everything is a word.
  void take_words() {
    std::vector<std::string> words;
    bool unknown = false, words_only = false;
    for (const std::string& word : app_.remaining()) {
      const bool is_flag = !words_only && word.size() > 1 && word.front() == '-';
      if (!is_flag) {
        words.push_back(word);
      } else if (word == "--") {
        words_only = true;
      } else {
        unknown = true;
        fault(unknown_flag_text(word.substr(0, word.find('='))));
      }
    }
    // The value of an unknown flag would look like an APP.
    if (!unknown) take_app(words);
  }

  void take_app(const std::vector<std::string>& words) {
    if (words.empty()) return;
    if (words.size() > 1)
      fault("more than one APP: '" + words[1] + "' after '" + words[0] +
            "'; mount several with 'routes' in narwhal.yaml");
    if (words[0].empty()) fault("APP is empty");
    line_.layer.app = Located{words[0], where_ + "APP"};
    line_.layer.origin = source_;
  }

  void fault(const std::string& text) { line_.layer.faults.push_back(where_ + text); }

  const std::string& source_;
  std::string where_;
  CLI::App app_;
  std::vector<std::pair<Mode, CLI::Option*>> modes_;
  std::vector<std::pair<const Setting*, CLI::Option*>> options_;
  std::vector<std::pair<const GunicornSetting*, CLI::Option*>> foreign_;  // of Gunicorn, not ours
  CLI::Option* config_ = nullptr;
  CLI::Option* plugin_options_ = nullptr;
  CommandLine line_;
};

}  // namespace

CommandLine parse_command_line(std::vector<std::string> words, const std::string& source) {
  return Parser(source).parse(std::move(words));
}

}  // namespace narwhal::server
