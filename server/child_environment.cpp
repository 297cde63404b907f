#include "server/child_environment.hpp"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/privileges.hpp"
#include "core/signals.hpp"

namespace narwhal::server {
namespace {

// Without `chdir` a generation runs in the directory where narwhal was started, which may be a link that a deploy has
// since set to the next release. It can also be gone; an application that does not read from it need not fail.
Result<Done> enter_directory(const Config& config) {
  if (config.chdir.empty()) {
    [[maybe_unused]] const int or_stay = ::chdir(config.start_directory.c_str());
    return Done{};
  }
  if (::chdir(config.chdir.c_str()) != 0) return errno_error("change to the directory " + config.chdir + " (chdir)");
  return Done{};
}

}  // namespace

Result<Done> enter_application_environment(const Config& config) {
  if (const auto entered = enter_directory(config); !entered) return entered;
  // Gunicorn sets it before it loads the application, and applications look for "gunicorn" in it.
  ::setenv("SERVER_SOFTWARE", "gunicorn/26.1.0 (narwhal/" NARWHAL_VERSION ")", 1);
  for (const auto& [name, value] : config.raw_env) ::setenv(name.c_str(), value.c_str(), 1);
  return Done{};
}

Result<Done> enter_child_environment(const Plan& plan, EndsWithMaster end) {
  const Config& config = plan.config();
  lead_group();
  disregard_group_signals();
  disregard_signals({SIGINT, SIGQUIT});  // Ctrl-C reaches the whole group; the master answers it
  ignore_write_signals();
  if (const auto entered = enter_application_environment(config); !entered) return entered;
  const bool becomes_root = plan.identity.uid.value_or(::geteuid()) == 0;
  if (!becomes_root && !config.keep_capabilities && !config.allow_new_privileges) empty_bounding_set();
  const auto groups = config.initgroups ? Supplementary::of_user : Supplementary::drop;
  if (const auto dropped = drop_privileges(plan.identity, groups); !dropped) return dropped;
  if (!becomes_root && !config.keep_capabilities) {
    if (const auto dropped = drop_capabilities(); !dropped) return dropped;
  }
  if (!config.allow_new_privileges && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_error("no_new_privs");
  // A plugin that hangs while it is being loaded would never notice the master's end. Set after the change of user,
  // which resets it. Workers do not inherit it: they finish their requests first.
  if (end == EndsWithMaster::yes) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  return Done{};
}

}  // namespace narwhal::server
