// narwhal-plugin: makes, builds, runs, tests and examines plugins. man/narwhal-plugin.1 is its manual.
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/joined.hpp"
#include "core/nearest_name.hpp"
#include "tools/call.hpp"
#include "tools/flags.hpp"
#include "tools/inspect.hpp"
#include "tools/places.hpp"
#include "tools/plugin_file.hpp"
#include "tools/plugin_options.hpp"
#include "tools/project.hpp"
#include "tools/run_project.hpp"

namespace {

namespace tools = narwhal::tools;
using narwhal::Error;
using narwhal::Result;

constexpr int failed = 1, wrong_usage = 64;
constexpr unsigned limit_default = 30, limit_max = 86400;  // seconds

struct Arguments {
  std::string folder, path, file, request = "GET /", data;
  tools::Words rest, headers, options;
  tools::Pairs option_pairs;
  unsigned limit = 0;  // seconds; 0: the default
  bool is_c = false, is_cpp = false, is_rust = false, as_json = false, for_test = false;
  tools::Call call;

  tools::Language language() const {
    return is_rust ? tools::Language::rust : is_c ? tools::Language::c : tools::Language::cpp;
  }
};

using Action = std::function<Result<int>()>;

template <class Do>
Result<int> with_places(Do act) {
  const Result<tools::Places> places = tools::find_places();
  if (!places) return Error{places.error()};
  return act(*places);
}

template <class Do>
Result<int> with_plugin(const Arguments& given, Do act) {
  if (!given.file.empty()) return act(given.file);
  const Result<std::string> built = tools::built_plugin();
  if (!built) return Error{built.error()};
  return act(*built);
}

// Throws CLI::ValidationError, which is wrong usage.
tools::Pairs pairs_of(const tools::Words& texts,
                      Result<std::pair<std::string, std::string>> (*read)(const std::string&)) {
  tools::Pairs pairs;
  for (const std::string& text : texts) {
    const Result<std::pair<std::string, std::string>> pair = read(text);
    if (!pair) throw CLI::ValidationError(pair.error());
    pairs.push_back(*pair);
  }
  return pairs;
}

// "@file", "@-" for standard input, or the text itself.
Result<std::string> data_of(const std::string& text) {
  if (!text.starts_with('@')) return text;
  const std::string path = text == "@-" ? "/dev/stdin" : text.substr(1);
  std::ifstream file(path, std::ios::binary);
  if (!file) return narwhal::errno_error("read " + path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Result<int> new_project(const Arguments& given) {
  const Result<narwhal::Done> made = tools::make_project(given.path, given.language());
  if (!made) return Error{made.error()};
  std::printf("%s is made. Next: cd %s && narwhal-plugin run\n", given.path.c_str(), given.path.c_str());
  return 0;
}

// With the options that the server would give it.
Result<int> call_plugin(const std::string& file, const tools::Pairs& options, tools::Call& call) {
  const Result<tools::DeclaredPlugin> plugin = tools::read_plugin_file(file);
  if (!plugin) return Error{plugin.error()};
  return with_places([&](const tools::Places& places) -> Result<int> {
    Result<tools::Pairs> all = tools::options_of_settings(places, options);
    if (!all) return Error{all.error()};
    const Result<narwhal::Done> complete = tools::check_names(*plugin, file, *all);
    if (!complete) return Error{complete.error()};
    call.file = file;
    call.options = *std::move(all);
    return tools::run_call(call);
  });
}

Result<int> send_call(Arguments& given) {
  tools::Call& call = given.call;
  Result<std::string> body = data_of(given.data);
  if (!body) return Error{body.error()};
  call.body = *std::move(body);
  // Whoever steps through the plugin takes longer than any answer.
  const unsigned limit = call.in_process ? limit_max : limit_default;
  call.timeout = std::chrono::seconds(given.limit != 0 ? given.limit : limit);
  return with_plugin(given, [&](const std::string& file) { return call_plugin(file, given.option_pairs, call); });
}

void add_language(CLI::App& command, Arguments& given) {
  CLI::Option* const c = command.add_flag("--c", given.is_c, "In C");
  CLI::Option* const rust = command.add_flag("--rust", given.is_rust, "In Rust")->excludes(c);
  command.add_flag("--cpp", given.is_cpp, "In C++ (the default)")->excludes(c)->excludes(rust);
}

void add_project_commands(CLI::App& app, Arguments& given, Action& action) {
  CLI::App* const make = app.add_subcommand("new", "Make a folder with a plugin, its test and a Makefile");
  make->add_option("NAME", given.path, "The folder; its last part is the plugin's name")->required();
  add_language(*make, given);
  make->callback([&] { action = [&] { return new_project(given); }; });

  const auto add = [&](const char* name, const char* help) {
    CLI::App* const command = app.add_subcommand(name, help);
    command->prefix_command();
    return command;
  };
  CLI::App* const build = add("build", "Build the plugin of the current folder: make");
  build->callback([&, build] {
    action = [&, build] {
      return with_places([&](const auto& places) { return tools::build_project(places, build->remaining()); });
    };
  });
  CLI::App* const test = add("test", "Build and run its tests: make test");
  test->callback([&, test] {
    action = [&, test] {
      tools::Words words = test->remaining();
      words.insert(words.begin(), "test");
      return with_places([&](const auto& places) { return tools::build_project(places, words); });
    };
  });
  CLI::App* const run =
      add("run", "Build it, serve it, and build and reload it when a source changes; FLAGS are narwhal's");
  run->callback([&, run] {
    action = [&, run] {
      return with_places([&](const auto& places) { return tools::run_project(places, run->remaining()); });
    };
  });
}

void add_plugin_commands(CLI::App& app, Arguments& given, Action& action) {
  constexpr const char* file_help = "The plugin's file; default: the one in build/";
  CLI::App* const check =
      app.add_subcommand("check", "Show what a plugin's file says of itself, then boot a worker with it");
  check->add_option("FILE", given.file, file_help);
  check->add_option("-o,--option", given.options, "An option of the plugin: key=value")->allow_extra_args(false);
  check->callback([&] {
    given.option_pairs = pairs_of(given.options, tools::read_option);
    action = [&] {
      return with_places([&](const auto& places) {
        return with_plugin(given,
                           [&](const auto& file) { return tools::check_plugin(places, file, given.option_pairs); });
      });
    };
  });

  CLI::App* const inspect = app.add_subcommand("inspect", "Show a plugin's options, without loading it");
  inspect->add_option("FILE", given.file, file_help);
  inspect->add_flag("--json", given.as_json, "Write all that the file says of itself, in JSON");
  inspect->callback([&] {
    action = [&] {
      return with_plugin(given, [&](const auto& file) { return tools::inspect_plugin(file, given.as_json); });
    };
  });

  CLI::App* const call = app.add_subcommand("call", "Send a plugin one request, without a server");
  call->add_option("WORDS", given.rest,
                   "[FILE] [REQUEST]: the plugin's file; 'POST /orders', or a target alone for a GET")
      ->expected(0, 3);
  call->add_option("-d,--data", given.data, "The body; @FILE, or @- for standard input");
  call->add_option("-H,--header", given.headers, "A header field: 'Name: value'")->allow_extra_args(false);
  call->add_option("-o,--option", given.options, "An option of the plugin: key=value")->allow_extra_args(false);
  call->add_option("--prefix", given.call.prefix, "Where the plugin is mounted; default: the root");
  call->add_option("-t,--timeout", given.limit, "Seconds for the answer")->check(CLI::Range(1U, limit_max));
  call->add_flag("--debug", given.call.in_process, "Run the plugin in this process, for a debugger");
  call->add_flag("-i,--include", given.call.shows_head, "Print status and header fields too");
  call->callback([&] {
    tools::Words& words = given.rest;
    // METHOD and target as two words.
    const auto is_method = [](const std::string& word) {
      return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    };
    if (words.size() > 1 && is_method(words[words.size() - 2]) && words.back().starts_with('/')) {
      words[words.size() - 2] += " " + words.back();
      words.pop_back();
    }
    if (words.size() > 2) throw CLI::ArgumentMismatch("'" + words[2] + "' is one word too many");
    if (words.size() == 2 || (words.size() == 1 && words[0].ends_with(".so"))) {
      given.file = words.front();
      words.erase(words.begin());
    }
    if (!words.empty()) given.request = words.front();
    const Result<narwhal::Done> line = tools::read_request_line(given.request, given.call);
    if (!line) throw CLI::ValidationError(line.error());
    given.call.headers = pairs_of(given.headers, tools::read_header);
    given.option_pairs = pairs_of(given.options, tools::read_option);
    action = [&] { return send_call(given); };
  });

  CLI::App* const flags = app.add_subcommand("flags", "Print the compiler's flags for a plugin");
  add_language(*flags, given);
  flags->add_flag("--test", given.for_test, "The linker's flags for its test instead");
  flags->callback([&] {
    action = [&] {
      return with_places([&](const auto& places) -> Result<int> {
        const Result<std::string> text = given.for_test ? tools::test_link_flags(places, given.language())
                                                        : tools::compile_flags(places, given.language());
        if (!text) return Error{text.error()};
        std::printf("%s\n", text->c_str());
        return 0;
      });
    };
  });
}

// The place of the command among the words of the command line; their number: there is none.
std::size_t command_at(const tools::Words& words) {
  std::size_t at = 1;
  while (at < words.size() && words[at].starts_with('-')) at += words[at] == "-C" || words[at] == "--directory" ? 2 : 1;
  return std::min(at, words.size());
}

std::vector<std::string_view> commands_of(const CLI::App& app) {
  std::vector<std::string_view> names;
  for (const CLI::App* each : app.get_subcommands([](const CLI::App*) { return true; }))
    names.emplace_back(each->get_name());
  return names;
}

bool has_command(const CLI::App& app, const std::string& word) {
  const std::vector<std::string_view> names = commands_of(app);
  return std::find(names.begin(), names.end(), word) != names.end();
}

std::string unknown_command_text(const CLI::App& app, const std::string& word) {
  const std::vector<std::string_view> names = commands_of(app);
  const std::string_view near = narwhal::nearest_name(word, names);
  const std::string hint =
      near.empty() ? "the commands are " + narwhal::joined(names, ", ") : "did you mean '" + std::string(near) + "'?";
  return "unknown command '" + word + "': " + hint;
}

std::string usage_text(const std::string& reason, const std::string& command) {
  const std::string page = command.empty() ? "narwhal-plugin --help" : "narwhal-plugin " + command + " --help";
  return reason + " (see '" + page + "')";
}

// `call` again, in one process. What came by standard input is in a file then.
std::string repeated(tools::Words words, const std::string& data) {
  if (const std::size_t at = command_at(words); at < words.size())
    words.insert(words.begin() + static_cast<std::ptrdiff_t>(at) + 1, "--debug");
  if (data == "@-") {
    for (std::string& word : words) {
      if (word.ends_with("@-")) word.replace(word.size() - 1, 1, "BODY");
    }
  }
  return narwhal::joined(words, " ", tools::shell_word);
}

int run(int argc, char** argv) {
  const tools::Words words(argv, argv + argc);
  Arguments given;
  Action action;
  CLI::App app("Makes, builds, runs, tests and examines plugins of the application server narwhal.", "narwhal-plugin");
  app.set_version_flag("--version", "narwhal-plugin " NARWHAL_VERSION);
  app.add_option("-C,--directory", given.folder, "Work in this folder");
  app.require_subcommand(1);
  app.footer("Exit code: 0 done, 1 failed, 64 wrong usage; of run the server's, of build and test that of make.");
  add_project_commands(app, given, action);
  add_plugin_commands(app, given, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const std::string word = command_at(words) < words.size() ? words[command_at(words)] : "";
    const auto* const help = dynamic_cast<const CLI::Success*>(&error);
    if (help != nullptr) return app.exit(error);
    const bool is_unknown = !word.empty() && !has_command(app, word);
    const std::string text = is_unknown ? unknown_command_text(app, word) : usage_text(error.what(), word);
    std::fprintf(stderr, "narwhal-plugin: %s\n", text.c_str());
    return wrong_usage;
  }
  given.call.repeat = repeated(words, given.data);
  if (!given.folder.empty() && ::chdir(given.folder.c_str()) != 0) {
    std::fprintf(stderr, "narwhal-plugin: %s\n", narwhal::errno_error("go to " + given.folder).message.c_str());
    return failed;
  }
  const Result<int> status = action();
  if (status) return *status;
  std::fprintf(stderr, "narwhal-plugin: %s\n", status.error().c_str());
  return failed;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "narwhal-plugin: %s\n", error.what());
    return failed;
  }
}
