#include "plugins/static/listing.hpp"

#include <dirent.h>
#include <narwhal/html.hpp>
#include <narwhal/text.hpp>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>

namespace narwhal::static_files {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const noexcept { ::closedir(folder); }
};

std::string time_text(std::time_t time) {
  std::tm parts{};
  char text[32];
  if (::gmtime_r(&time, &parts) == nullptr) return "";
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts));
}

// "./" keeps "a:b" from being read as a URL with the scheme "a".
std::string row(const Entry& entry) {
  const std::string slash = entry.folder ? "/" : "";
  return "<tr><td><a href=\"./" + percent_encode(entry.name) + slash + "\">" + html_escape(entry.name) + slash +
         "</a><td>" + (entry.folder ? "" : std::to_string(entry.size)) + "<td>" + time_text(entry.modified) + "\n";
}

}  // namespace

std::vector<std::string> names_in(Fd folder) {
  const std::unique_ptr<DIR, CloseFolder> opened(::fdopendir(folder.get()));
  if (!opened) throw std::system_error(errno, std::generic_category(), "read the folder");
  folder.release();  // it is closed with the DIR
  std::vector<std::string> names;
  while (names.size() <= entries_max) {
    errno = 0;
    const dirent* const entry = ::readdir(opened.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) throw std::system_error(errno, std::generic_category(), "read the folder");
  std::sort(names.begin(), names.end());
  return names;
}

std::string listing_page(Listing listing) {
  std::vector<Entry>& entries = listing.entries;
  std::stable_partition(entries.begin(), entries.end(), [](const Entry& entry) { return entry.folder; });
  const std::string title = html_escape(listing.path);
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>" +
      title +
      "</title>\n<style>\n"
      ":root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; margin: 1rem; }\n"
      "td { padding-right: 2rem; }\ntd:nth-child(2) { text-align: right; }\n</style>\n<h1>" +
      title + "</h1>\n<table>\n<tr><th scope=\"col\">Name<th scope=\"col\">Bytes<th scope=\"col\">Changed (UTC)\n";
  if (listing.has_parent) page += "<tr><td><a href=\"../\">../</a><td><td>\n";
  for (const Entry& entry : entries) page += row(entry);
  page += "</table>\n";
  if (listing.has_more) page += "<p>There is more than is shown here.\n";
  return page;
}

}  // namespace narwhal::static_files
