#include "core/privileges.hpp"

#include <doctest/doctest.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <vector>

#include "core/child.hpp"
#include "tests/support/child_status.hpp"

using namespace narwhal;

namespace {

bool is_root() { return ::geteuid() == 0; }

Identity of(std::optional<uid_t> uid, std::optional<gid_t> gid, const std::string& name = {}) {
  return {uid, gid, name};
}

}  // namespace

TEST_CASE("privileges: names and numbers mean the same") {
  const passwd* const nobody = ::getpwnam("nobody");
  REQUIRE(nobody != nullptr);
  const uid_t uid = nobody->pw_uid;
  const auto by_name = resolve_identity("nobody", "");
  REQUIRE(by_name);
  CHECK(by_name->uid == uid);
  CHECK(by_name->user_name == "nobody");
  CHECK(*resolve_identity(std::to_string(uid), "") == *by_name);
  CHECK(resolve_identity("", "root")->gid == 0);
  CHECK(resolve_identity("", "0")->gid == 0);
  CHECK(*resolve_identity("", "") == Identity{});
}

TEST_CASE("privileges: a number without an entry is a user too") {
  const auto stranger = resolve_identity("3999999", "3999998");
  REQUIRE(stranger);
  CHECK(*stranger == of(3999999, 3999998));
}

TEST_CASE("privileges: a text that is neither a user nor a group is an error with a message") {
  CHECK(resolve_identity("no-such-user", "").error() == "user no-such-user: not found on this system");
  CHECK(resolve_identity("", "no-such-group").error() == "group no-such-group: not found on this system");
  CHECK_FALSE(resolve_identity("-1", ""));
  CHECK_FALSE(resolve_identity("4294967295", ""));  // -1 for the kernel: do not change
  CHECK_FALSE(resolve_identity("", "4294967295"));
}

TEST_CASE("privileges: keeping one's own user and group needs no rights") {
  CHECK(drop_privileges({}, Supplementary::drop));
  const int code = exit_code_of([] {
    if (is_root() && ::setuid(3999999) != 0) return 1;
    return drop_privileges(of(::getuid(), ::getgid()), Supplementary::drop) ? 0 : 2;
  });
  CHECK(code == 0);
}

TEST_CASE("privileges: becoming another user without the right is an error") {
  const int code = exit_code_of([] {
    if (is_root() && (::setgid(3999999) != 0 || ::setuid(3999999) != 0)) return 1;
    const auto user = drop_privileges(of(3999998, {}), Supplementary::drop);
    if (user || user.error() != "setuid 3999998: Operation not permitted") return 2;
    const auto group = drop_privileges(of({}, 3999998), Supplementary::drop);
    return !group && group.error() == "setgid 3999998: Operation not permitted" ? 0 : 3;
  });
  CHECK(code == 0);
}

TEST_CASE("privileges: root's rights are gone permanently, its groups too") {
  if (!is_root()) return;  // nothing to give up
  const int code = exit_code_of([] {
    const std::vector<gid_t> many = {0, 4, 27};
    if (::setgroups(many.size(), many.data()) != 0) return 1;
    if (!drop_privileges(*resolve_identity("nobody", ""), Supplementary::drop)) return 2;
    uid_t real, effective, saved;
    if (::getresuid(&real, &effective, &saved) != 0 || real == 0 || effective != real || saved != real) return 3;
    if (::setuid(0) == 0 || ::setgid(0) == 0) return 4;
    gid_t groups[8];
    if (::getgroups(8, groups) != 1 || groups[0] != ::getgid() || ::getgid() == 0) return 5;
    return 0;
  });
  CHECK(code == 0);
}

TEST_CASE("privileges: initgroups takes the user's groups from the system's file") {
  if (!is_root()) return;
  const int code = exit_code_of([] {
    const auto nobody = *resolve_identity("nobody", "daemon");
    if (!drop_privileges(nobody, Supplementary::of_user)) return 1;
    gid_t groups[64];
    const int count = ::getgroups(64, groups);
    for (int i = 0; i < count; ++i) {
      if (groups[i] == *nobody.gid) return ::getgid() == *nobody.gid ? 0 : 2;
    }
    return 3;
  });
  CHECK(code == 0);
}

TEST_CASE("privileges: what a process without root's rights cannot become is known before it tries") {
  CHECK(check_identity({}));
  CHECK(check_identity(of(::geteuid(), ::getegid())));
  if (!is_root()) return;
  CHECK(check_identity(of(3999999, 3999998)));
  const int code = exit_code_of([] {
    if (::setgroups(0, nullptr) != 0 || ::setgid(3999998) != 0 || ::setuid(3999999) != 0) return 1;
    if (!check_identity(of(3999999, 3999998))) return 2;
    const auto user = check_identity(of(0, std::nullopt)), group = check_identity(of(std::nullopt, 0));
    if (user || group) return 3;
    if (user.error() !=
        "user 0: this process runs as 3999999 and may not change that (CAP_SETUID): start narwhal as "
        "root, or remove the setting 'user'")
      return 4;
    return group.error().starts_with("group 0: this process runs as 3999998") ? 0 : 5;
  });
  CHECK(code == 0);
}
