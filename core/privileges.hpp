// The user and group that a process runs as. The master keeps its rights; template and workers give theirs up before
// they map code that is not ours.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "core/result.hpp"

namespace narwhal {

// The ids for the settings `user` and `group`. An absent part is not changed.
struct Identity {
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::string user_name;  // empty: the uid has no entry, or no user was named
  bool operator==(const Identity&) const = default;
};

// Names or numbers; empty: no change. If only a user is named, its primary group is used too, if it has one and the
// process may change groups: a worker that has given up root's uid must not stay in root's group.
Result<Identity> resolve_identity(const std::string& user, const std::string& group);
// Whether this process may take it; the error says what is missing.
Result<Done> check_identity(const Identity& wanted);

enum class Supplementary {
  drop,     // only the new group
  of_user,  // the groups of the user in the system's group file: `initgroups`
};

// Becomes `wanted` permanently, and verifies it. A part that the process already has needs no rights.
Result<Done> drop_privileges(const Identity& wanted, Supplementary groups);

// ---- capabilities ----
// Whether this process may use it: CAP_CHOWN and so on.
bool has_capability(unsigned capability);
// Of this process and of the programs that it runs, as far as it may: those of setuid programs too.
void empty_bounding_set() noexcept;
// All that this process has.
Result<Done> drop_capabilities();
// Of a master whose workers have another user: what it needs to bind addresses, to open files, to change users and to end
// processes. Programs that it runs as root have root's.
void keep_capabilities_of_master() noexcept;

}  // namespace narwhal
