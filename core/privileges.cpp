#include "core/privileges.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>

namespace narwhal {
namespace {

std::optional<unsigned> number_of(const std::string& text) {
  unsigned number = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  // setuid() and chown() read the highest value as -1: "do not change".
  if (read.ec != std::errc() || read.ptr != end || number == std::numeric_limits<unsigned>::max()) return std::nullopt;
  return number;
}

bool is_root() { return ::geteuid() == 0; }

// getpwnam() and the similar calls do not set errno if there is no such entry.
Error lookup_error(const std::string& what) {
  return errno == 0 ? Error{what + ": not found on this system"} : errno_error(what);
}

Result<Done> take_user(const std::string& user, Identity& identity) {
  const auto number = number_of(user);
  errno = 0;
  const passwd* const entry = number ? ::getpwuid(*number) : ::getpwnam(user.c_str());
  if (entry == nullptr && !number) return lookup_error("user " + user);
  identity.uid = entry != nullptr ? entry->pw_uid : *number;
  if (entry == nullptr) return Done{};
  identity.user_name = entry->pw_name;
  if (is_root()) identity.gid = entry->pw_gid;
  return Done{};
}

Result<Done> take_group(const std::string& group, Identity& identity) {
  if (const auto number = number_of(group)) {
    identity.gid = *number;
    return Done{};
  }
  errno = 0;
  const struct group* const entry = ::getgrnam(group.c_str());
  if (entry == nullptr) return lookup_error("group " + group);
  identity.gid = entry->gr_gid;
  return Done{};
}

Result<Done> set_supplementary(const Identity& wanted, Supplementary groups) {
  if (!is_root()) return Done{};  // only root may do this, and only root's groups matter
  const gid_t group = wanted.gid.value_or(::getegid());
  if (groups == Supplementary::of_user && !wanted.user_name.empty()) {
    if (::initgroups(wanted.user_name.c_str(), group) < 0) return errno_error("initgroups " + wanted.user_name);
    return Done{};
  }
  if (::setgroups(1, &group) < 0) return errno_error("setgroups");
  return Done{};
}

bool holds(const Identity& wanted) {
  uid_t real = 0, effective = 0, saved = 0;
  gid_t real_group = 0, effective_group = 0, saved_group = 0;
  if (::getresuid(&real, &effective, &saved) < 0) return false;
  if (::getresgid(&real_group, &effective_group, &saved_group) < 0) return false;
  const auto all = [](auto wanted_id, auto a, auto b, auto c) {
    return !wanted_id || (*wanted_id == a && *wanted_id == b && *wanted_id == c);
  };
  return all(wanted.uid, real, effective, saved) && all(wanted.gid, real_group, effective_group, saved_group);
}

struct Capabilities {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3]{};

  bool read() noexcept { return ::syscall(SYS_capget, &header, sets) == 0; }
  bool write() noexcept { return ::syscall(SYS_capset, &header, sets) == 0; }
};

std::string not_permitted(const std::string& setting, unsigned to, unsigned from, const char* capability) {
  return setting + " " + std::to_string(to) + ": this process runs as " + std::to_string(from) +
         " and may not change that (" + capability + "): start narwhal as root, or remove the setting '" + setting +
         "'";
}

}  // namespace

// Root need not have it (a container may take it away), and another user may (systemd may give it).
bool has_capability(unsigned capability) {
  Capabilities own;
  if (!own.read()) return is_root();
  return (own.sets[capability / 32].effective >> capability % 32 & 1) != 0;
}

Result<Identity> resolve_identity(const std::string& user, const std::string& group) {
  Identity identity;
  if (!user.empty()) {
    const auto taken = take_user(user, identity);
    if (!taken) return Error{taken.error()};
  }
  if (!group.empty()) {
    const auto taken = take_group(group, identity);
    if (!taken) return Error{taken.error()};
  }
  return identity;
}

Result<Done> check_identity(const Identity& wanted) {
  if (wanted.gid.value_or(::getegid()) != ::getegid() && !has_capability(CAP_SETGID))
    return Error{not_permitted("group", *wanted.gid, ::getegid(), "CAP_SETGID")};
  if (wanted.uid.value_or(::geteuid()) != ::geteuid() && !has_capability(CAP_SETUID))
    return Error{not_permitted("user", *wanted.uid, ::geteuid(), "CAP_SETUID")};
  return Done{};
}

Result<Done> drop_privileges(const Identity& wanted, Supplementary groups) {
  if (!wanted.uid && !wanted.gid) return Done{};
  // Groups first: without root's uid neither call is allowed any more.
  if (const auto set = set_supplementary(wanted, groups); !set) return set;
  if (wanted.gid && ::setgid(*wanted.gid) < 0) return errno_error("setgid " + std::to_string(*wanted.gid));
  if (wanted.uid && ::setuid(*wanted.uid) < 0) return errno_error("setuid " + std::to_string(*wanted.uid));
  if (!holds(wanted)) return Error{"drop privileges: the process still has some of its former rights"};
  if (wanted.uid.value_or(0) != 0 && ::setuid(0) == 0) return Error{"drop privileges: root could be regained"};
  return Done{};
}

void empty_bounding_set() noexcept {
  for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
    ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
}

// A service's own filter of system calls may refuse capset(2) to one that has none.
Result<Done> drop_capabilities() {
  Capabilities own;
  const auto has_none = [](const __user_cap_data_struct& set) {
    return set.effective == 0 && set.permitted == 0 && set.inheritable == 0;
  };
  if (own.read() && std::all_of(std::begin(own.sets), std::end(own.sets), has_none)) return Done{};
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  Capabilities none;
  if (!none.write()) return errno_error("drop capabilities");
  return Done{};
}

void keep_capabilities_of_master() noexcept {
  constexpr unsigned kept[] = {
      CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,           CAP_KILL,
      CAP_SETGID, CAP_SETUID,       CAP_SETPCAP,         CAP_NET_BIND_SERVICE, CAP_SYS_RESOURCE};
  Capabilities own;
  if (!own.read()) return;
  __u32 masks[_LINUX_CAPABILITY_U32S_3]{};
  for (const unsigned capability : kept) masks[capability / 32] |= 1u << capability % 32;
  for (unsigned word = 0; word < _LINUX_CAPABILITY_U32S_3; ++word) {
    own.sets[word].effective &= masks[word];
    own.sets[word].permitted &= masks[word];
  }
  own.write();  // it may have less: then nothing is to be given up
}

}  // namespace narwhal
