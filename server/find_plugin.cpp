#include "server/find_plugin.hpp"

#include <filesystem>
#include <optional>

namespace narwhal::server {
namespace {

namespace fs = std::filesystem;

bool is_path(const std::string& source) { return source.find('/') != std::string::npos || source.ends_with(".so"); }

std::optional<fs::path> find_installed(const std::string& name, const std::vector<std::string>& folders) {
  for (const fs::path folder : folders) {
    for (const fs::path& candidate : {folder / (name + ".so"), folder / name / (name + ".so")}) {
      std::error_code absent;
      if (fs::is_regular_file(candidate, absent)) return candidate;
    }
  }
  return std::nullopt;
}

std::string joined(const std::vector<std::string>& folders) {
  std::string text;
  for (const std::string& folder : folders) text += (text.empty() ? "" : ", ") + folder;
  return text;
}

}  // namespace

std::vector<std::string> installed_plugin_folders() {
  std::error_code failure;
  const fs::path executable = fs::read_symlink("/proc/self/exe", failure);
  if (failure) return {};
  const fs::path folder = executable.parent_path();
  return {folder / "plugins", folder / "examples", folder.parent_path() / "lib/narwhal/plugins"};
}

Result<std::string> find_plugin(const std::string& source, const std::vector<std::string>& folders) {
  fs::path file = source;
  if (!is_path(source)) {
    const auto installed = find_installed(source, folders);
    if (!installed) {
      return Error{"find: no plugin of that name is installed in " + joined(folders) +
                   " (a path needs a slash, or ends in .so)"};
    }
    file = *installed;
  }
  std::error_code failure;
  const fs::path absolute = fs::absolute(file, failure);
  if (failure) return Error{"find: " + failure.message()};
  const fs::path folder = fs::canonical(absolute.parent_path(), failure);
  if (failure) return Error{"find: " + absolute.parent_path().string() + ": " + failure.message()};
  return (folder / absolute.filename()).string();
}

}  // namespace narwhal::server
