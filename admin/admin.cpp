#include "admin/admin.hpp"

#include <memory>
#include <utility>
#include <vector>

#include "admin/pages.hpp"
#include "core/signals.hpp"
#include "worker/run_worker.hpp"

namespace narwhal::admin {

int run_admin(AdminSeat seat) {
  default_all_signals();
  auto mount = std::make_unique<worker::Mount>();
  mount->source = "admin";
  mount->plugin = pages(*seat.board, *seat.seat.scoreboard, seat.commands.get());
  std::vector<std::unique_ptr<worker::Mount>> mounts;
  mounts.push_back(std::move(mount));
  worker::CodeFiles none{Fd()};
  try {
    return worker::run_worker(seat.seat, std::move(mounts), none);
  } catch (const std::exception& error) {
    static_cast<void>(send_record(
        seat.seat.master.get(),
        make_record(Report::failed, seat.seat.slot, seat.seat.generation->number, error.what(), exit_boot_failed)));
    return exit_boot_failed;
  }
}

}  // namespace narwhal::admin
