#include "server/sockets/socket_rights.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/fd.hpp"
#include "core/privileges.hpp"

namespace narwhal::server {
namespace {

// Of the file of a socket that listens.
struct Wanted {
  explicit Wanted(const SocketRights& rights)
      : mode(rights.mode.value_or(0777 & ~rights.umask)),
        uid(rights.uid.value_or(::geteuid())),
        gid(rights.gid.value_or(::getegid())) {}
  mode_t mode;
  uid_t uid;
  gid_t gid;
};

Error not_permitted(const std::string& what, const char* does, const char* source) {
  return Error{what + ": this process runs as user " + std::to_string(::geteuid()) + " and may not " + does +
               ": start narwhal as root, or remove the " + source};
}

bool is_own_group(gid_t gid) {
  if (gid == ::getegid()) return true;
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(0, ::getgroups(0, nullptr))));
  const int count = ::getgroups(static_cast<int>(groups.size()), groups.data());
  return std::find(groups.begin(), groups.begin() + std::max(0, count), gid) != groups.begin() + std::max(0, count);
}

// The same file while it is open, whatever becomes of its name meanwhile.
class OpenFile {
 public:
  // False: there is none, or another one by this name.
  explicit OpenFile(const SocketFile& file)
      : path_(file.path), fd_(::open(file.path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)) {
    const bool same = fd_ && ::fstat(fd_.get(), &facts_) == 0 && facts_.st_dev == file.device &&
                      facts_.st_ino == file.inode && S_ISSOCK(facts_.st_mode);
    if (!same) fd_ = Fd();
  }
  explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
  mode_t mode() const noexcept { return facts_.st_mode & 0777; }
  uid_t uid() const noexcept { return facts_.st_uid; }
  gid_t gid() const noexcept { return facts_.st_gid; }

  Result<Done> set_mode(mode_t mode) const {
    struct stat now {};
    if (::fstat(fd_.get(), &now) == 0 && (now.st_mode & 0777) == mode) return Done{};
    const std::string name = "/proc/self/fd/" + std::to_string(fd_.get());  // fchmod() takes no O_PATH
    return ::chmod(name.c_str(), mode) == 0 ? Result<Done>(Done{}) : errno_error("chmod " + path_);
  }
  Result<Done> set_owner(uid_t uid, gid_t gid) const {
    if (facts_.st_uid == uid && facts_.st_gid == gid) return Done{};
    return ::fchownat(fd_.get(), "", uid, gid, AT_EMPTY_PATH) == 0 ? Result<Done>(Done{})
                                                                   : errno_error("chown " + path_);
  }
  Result<Done> check_owner(uid_t uid, gid_t gid, const SocketRights& rights) const {
    if (has_capability(CAP_CHOWN)) return Done{};
    if (uid != this->uid())
      return not_permitted("owner " + std::to_string(uid), "give files to other users (CAP_CHOWN)", rights.uid_source);
    if (gid == this->gid() || (uid == ::geteuid() && is_own_group(gid))) return Done{};
    return not_permitted("group " + std::to_string(gid), "give files to groups that it is not in (CAP_CHOWN)",
                         rights.gid_source);
  }
  Result<Done> check_mode(mode_t mode, uid_t after) const {
    const uid_t self = ::geteuid();
    const bool is_own = uid() == self && after == self;
    if (mode == this->mode() || is_own || has_capability(CAP_FOWNER)) return Done{};
    return not_permitted("mode", "change files of other users (CAP_FOWNER)", "option 'mode'");
  }

 private:
  std::string path_;
  Fd fd_;
  struct stat facts_ {};
};

Error gone(const SocketFile& file) {
  return Error{file.path + " is not the file of this server's socket any more: remove it, and reload again"};
}

}  // namespace

Result<Done> give_rights(const SocketFile& file, const SocketRights& rights) {
  if (!rights.mode && !rights.uid && !rights.gid) return Done{};
  const OpenFile open(file);
  if (!open) return gone(file);
  const uid_t uid = rights.uid.value_or(open.uid());
  const gid_t gid = rights.gid.value_or(open.gid());
  if (const auto possible = open.check_owner(uid, gid, rights); !possible) return possible;
  if (rights.mode) {
    if (const auto set = open.set_mode(*rights.mode); !set) return set;
  }
  return open.set_owner(uid, gid);
}

Result<Done> change_rights(const SocketFile& file, const SocketRights& rights) {
  const OpenFile open(file);
  if (!open) return gone(file);
  const Wanted wanted(rights);
  // Closed to those who lose the right, then given away, then opened.
  if (const auto closed = open.set_mode(open.mode() & wanted.mode); !closed) return closed;
  if (const auto given = open.set_owner(wanted.uid, wanted.gid); !given) return given;
  return open.set_mode(wanted.mode);
}

Result<Done> check_rights(const SocketFile& file, const SocketRights& rights) {
  const OpenFile open(file);
  if (!open) return gone(file);
  const Wanted wanted(rights);
  if (const auto possible = open.check_owner(wanted.uid, wanted.gid, rights); !possible) return possible;
  return open.check_mode(wanted.mode, wanted.uid);
}

}  // namespace narwhal::server
