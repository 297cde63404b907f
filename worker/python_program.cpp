#include "worker/python_program.hpp"

#include <signal.h>
#include <unistd.h>

#include <cstdio>

#include "core/app_title.hpp"
#include "core/check_verdict.hpp"
#include "core/log.hpp"
#include "core/process_title.hpp"
#include "core/seat_bytes.hpp"
#include "core/signals.hpp"
#include "worker/worker.hpp"

namespace narwhal::worker {
namespace {

constexpr int exit_no_seat = 70;

std::string read_all(Fd descriptor) {
  std::string bytes;
  char piece[64 * 1024];
  for (ssize_t size = 0; (size = ::read(descriptor.get(), piece, sizeof piece)) > 0;)
    bytes.append(piece, static_cast<std::size_t>(size));
  return bytes;
}

// Returns null after a line in the log.
std::unique_ptr<ReceivedSeat> receive(int descriptor) {
  // As before the program was executed; Python has its own handler of SIGINT since.
  disregard_group_signals();
  disregard_signals({SIGINT, SIGQUIT});
  ignore_write_signals();
  unblock_all_signals();
  auto received = received_seat(read_all(Fd(descriptor)));
  if (received) return *std::move(received);
  log::error("Template: {}", received.error());
  return nullptr;
}

int run(int descriptor) {
  auto received = receive(descriptor);
  if (received == nullptr) return exit_no_seat;
  find_title_space();
  const Generation& generation = *received->seat.generation;
  set_process_title("narwhal: template [" + app_title(generation.config) + "] gen " +
                    std::to_string(generation.number));
  return run_template(std::move(received->seat));
}

int check(int descriptor) {
  auto received = receive(descriptor);
  if (received == nullptr) return exit_no_seat;
  const TemplateSeat& seat = received->seat;
  const int answer = seat.master.get();
  return give_verdict(answer, check_plugins(*seat.generation, steps_to(answer))) ? 0 : 2;
}

// Who has bound a Unix socket removes its file: that was this process, as another program.
void remove_socket_files(const std::vector<std::unique_ptr<Listener>>& listeners) {
  for (const auto& each : listeners) {
    if (each->bind.kind == Bind::Kind::unix_socket && !each->activated) ::unlink(each->bind.path.c_str());
  }
}

int debug(int descriptor) {
  auto received = receive(descriptor);
  if (received == nullptr) return exit_no_seat;
  find_title_space();
  set_process_title("narwhal: debug [" + app_title(received->seat.generation->config) + "]");
  const int status = run_debug(std::move(received->seat));
  remove_socket_files(received->listeners);
  std::fflush(nullptr);  // Python ends by _exit()
  return status;
}

// An exception must not pass through Python.
int guarded(int (*body)(int), int descriptor) noexcept try {
  return body(descriptor);
} catch (const std::exception& error) {
  log::error("Template: {}", error.what());
  return exit_no_seat;
}

}  // namespace
}  // namespace narwhal::worker

int narwhal_run_template(int seat) { return narwhal::worker::guarded(narwhal::worker::run, seat); }
int narwhal_debug(int seat) { return narwhal::worker::guarded(narwhal::worker::debug, seat); }
int narwhal_check_plugins(int seat) { return narwhal::worker::guarded(narwhal::worker::check, seat); }
