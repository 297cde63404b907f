// Who a process runs as. The master keeps its rights; template, workers and admin give theirs up before they map
// any code that is not ours.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "core/result.hpp"

namespace narwhal {

// What `user` and `group` came to. An absent part is the process's own and is left alone.
struct Identity {
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::string user_name;  // empty: the uid has no entry, or no user was named
  bool operator==(const Identity&) const = default;
};

// Names or numbers; empty: stay. Where only a user is named, its primary group comes along, if it has one and the
// process may change groups: a worker that has left root's uid has no business in root's group.
Result<Identity> resolve_identity(const std::string& user, const std::string& group);

enum class Supplementary {
  drop,     // none but the new group
  of_user,  // what the system's group file gives the user: `initgroups`
};

// Becomes `wanted` for good, and looks whether it did. A part that the process already is costs no right.
Result<Done> drop_privileges(const Identity& wanted, Supplementary groups);

}  // namespace narwhal
