// Sites: the mounts of each host. A request's host is that of its target or of its Host field: what a client says, so it
// chooses an application and gives no right.
// Choice     A name as it is written, else the longest wildcard that it ends in, else the mounts without hosts. As with
//            nginx's server names, a host that has mounts of its own has no others.
// Ownership  the mounts outlive this.
// Errors     route() cannot fail. Throws std::bad_alloc while it is made.
// Threads    any, because nothing changes.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/plugin.hpp"

namespace narwhal::worker {

class Sites {
 public:
  explicit Sites(std::span<const std::unique_ptr<Mount>> mounts);  // longest prefix first

  // As Mounts::route().
  Mount* route(std::string_view authority, std::string_view path) const noexcept;

 private:
  using Site = std::vector<Mount*>;  // longest prefix first
  const Site& site_of(std::string_view host) const noexcept;

  std::map<std::string, Site, std::less<>> hosts_;  // by "shop.example"
  std::map<std::string, Site, std::less<>> below_;  // by ".shop.example", for "*.shop.example"
  Site others_;
};

}  // namespace narwhal::worker
