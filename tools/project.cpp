#include "tools/project.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <vector>

#include "core/fd.hpp"
#include "core/write_all.hpp"
#include "tools/templates.hpp"

namespace narwhal::tools {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view name_letters = "abcdefghijklmnopqrstuvwxyz0123456789_-";
constexpr std::size_t name_max = 64;

// Of a plugin, a file and a word in a Makefile at once.
Result<Done> check_name(const std::string& name) {
  const bool is_valid = !name.empty() && name.size() <= name_max && name.front() >= 'a' && name.front() <= 'z' &&
                        name.find_first_not_of(name_letters) == name.npos;
  if (is_valid) return Done{};
  return Error{"'" + name +
               "' is not a name for a plugin: a lower-case letter first, then such letters, digits, '_' and '-'"};
}

std::string filled_in(std::string text, const std::vector<std::pair<std::string_view, std::string>>& values) {
  for (const auto& [mark, value] : values) {
    for (std::size_t at = 0; (at = text.find(mark, at)) != text.npos; at += value.size())
      text.replace(at, mark.size(), value);
  }
  return text;
}

Result<Done> write_new(const fs::path& path, const std::string& text) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file || !write_all(file.get(), text)) return errno_error("write " + path.string());
  return Done{};
}

using Files = std::vector<std::pair<std::string, const char*>>;

Files files_of(const std::string& name, Language language) {
  Files files{{"narwhal.yaml", template_settings}, {"README.md", template_readme}, {".gitignore", template_gitignore}};
  const auto add = [&files](std::initializer_list<Files::value_type> more) { files.insert(files.end(), more); };
  switch (language) {
    case Language::cpp:
      add({{name + ".cpp", template_plugin_cpp},
           {name + "_test.cpp", template_test_cpp},
           {"Makefile", template_makefile}});
      break;
    case Language::c:
      add({{name + ".c", template_plugin_c}, {name + "_test.c", template_test_c}, {"Makefile", template_makefile}});
      break;
    case Language::rust:
      add({{name + ".rs", template_plugin_rust},
           {"narwhal.rs", template_narwhal_rust},
           {"Makefile", template_makefile_rust}});
      break;
  }
  return files;
}

// What stands for something else in them.
std::vector<std::pair<std::string_view, std::string>> marks_of(const std::string& name, Language language) {
  const bool is_c = language == Language::c;
  return {{"@name@", name},
          {"@suffix@", is_c                         ? ".c"
                       : language == Language::rust ? ".rs"
                                                    : ".cpp"},
          {"@language@", is_c ? "c" : "cpp"},
          {"@compiler@", is_c ? "CC" : "CXX"},
          {"@options@", is_c ? "CFLAGS" : "CXXFLAGS"}};
}

}  // namespace

Result<Done> make_project(const std::string& path, Language language) {
  const fs::path folder = fs::path(path + "/").lexically_normal().parent_path();
  const std::string name = folder.filename();
  if (Result<Done> checked = check_name(name); !checked) return checked;
  if (::mkdir(folder.c_str(), 0777) != 0) return errno_error("make the folder " + folder.string());

  for (const auto& [file, text] : files_of(name, language)) {
    const Result<Done> written = write_new(folder / file, filled_in(text, marks_of(name, language)));
    if (!written) return written;
  }
  return Done{};
}

Result<Done> find_project() {
  std::error_code ignored;
  if (fs::exists("Makefile", ignored)) return Done{};
  return Error{"there is no Makefile in " + fs::current_path().string() +
               ": 'narwhal-plugin new NAME' makes a project, -C chooses its folder"};
}

Result<std::string> built_plugin() {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator each("build", error), end; !error && each != end; each.increment(error)) {
    if (each->path().extension() == ".so") found.push_back(each->path());
  }
  if (found.size() == 1) return found.front();
  if (found.empty())
    return Error{"there is no build/*.so here: name the plugin's file, or run 'narwhal-plugin build' first"};
  std::sort(found.begin(), found.end());
  return Error{"build/ has " + std::to_string(found.size()) + " plugins: name one, such as " + found.front()};
}

}  // namespace narwhal::tools
