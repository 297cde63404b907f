#include "server/check_safety.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "core/privileges.hpp"

namespace narwhal::server {
namespace {

// Who may change what the server runs, besides root: the server's user, and the workers'.
struct Owners {
  uid_t server = ::geteuid();
  gid_t server_group = ::getegid();
  Identity workers;

  bool may(uid_t user) const { return user == 0 || user == server || user == workers.uid.value_or(server); }
  bool may_as_group(gid_t group) const {
    return group == 0 || group == server_group || group == workers.gid.value_or(server_group);
  }
};

// The settings decide whose rights the server has. A plugin has those of the workers: its owner may well be a user who
// deploys.
enum class Decides { rights, code };

// Who else can write there; empty: nobody. In a directory with the sticky bit only a file's owner can replace it.
std::string others_who_write(const struct stat& facts, const Owners& owners, Decides decides) {
  const bool is_protected = S_ISDIR(facts.st_mode) && (facts.st_mode & S_ISVTX) != 0;
  if ((facts.st_mode & S_IWOTH) != 0 && !is_protected) return "every user";
  if (decides == Decides::rights && !owners.may(facts.st_uid)) return fmt::format("its owner, user {},", facts.st_uid);
  // Where each user has a group of the same number, that group is the user.
  const bool is_own_group = facts.st_gid == facts.st_uid || owners.may_as_group(facts.st_gid);
  if ((facts.st_mode & S_IWGRP) != 0 && !is_own_group && !is_protected) return fmt::format("group {}", facts.st_gid);
  return "";
}

class Notices {
 public:
  explicit Notices(Owners owners) : owners_(std::move(owners)) {}

  void check(const std::string& what, const std::string& path, Decides decides) {
    struct stat facts {};
    if (path.empty() || ::stat(path.c_str(), &facts) != 0) return;
    const std::string who = others_who_write(facts, owners_, decides);
    if (who.empty()) return;
    const bool is_mode = who == "every user" || who.starts_with("group");
    lines.push_back(fmt::format("{} {}: {} can write to it, and so decide what the server runs: {} {}", what, path, who,
                                is_mode ? "chmod go-w" : "chown root", path));
  }

  void check_with_folder(const std::string& what, const std::string& path, Decides decides) {
    if (path.empty()) return;
    check(what, path, decides);
    check("the folder of " + what, std::filesystem::path(path).parent_path().string(), decides);
  }

  std::vector<std::string> lines;

 private:
  Owners owners_;
};

}  // namespace

std::vector<std::string> safety_notices(const Config& config) {
  const auto identity = resolve_identity(config.user, config.group);
  Notices notices({.workers = identity ? *identity : Identity{}});
  const bool workers_are_root = ::geteuid() == 0 && (!identity || identity->uid.value_or(0) == 0);
  if (workers_are_root)
    notices.lines.emplace_back(
        "the workers run as root, and so does the application: name another user with --user, which keeps root's "
        "rights "
        "in the master alone");
  for (const std::string& source : config.sources) notices.check_with_folder("the settings", source, Decides::rights);
  for (const Route& route : config.routes) {
    notices.check_with_folder("the plugin", route.plugin.empty() ? route.app : route.plugin, Decides::code);
  }
  notices.check("stage_dir", config.stage_dir, Decides::code);
  return std::move(notices.lines);
}

}  // namespace narwhal::server
