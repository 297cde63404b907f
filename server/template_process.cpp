#include "server/template_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/app_title.hpp"
#include "core/close_all_but.hpp"
#include "core/log.hpp"
#include "core/log_output.hpp"
#include "core/process_title.hpp"
#include "core/start_output.hpp"
#include "server/child_environment.hpp"
#include "server/python_template.hpp"
#include "server/unit_advice.hpp"

namespace narwhal::server {
namespace {

constexpr int records_a_turn = 64;
constexpr std::chrono::seconds exit_limit{2};

std::vector<int> kept_descriptors(const Plan& plan, const Site& site, int socket, int log_socket, int code_files) {
  std::vector<int> kept{socket, log::descriptor()};
  for (const int optional : {log_socket, code_files}) {
    if (optional >= 0) kept.push_back(optional);
  }
  for (const auto& listener : plan.listeners) kept.push_back(listener->fd.get());
  if (needs_python(plan.config())) kept.push_back(site.scoreboard.descriptor());
  return kept;
}

}  // namespace

Result<Done> TemplateProcess::start(Instant now) {
  NARWHAL_CHECK(state_ == State::absent);
  auto pair = open_pair();
  if (!pair) return Error{pair.error()};
  // Without it workers still serve, and changed files are not noticed.
  if (!code_files_) code_files_ = Fd(::memfd_create("narwhal-code-files", MFD_CLOEXEC));
  auto child = fork_child([&] { return run_in_child(std::move(pair->child)); });
  if (!child) return Error{child.error()};
  child_.emplace(*std::move(child));
  socket_ = std::move(pair->master);
  state_ = State::loading;
  started_ = now;
  deadline_ = deadline_after(now, plan_.config().boot_timeout);
  last_step_ = failure_ = late_ = end_ = "";
  failure_code_ = 0;
  was_ended_ = false;
  return Done{};
}

int TemplateProcess::run_in_child(Fd socket) const {
  const int log_socket = site_.log_process.socket_for(plan_.config());
  log::begin_process();
  close_all_but(kept_descriptors(plan_, site_, socket.get(), log_socket, code_files_.get()));
  const int master = socket.get();
  const auto fail = [&](const std::string& reason, int code) {
    static_cast<void>(send_record(master, make_record(Report::failed, 0, plan_.number(), reason, code)));
    return code;
  };
  const auto access_log = open_logs(log_socket);
  if (!access_log) return fail(access_log.error(), exit_boot_failed);
  auto learned_calls = open_learned_calls();
  if (!learned_calls) return fail(learned_calls.error(), exit_boot_failed);
  if (const auto entered = enter_child(); !entered) return fail(entered.error(), exit_app_failed);
  TemplateSeat seat{plan_.generation, std::move(socket), {}, &site_.scoreboard, access_log->get(), log_socket, {}};
  seat.code_files = Fd(code_files_.get());  // the seat closes it here: our destructor does not run in this process
  seat.learned_calls = *std::move(learned_calls);
  for (const auto& listener : plan_.listeners) seat.listeners.push_back(listener.get());
  if (!needs_python(plan_.config())) return site_.body(std::move(seat));
  return fail(become_python(seat, PythonTask::run_template).message, exit_app_failed);
}

// Opened here, before the rights are given up: workers may not be allowed to open them. The error log too, because a
// reload can have changed it, and the master keeps the old one until the new generation is admitted. Returns the access
// log, if there is one.
Result<Fd> TemplateProcess::open_logs(int log_socket) const {
  const Config& config = plan_.config();
  log::collect(log_socket);
  if (const auto opened = log::open(config.errorlog, config.loglevel); !opened) {
    return Error{opened.error() + unit_advice(UnitMeans::logs)};
  }
  if (config.capture_output) {
    if (const auto captured = log::capture_output(); !captured) return Error{captured.error()};
  }
  if (log_socket >= 0 || config.accesslog.empty()) return Fd();
  if (config.accesslog == "-") return start_output::has(STDOUT_FILENO) ? Fd() : open_own_description(STDOUT_FILENO);
  return advised(open_log_file(config.accesslog), UnitMeans::logs);
}

// For `seccomp: learn`.
Result<Fd> TemplateProcess::open_learned_calls() const {
  const Config& config = plan_.config();
  if (config.seccomp != Seccomp::learn) return Fd();
  Fd file(::open(config.seccomp_file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
  return file ? Result<Fd>(std::move(file)) : errno_error("seccomp_file: open " + config.seccomp_file);
}

Result<Done> TemplateProcess::enter_child() const {
  set_process_title("narwhal: template [" + app_title(plan_.config()) + "] gen " + std::to_string(plan_.number()));
  return enter_child_environment(plan_, EndsWithMaster::yes);
}

std::vector<TemplateProcess::ForkFailure> TemplateProcess::read_reports(Instant now) {
  std::vector<ForkFailure> failures;
  for (int i = 0; i < records_a_turn && socket_; ++i) {
    const Received received = receive_record(socket_.get());
    if (received.status == Received::Status::nothing_yet) break;
    if (received.status == Received::Status::gone) {
      // It is ending, or its plugins have closed descriptors that are not theirs: it is of no use either way. An
      // immediate SIGKILL could hide the exit status that it is about to leave.
      socket_ = Fd();
      deadline_ = std::min(deadline_, Instant(now + std::chrono::seconds{1}));
      break;
    }
    const std::string text = received.record.text;
    switch (static_cast<Report>(received.record.kind)) {
      case Report::step:
        last_step_ = text;
        if (failure_.empty()) failure_code_ = received.record.code;
        break;
      case Report::failed:
        if (!failure_.empty()) break;
        failure_ = text;
        failure_code_ = received.record.code;
        break;
      case Report::loaded:
        if (state_ != State::loading) break;
        state_ = State::loaded;
        deadline_ = never;
        break;
      case Report::fork_failed: failures.push_back({received.record.slot, text}); break;
      case Report::watch: watched_.push_back(text); break;
      case Report::hello:
      case Report::ready:
      case Report::stuck:
      case Report::leaving:
      case Report::expired: break;  // reports of workers only
    }
  }
  return failures;
}

bool TemplateProcess::spawn(std::uint32_t slot, int worker_end) {
  if (state_ != State::loaded || !socket_) return false;
  return bool(send_record(socket_.get(), make_record(Order::spawn, slot, plan_.number()), worker_end));
}

bool TemplateProcess::send_log(Order which, const Fd& file) {
  if (!socket_ || state_ == State::leaving) return true;  // it forks no more
  return bool(send_record(socket_.get(), make_record(which, 0, plan_.number()), file.get()));
}

void TemplateProcess::leave() {
  if (state_ == State::absent || state_ == State::leaving) return;
  if (state_ == State::loading) kill();  // it reads no orders while a plugin is being loaded
  if (socket_) static_cast<void>(send_record(socket_.get(), make_record(Order::leave, 0, plan_.number())));
  state_ = State::leaving;
  deadline_ = never;
}

void TemplateProcess::end(Instant now) {
  if (state_ != State::leaving || !socket_) return;
  was_ended_ = true;
  socket_ = Fd();
  deadline_ = now + exit_limit;
}

void TemplateProcess::kill() {
  was_ended_ = true;
  if (child_) child_->send(SIGKILL);
}

void TemplateProcess::check_time(Instant now) {
  if (now < deadline_) return;
  deadline_ = never;
  if (state_ == State::loading && socket_) {
    late_ = "not loaded after " + std::to_string(plan_.config().boot_timeout.count()) + " s (boot_timeout)";
  }
  if (state_ == State::leaving)
    log::warning(
        "Template of generation {} (pid:{}) has not ended within {} s of its last worker: it is killed, and what its "
        "plugins do at the end, such as Python's atexit functions, may be lost",
        plan_.number(), pid(), exit_limit.count());
  kill();
}

void TemplateProcess::reaped(int status, Instant now) {
  end_ = "template (pid:" + std::to_string(pid()) + ") " + describe_exit(status);
  child_->reaped();
  child_.reset();
  static_cast<void>(
      read_reports(now));  // its last reports; after the reset, because another process may have its pid now
  socket_ = Fd();
  state_ = State::absent;
  deadline_ = never;
}

std::string TemplateProcess::reason() const {
  if (!failure_.empty()) return failure_;
  const std::string& text = late_.empty() ? end_ : late_;
  return last_step_.empty() ? text : text + ", its last step: " + last_step_;
}

}  // namespace narwhal::server
