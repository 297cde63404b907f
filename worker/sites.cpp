#include "worker/sites.hpp"

#include "core/host_names.hpp"
#include "worker/path_match.hpp"

namespace narwhal::worker {

Sites::Sites(std::span<const std::unique_ptr<Mount>> mounts) {
  for (const std::unique_ptr<Mount>& mount : mounts) {
    if (mount->hosts.empty()) others_.push_back(mount.get());
    for (const std::string& host : mount->hosts) {
      Site& site = host.starts_with('*') ? below_[host.substr(1)] : hosts_[host];
      site.push_back(mount.get());
    }
  }
}

const Sites::Site& Sites::site_of(std::string_view host) const noexcept {
  if (const auto found = hosts_.find(host); found != hosts_.end()) return found->second;
  // From the longest end on; a name has something before the dot.
  for (std::size_t dot = host.find('.', 1); dot < host.size() && !below_.empty(); dot = host.find('.', dot + 1)) {
    if (const auto found = below_.find(host.substr(dot)); found != below_.end()) return found->second;
  }
  return others_;
}

Mount* Sites::route(std::string_view authority, std::string_view path) const noexcept {
  HostRoom room;
  for (Mount* const mount : site_of(host_of(authority, room))) {
    if (is_below(path, mount->prefix)) return mount;
  }
  return nullptr;
}

}  // namespace narwhal::worker
