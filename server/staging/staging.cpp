#include "server/staging/staging.hpp"

#include <nettle/sha2.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "server/staging/plugin_files.hpp"

namespace narwhal::server {
namespace {

std::string sha256(std::string_view bytes) {
  sha256_ctx context;
  sha256_init(&context);
  sha256_update(&context, bytes.size(), reinterpret_cast<const std::uint8_t*>(bytes.data()));
  std::array<std::uint8_t, SHA256_DIGEST_SIZE> digest{};
  sha256_digest(&context, digest.size(), digest.data());
  std::string text;
  for (const std::uint8_t byte : digest) {
    constexpr char digits[] = "0123456789abcdef";
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

// Absolute, and without symbolic links in its folder. The file's own name is kept, because $ORIGIN is where the plugin
// was found, not where a link points.
Result<std::string> real_path(const std::string& source) {
  namespace fs = std::filesystem;
  std::error_code failure;
  const fs::path absolute = fs::absolute(source, failure);
  if (failure) return Error{"find: " + failure.message()};
  const fs::path folder = fs::canonical(absolute.parent_path(), failure);
  if (failure) return Error{"find: " + absolute.parent_path().string() + ": " + failure.message()};
  return (folder / absolute.filename()).string();
}

std::string digest_of(const std::vector<PluginFile>& files) {
  if (files.size() == 1) return sha256(files[0].bytes);
  std::string list;  // with the paths: the same libraries at other places are another tree
  for (const PluginFile& file : files) list += sha256(file.bytes) + "  " + file.path + "\n";
  return sha256(list);
}

// The plugin's own copy is written last, so that it exists only when everything it needs does.
Result<std::string> place(const std::vector<PluginFile>& files, const std::string& digest, StageArea& area) {
  for (std::size_t i = files.size(); i-- > 1;) {
    for (const std::string& folder : files[i].passed) {
      if (auto made = area.put_folder(digest, folder); !made) return made;
    }
    if (auto copy = area.put(digest, files[i].path, files[i].bytes); !copy) return copy;
  }
  return area.put(digest, files[0].path, files[0].bytes);
}

Result<StagedPlugin> stage(const std::string& source, Kind kind, StageArea& area) {
  const auto fault = [&source](const std::string& reason) {
    const bool names_it = reason.starts_with(source + ": ");
    return Error{"stage " + (names_it ? reason : source + ": " + reason)};
  };
  const auto path = real_path(source);
  if (!path) return fault(path.error());
  const auto files = read_plugin_files(*path, kind);
  if (!files) return fault(files.error());
  const std::string digest = digest_of(*files);
  auto copy = place(*files, digest, area);
  if (!copy) return fault(copy.error());
  return StagedPlugin{source, *std::move(copy), digest};
}

}  // namespace

Result<StagedPlugin> stage_plugin(const std::string& source, StageArea& area) {
  return stage(source, Kind::plugin, area);
}

Result<StagedPlugin> stage_library(const std::string& source, StageArea& area) {
  return stage(source, Kind::library, area);
}

}  // namespace narwhal::server
