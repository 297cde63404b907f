#include "core/close_all_but.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/child.hpp"
#include "tests/support/child_status.hpp"

using namespace narwhal;

namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

}  // namespace

TEST_CASE("close_all_but: a child keeps the descriptors of its seat and the standard streams, nothing else") {
  const int code = exit_code_of([] {
    for (const int fd : {20, 21, 22, 23, 500}) {
      if (::dup2(2, fd) != fd) return 1;
    }
    close_all_but({22, 1, 20, 20, 500});
    if (!is_open(0) || !is_open(1) || !is_open(2)) return 2;
    if (!is_open(20) || !is_open(22) || !is_open(500)) return 3;
    for (int fd = 3; fd < 1000; ++fd) {
      if (is_open(fd) && fd != 20 && fd != 22 && fd != 500) return 4;
    }
    return 0;
  });
  CHECK(code == 0);
}

TEST_CASE("close_all_but: an empty list leaves the standard streams") {
  const int code = exit_code_of([] {
    ::dup2(2, 3);
    ::dup2(2, 40);
    close_all_but({});
    return is_open(0) && is_open(1) && is_open(2) && !is_open(3) && !is_open(40) ? 0 : 1;
  });
  CHECK(code == 0);
}
