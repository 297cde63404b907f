// What a plugin's file says of itself, without loading it.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>

#include "core/plugin_text.hpp"
#include "tests/support/folder.hpp"
#include "tools/elf_image.hpp"
#include "tools/plugin_file.hpp"

using namespace narwhal;
using namespace narwhal::tools;

namespace {

// tests/unit_tools lies beside the plugins.
std::string built(const std::string& path) {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / path;
}
std::string test_plugin(const std::string& name) { return built("tests/plugins/" + name + ".so"); }

std::string fault(const std::string& path) {
  const Result<DeclaredPlugin> plugin = read_plugin_file(path);
  REQUIRE_FALSE(plugin);
  CHECK(plugin.error().starts_with(path + ": "));
  return plugin.error().substr(path.size() + 2);
}

}  // namespace

TEST_CASE("plugin file: name, version, flags, hooks and options are read as the plugin gives them, in C and C++") {
  const DeclaredPlugin in_c = or_throw(read_plugin_file(test_plugin("two_mounts")));
  CHECK(in_c.name == "test");
  CHECK(in_c.flags == 0);
  CHECK(in_c.hooks == std::vector<std::string>{"worker_init", "handle", "worker_exit"});
  REQUIRE(in_c.options.size() == 4);
  CHECK(in_c.options[0].key == "say");
  CHECK(in_c.options[0].type == "string");
  CHECK(in_c.options[0].fallback == "hello");
  CHECK(in_c.options[0].help == "what to say");
  CHECK_FALSE(in_c.options[0].required);
  CHECK_FALSE(in_c.options[2].fallback);

  const DeclaredPlugin notes = or_throw(read_plugin_file(built("examples/notes.so")));
  CHECK(notes.name == "notes");
  REQUIRE(notes.options.size() == 1);
  CHECK(notes.options[0].key == "folder");
  CHECK(std::find(notes.hooks.begin(), notes.hooks.end(), "drain") != notes.hooks.end());
}

TEST_CASE("plugin file: none of its code runs, and its libraries need not be there") {
  CHECK(or_throw(read_plugin_file(test_plugin("constructor_hangs"))).name == "test");
  CHECK(or_throw(read_plugin_file(test_plugin("undefined_symbol"))).name == "test");
}

TEST_CASE("plugin file: what is not a plugin is refused with the reason") {
  const Folder folder;
  CHECK(fault(folder.path("none.so")) == "there is no such file");
  folder.write("text.so", "hello");
  CHECK(fault(folder.path("text.so")) == "it is not a shared object");
  CHECK(fault("/proc/self/exe").find("no symbol narwhal_plugin_v1") == 0);
  folder.write("empty.so", "");
  CHECK(fault(folder.path("empty.so")) == "the file is empty");
  const std::string whole = read_all(test_plugin("two_mounts"));
  for (const std::size_t size : {std::size_t{64}, whole.size() / 2, whole.size() - 1}) {
    folder.write("cut.so", whole.substr(0, size));
    CHECK(fault(folder.path("cut.so")) == "truncated: " + std::to_string(whole.size()) + " bytes by its headers, " +
                                              std::to_string(size) + " in the file: build or copy it again");
  }
  const std::string said = fault(test_plugin("no_symbol"));
  CHECK(said == no_plugin_text);
  for (const char* way : {"NARWHAL_EXPORT", "-fvisibility=hidden", "NARWHAL_APP"})
    CHECK(said.find(way) != std::string::npos);
  CHECK(fault(test_plugin("wrong_major"))
            .find("a plugin for version 2 of the plugin ABI (narwhal_plugin_v2), but this narwhal has version 1") == 0);
}

TEST_CASE("plugin file: damaged and short files are refused, or read without harm") {
  const Folder folder;
  const std::string whole = read_all(test_plugin("two_mounts"));
  const std::string path = folder.path("damaged.so");
  std::mt19937 random(7);
  for (int round = 0; round < 400; ++round) {
    std::string damaged = whole;
    if (round % 2 == 0) damaged.resize(random() % whole.size());
    for (int byte = 0; byte < 20 && !damaged.empty(); ++byte)
      damaged[random() % damaged.size()] = static_cast<char>(random());
    folder.write("damaged.so", damaged);
    static_cast<void>(read_plugin_file(path));
  }
  // Every header field in turn at its highest value.
  for (std::size_t at = 0; at + 8 <= 64; ++at) {
    std::string damaged = whole;
    damaged.replace(at, 8, 8, '\xff');
    folder.write("damaged.so", damaged);
    static_cast<void>(read_plugin_file(path));
  }
}
