// narwhal-plugin: makes, builds, runs, tests and examines plugins. man/narwhal-plugin.1 is its manual.
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <string>

#include "tools/call.hpp"
#include "tools/flags.hpp"
#include "tools/inspect.hpp"
#include "tools/places.hpp"
#include "tools/project.hpp"
#include "tools/run_project.hpp"

namespace {

namespace tools = narwhal::tools;
using narwhal::Error;
using narwhal::Result;

constexpr int failed = 1, wrong_usage = 64;

struct Arguments {
  std::string folder, path, file, request = "GET /", data;
  tools::Words rest, headers, options;
  unsigned limit = 30;
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

Result<tools::Pairs> pairs_of(const tools::Words& texts,
                              Result<std::pair<std::string, std::string>> (*read)(const std::string&)) {
  tools::Pairs pairs;
  for (const std::string& text : texts) {
    const Result<std::pair<std::string, std::string>> pair = read(text);
    if (!pair) return Error{pair.error()};
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

Result<int> send_call(Arguments& given) {
  tools::Call& call = given.call;
  const Result<narwhal::Done> line = tools::read_request_line(given.request, call);
  if (!line) return Error{line.error()};
  Result<std::string> body = data_of(given.data);
  if (!body) return Error{body.error()};
  Result<tools::Pairs> headers = pairs_of(given.headers, tools::read_header),
                       options = pairs_of(given.options, tools::read_option);
  for (const Result<tools::Pairs>* pairs : {&headers, &options}) {
    if (!*pairs) return Error{pairs->error()};
  }
  call.body = *std::move(body);
  call.headers = *std::move(headers);
  call.options = *std::move(options);
  call.timeout = std::chrono::seconds(given.limit);
  return with_plugin(given, [&](const std::string& file) {
    call.file = file;
    return tools::run_call(call);
  });
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
    action = [&]() -> Result<int> {
      const Result<tools::Pairs> options = pairs_of(given.options, tools::read_option);
      if (!options) return Error{options.error()};
      return with_places([&](const auto& places) {
        return with_plugin(given, [&](const auto& file) { return tools::check_plugin(places, file, *options); });
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
      ->expected(0, 2);
  call->add_option("-d,--data", given.data, "The body; @FILE, or @- for standard input");
  call->add_option("-H,--header", given.headers, "A header field: 'Name: value'")->allow_extra_args(false);
  call->add_option("-o,--option", given.options, "An option of the plugin: key=value")->allow_extra_args(false);
  call->add_option("--prefix", given.call.prefix, "Where the plugin is mounted; default: the root");
  call->add_option("-t,--timeout", given.limit, "Seconds for the answer")->check(CLI::Range(1, 86400));
  call->add_flag("-i,--include", given.call.shows_head, "Print status and header fields too");
  call->callback([&] {
    tools::Words& words = given.rest;
    if (words.size() == 2 || (words.size() == 1 && words[0].ends_with(".so"))) {
      given.file = words.front();
      words.erase(words.begin());
    }
    if (!words.empty()) given.request = words.front();
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

int run(int argc, char** argv) {
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
    return app.exit(error) == 0 ? 0 : wrong_usage;
  }
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
