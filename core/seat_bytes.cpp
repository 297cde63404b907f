#include "core/seat_bytes.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <concepts>

#include "core/log.hpp"
#include "core/serial.hpp"
#include "core/start_output.hpp"

namespace narwhal {
namespace {

// What both programs must agree on: the version alone would not notice another build of it.
constexpr std::size_t layout = sizeof(Config) * 1000 + sizeof(Route) * 10 + sizeof(Listener) * 100 + sizeof(WorkerSlot);

template <class T, class Part>
concept Like = std::same_as<std::remove_const_t<T>, Part>;

// What has no place in a TemplateSeat, but must be the same in the other program.
struct ProcessState {
  log::State log = log::state();
  start_output::Pipe pipe = start_output::pipe();
};

struct Descriptors {
  int master = -1, scoreboard = -1, access_log = -1, log_socket = -1, code_files = -1, learned_calls = -1;
};

struct ListenerFacts {
  Bind bind;
  int descriptor = -1;
  std::string address;
  bool activated = false;
};

int scoreboard_of(const TemplateSeat& seat) { return seat.scoreboard == nullptr ? -1 : seat.scoreboard->descriptor(); }

void close_on_exec(int descriptor) {
  if (descriptor > STDERR_FILENO) ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

}  // namespace

// Found by the argument that is an archive: not in the namespace above.
void serialize(ByteWriter& writer, const IpRanges& ranges) { writer(ranges.texts()); }

void serialize(ByteReader& reader, IpRanges& ranges) {
  std::vector<std::string> texts;
  reader(texts);
  ranges = {};
  for (const std::string& text : texts) or_throw(ranges.add(text));
}

template <class Archive, Like<BindOptions> T>
void serialize(Archive& archive, T& options) {
  archive(options.mode, options.owner, options.group, options.backlog, options.allow_from);
}

template <class Archive, Like<Bind> T>
void serialize(Archive& archive, T& bind) {
  archive(bind.kind, bind.host, bind.port, bind.path, bind.fd, bind.wire, bind.options);
}

template <class Archive, Like<Route> T>
void serialize(Archive& archive, T& route) {
  archive(route.prefix, route.app, route.options, route.plugin, route.timeout, route.soft_timeout, route.hosts,
          route.trailing_slash, route.option_places.all, route.option_places.each);
}

template <class Archive, Like<Share> T>
void serialize(Archive& archive, T& share) {
  archive(share.amount, share.is_percent);
}

template <class Archive, Like<StagedPlugin> T>
void serialize(Archive& archive, T& plugin) {
  archive(plugin.source, plugin.copy, plugin.digest);
}

// In the order of core/config.hpp, all of it.
template <class Archive, Like<Config> T>
void serialize(Archive& archive, T& c) {
  archive(c.bind, c.routes, c.preload_app, c.reload, c.reload_engine, c.reload_extra_files, c.pythonpath, c.venv,
          c.python, c.has_worker_hooks, c.has_master_hooks, c.sources);
  archive(c.workers, c.worker_class, c.threads, c.worker_connections, c.queue_size, c.backlog, c.max_requests,
          c.max_requests_jitter, c.max_worker_memory, c.max_worker_lifetime, c.worker_memory_max, c.canary,
          c.reuse_port, c.daemon, c.enable_stdio_inheritance, c.user, c.group, c.initgroups, c.umask, c.chdir,
          c.start_directory, c.raw_env, c.pidfile, c.proc_name, c.control_socket, c.control_socket_mode, c.admin_bind,
          c.stage_dir, c.allow_new_privileges, c.keep_capabilities, c.seccomp, c.seccomp_file);
  archive(c.boot_timeout, c.header_timeout, c.body_timeout, c.write_timeout, c.keepalive, c.timeout, c.soft_timeout,
          c.graceful_timeout, c.heartbeat_timeout, c.probation, c.canary_time);
  archive(c.limit_request_line, c.limit_request_fields, c.limit_request_field_size, c.limit_request_body,
          c.poison_limit, c.poison_window, c.min_rate, c.body_buffer_size, c.tmp_upload_dir, c.request_buffering,
          c.sendfile, c.response_buffer_size);
  archive(c.forwarded_allow_ips, c.secure_scheme_headers, c.client_header, c.header_map, c.forwarder_headers,
          c.proxy_protocol, c.proxy_allow_ips, c.protocol, c.uwsgi_allow_ips, c.gateway_allow_ips);
  archive(c.loglevel, c.errorlog, c.accesslog, c.access_log_format, c.capture_output, c.logger_class, c.logconfig,
          c.logconfig_json, c.logconfig_dict, c.conf_changes_loggers, c.conf_file, c.syslog, c.syslog_addr,
          c.syslog_prefix, c.syslog_facility, c.disable_redirect_access_to_syslog, c.statsd_host, c.statsd_prefix,
          c.dogstatsd_tags, c.enable_backlog_metric, c.server_header);
}
// A new setting changes this: add it above, and here.
static_assert(sizeof(void*) != 8 || sizeof(Config) == 1528);

template <class Archive, Like<Generation> T>
void serialize(Archive& archive, T& generation) {
  archive(generation.number, generation.config, generation.plugins, generation.python_library, generation.system_calls);
}

template <class Archive, Like<ProcessState> T>
void serialize(Archive& archive, T& state) {
  archive(state.log.target, state.log.descriptor, state.log.collector, state.log.level, state.log.is_output_captured,
          state.log.is_journal, state.pipe.device, state.pipe.inode);
}

template <class Archive, Like<Descriptors> T>
void serialize(Archive& archive, T& numbers) {
  archive(numbers.master, numbers.scoreboard, numbers.access_log, numbers.log_socket, numbers.code_files,
          numbers.learned_calls);
}

template <class Archive, Like<ListenerFacts> T>
void serialize(Archive& archive, T& facts) {
  archive(facts.bind, facts.descriptor, facts.address, facts.activated);
}

std::string seat_bytes(const TemplateSeat& seat) {
  std::vector<ListenerFacts> listeners;
  for (const Listener* each : seat.listeners)
    listeners.push_back({each->bind, each->fd.get(), each->address, each->activated});
  ByteWriter writer;
  writer(layout, ProcessState{}, *seat.generation,
         Descriptors{seat.master.get(), scoreboard_of(seat), seat.access_log, seat.log_socket, seat.code_files.get(),
                     seat.learned_calls.get()},
         listeners);
  return writer.take();
}

std::vector<int> inherited_descriptors(const TemplateSeat& seat) {
  std::vector<int> numbers{seat.master.get(), log::descriptor()};
  for (const int optional :
       {scoreboard_of(seat), seat.access_log, seat.log_socket, seat.code_files.get(), seat.learned_calls.get()}) {
    if (optional >= 0) numbers.push_back(optional);
  }
  for (const Listener* each : seat.listeners) numbers.push_back(each->fd.get());
  return numbers;
}

Result<std::unique_ptr<ReceivedSeat>> received_seat(std::string_view bytes) {
  ByteReader reader(bytes);
  std::size_t their_layout = 0;
  reader(their_layout);
  if (their_layout != layout) return Error{"the server and its library for Python are of different builds: restart it"};
  ProcessState state;
  Descriptors numbers;
  auto generation = std::make_shared<Generation>();
  std::vector<ListenerFacts> listeners;
  reader(state, *generation, numbers, listeners);
  if (!reader.is_complete()) return Error{"the template's seat is incomplete"};
  log::resume(state.log);
  start_output::resume(state.pipe);
  auto received = std::make_unique<ReceivedSeat>();
  if (numbers.scoreboard >= 0) {
    auto scoreboard = Scoreboard::attach(Fd(numbers.scoreboard));
    if (!scoreboard) return Error{scoreboard.error()};
    received->scoreboard.emplace(*std::move(scoreboard));
  }
  received->seat = {std::move(generation),
                    Fd(numbers.master),
                    {},
                    received->scoreboard ? &*received->scoreboard : nullptr,
                    numbers.access_log,
                    numbers.log_socket,
                    Fd(numbers.code_files),
                    Fd(numbers.learned_calls)};
  for (ListenerFacts& facts : listeners) {
    received->listeners.push_back(std::make_unique<Listener>(
        Listener{std::move(facts.bind), Fd(facts.descriptor), std::move(facts.address), facts.activated}));
    received->seat.listeners.push_back(received->listeners.back().get());
  }
  for (const int descriptor : inherited_descriptors(received->seat)) close_on_exec(descriptor);
  return received;
}

}  // namespace narwhal
