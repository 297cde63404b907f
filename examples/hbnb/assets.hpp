// The files of sql/, templates/ and static/, in the plugin itself: a deployment is one file. meson/embed_files.py writes
// the source.
// Ownership  constants.
#pragma once

#include <span>
#include <string_view>

namespace hbnb {

struct Asset {
  std::string_view name;  // "static/hbnb.css"
  std::string_view bytes;
  std::string_view digest;  // 16 hexadecimal digits, other ones for other bytes
};

std::span<const Asset> assets() noexcept;
std::string_view assets_digest() noexcept;  // of all together

// Null: there is none of this name.
inline const Asset* find_asset(std::string_view name) noexcept {
  for (const Asset& asset : assets()) {
    if (asset.name == name) return &asset;
  }
  return nullptr;
}

}  // namespace hbnb
