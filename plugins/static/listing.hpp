// The page that shows what is in a folder.
// Ownership  list_folder() takes the descriptor.
// Errors     std::system_error when the folder cannot be read.
// Threads    any.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/static/fd.hpp"

namespace narwhal::static_files {

struct Entry {
  std::string name;
  bool folder = false;
  std::int64_t size = 0;     // bytes
  std::time_t modified = 0;  // seconds since 1970
};

// The page has at most so many names, because it is made in memory.
constexpr std::size_t entries_max = 5000;

// Names in a folder, without "." and "..", sorted by their bytes; at most one more than entries_max.
std::vector<std::string> names_in(Fd folder);

struct Listing {
  std::string path = "";  // of the folder, decoded, for the heading
  std::vector<Entry> entries = {};
  bool has_parent = false;  // with a link to the folder above
  bool has_more = false;    // than the entries
};

// Folders come first.
std::string listing_page(Listing listing);

}  // namespace narwhal::static_files
