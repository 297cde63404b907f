#include "admin/metrics.hpp"

#include <fmt/core.h>

#include <iterator>
#include <map>
#include <string_view>

namespace narwhal::admin {
namespace {

class Writer {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(text_), "# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
  }
  template <class Number>
  void sample(std::string_view name, std::string_view labels, Number value) {
    fmt::format_to(std::back_inserter(text_), "{}{}{}{} {}\n", name, labels.empty() ? "" : "{", labels,
                   labels.empty() ? "" : "}", value);
  }
  template <class Number>
  void single(std::string_view name, std::string_view type, std::string_view help, Number value) {
    family(name, type, help);
    sample(name, "", value);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

// `name="value"`, with what the format wants escaped.
std::string label(std::string_view name, std::string_view value) {
  std::string text = std::string(name) + "=\"";
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') text += '\\';
    text += c;
  }
  return text + '"';
}

std::string escaped_help(std::string_view help) {
  std::string text;
  for (const char c : help) {
    if (c == '\\') text += '\\';
    text += c;
  }
  return text;
}

std::string route_labels(const RouteTotals& route) {
  return label("route", route.route) + "," + label("app", route.app);
}

std::string labels_of(const WorkerView& worker) {
  return label("worker", std::to_string(worker.facts.slot + 1)) + "," +
         label("generation", std::to_string(worker.generation));
}

void write_server(Writer& out, const View& view) {
  const ServerState& state = view.state;
  out.family("narwhal_info", "gauge", "The server's version and application.");
  out.sample("narwhal_info", label("version", state.version) + "," + label("title", state.title), 1);
  out.single("narwhal_start_time_seconds", "gauge", "When the master started, as Unix time.", state.started);
  out.single("narwhal_ready", "gauge", "1 if /readyz says that requests are served, else 0.",
             view.not_ready().empty() ? 1 : 0);
  out.single("narwhal_master_silence_seconds", "gauge", "Time since the master's loop has turned.",
             fmt::format("{:.3f}", view.master_silence));
  out.single("narwhal_generation", "gauge", "The generation that serves; 0 before the first.", state.serving);
  std::uint32_t target = 0;
  for (const GenerationFacts& generation : state.generations) {
    if (generation.number == state.serving) target = generation.target;
  }
  out.single("narwhal_workers_target", "gauge", "Workers that are to serve.", target);
  out.family("narwhal_reloads_total", "counter", "Reloads and rollbacks, by outcome.");
  for (const auto& [outcome, count] : state.reloads)
    out.sample("narwhal_reloads_total", label("outcome", outcome), count);
  out.family("narwhal_worker_restarts_total", "counter", "Workers that were replaced, by reason.");
  for (const auto& [reason, count] : state.restarts)
    out.sample("narwhal_worker_restarts_total", label("reason", reason), count);
  out.family("narwhal_process_restarts_total", "counter",
             "Other processes that ended while they were needed, by name.");
  for (const auto& [process, count] : state.process_restarts)
    out.sample("narwhal_process_restarts_total", label("process", process), count);
  out.family("narwhal_accept_queue_length", "gauge", "Connections that wait in the kernel to be accepted.");
  for (const ListenerFacts& listener : state.listeners) {
    if (listener.waiting >= 0)
      out.sample("narwhal_accept_queue_length", label("listener", listener.address), listener.waiting);
  }
}

void write_load(Writer& out, const View& view) {
  std::map<std::string, unsigned> by_state{{"serving", 0}, {"stuck", 0}, {"silent", 0}};
  for (const WorkerView& worker : view.workers)
    ++by_state[worker.condition == Condition::ok ? worker.facts.life : name_of(worker.condition)];
  out.family("narwhal_workers", "gauge", "Worker processes of all generations, by state.");
  for (const auto& [state, count] : by_state) out.sample("narwhal_workers", label("state", state), count);
  out.family("narwhal_handlers", "gauge", "Handler threads of all workers, by state.");
  out.sample("narwhal_handlers", label("state", "busy"), view.busy());
  out.sample("narwhal_handlers", label("state", "idle"), view.idle());
  out.single("narwhal_queue_length", "gauge", "Complete requests that wait for a handler.", view.waiting());
  out.single("narwhal_queue_oldest_seconds", "gauge", "Age of the request that waits longest for a handler.",
             fmt::format("{:.3f}", view.oldest_waiting()));
  out.single("narwhal_connections", "gauge", "Open connections.", view.connections());
}

void write_workers(Writer& out, const View& view) {
  out.family("narwhal_worker_resident_bytes", "gauge", "Resident memory of a worker, with what it shares.");
  for (const WorkerView& worker : view.workers)
    out.sample("narwhal_worker_resident_bytes", labels_of(worker), worker.resident);
  out.family("narwhal_worker_shared_bytes", "gauge", "The part of it that is of files or shared with other processes.");
  for (const WorkerView& worker : view.workers)
    out.sample("narwhal_worker_shared_bytes", labels_of(worker), worker.shared);
  out.family("narwhal_worker_heartbeat_age_seconds", "gauge", "Time since a worker's loop has turned.");
  for (const WorkerView& worker : view.workers)
    out.sample("narwhal_worker_heartbeat_age_seconds", labels_of(worker), fmt::format("{:.3f}", worker.heartbeat_age));
}

void write_counters(Writer& out, const Totals& totals) {
  out.single("narwhal_connections_accepted_total", "counter", "Connections accepted.", totals.accepted);
  out.single("narwhal_accept_errors_total", "counter",
             "Connections that were left waiting because descriptors or memory had run out.", totals.not_accepted);
  out.single("narwhal_requests_refused_total", "counter", "Requests that were malformed or over a limit.",
             totals.refused);
  out.single("narwhal_requests_overloaded_total", "counter", "Requests answered 503 because the queue was full.",
             totals.overloaded);
  out.single("narwhal_requests_poisoned_total", "counter", "Requests answered 503 by poison_limit.", totals.poisoned);
  out.single("narwhal_requests_timed_out_total", "counter", "Requests whose handler passed `timeout`.",
             totals.timed_out);
  out.single("narwhal_log_dropped_lines_total", "counter", "Lines of error log and access log that were dropped.",
             totals.log_dropped);
  out.single("narwhal_received_bytes_total", "counter", "Bytes received from clients.", totals.bytes_in);
  out.single("narwhal_sent_bytes_total", "counter", "Bytes sent to clients.", totals.bytes_out);
  out.family("narwhal_requests_total", "counter", "Requests answered, by route and class of status.");
  constexpr const char* classes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
  for (const RouteTotals& route : totals.routes) {
    for (std::size_t i = 0; i < route.status_class.size(); ++i) {
      if (route.status_class[i] == 0 && i < 2) continue;
      out.sample("narwhal_requests_total", route_labels(route) + "," + label("status", classes[i]),
                 route.status_class[i]);
    }
  }
}

// From 64 microseconds to 67 seconds, each four times the last: enough for a quantile, and few enough for many routes.
void write_durations(Writer& out, const Totals& totals) {
  constexpr std::size_t first = 6, last = 26, step = 2;
  constexpr const char* name = "narwhal_request_duration_seconds";
  out.family(name, "histogram", "From the end of the request's head to the end of the answer.");
  for (const RouteTotals& route : totals.routes) {
    const std::string labels = route_labels(route);
    const std::string bucket = std::string(name) + "_bucket";
    std::uint64_t below = 0;
    std::size_t next = 0;
    for (std::size_t power = first; power <= last; power += step) {
      for (; next <= power; ++next) below += route.latency[next];
      const double limit = static_cast<double>(std::uint64_t{1} << power) / 1e6;
      out.sample(bucket, labels + "," + label("le", fmt::format("{}", limit)), below);
    }
    for (; next < route.latency.size(); ++next) below += route.latency[next];
    out.sample(bucket, labels + "," + label("le", "+Inf"), below);
    out.sample(std::string(name) + "_sum", labels, static_cast<double>(route.microseconds) / 1e6);
    out.sample(std::string(name) + "_count", labels, below);
  }
}

// The values of plugins, which are sorted by kind and name. Numbers that are only shared are not metrics.
void write_plugins(Writer& out, const View& view) {
  using Kind = NumberTable::Kind;
  std::string_view family;
  for (const NumberTable::Number& number : view.numbers) {
    if (number.kind == Kind::shared) continue;
    const char* const type = number.kind == Kind::counter ? "counter"
                             : number.kind == Kind::gauge ? "gauge"
                                                          : "histogram";
    if (number.name != family) out.family(number.name, type, escaped_help(number.help));
    family = number.name;
    if (number.kind != Kind::histogram) {
      out.sample(number.name, number.labels, number.value);
      continue;
    }
    const std::string before = number.labels.empty() ? "" : number.labels + ",";
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < number.counts.size(); ++i) {
      below += number.counts[i];
      const std::string limit = i < number.bounds.size() ? fmt::format("{}", number.bounds[i]) : "+Inf";
      out.sample(number.name + "_bucket", before + label("le", limit), below);
    }
    out.sample(number.name + "_sum", number.labels, number.value);
    out.sample(number.name + "_count", number.labels, below);
  }
}

}  // namespace

std::string metrics_text(const View& view) {
  Writer out;
  write_server(out, view);
  write_load(out, view);
  write_workers(out, view);
  write_counters(out, view.totals);
  write_durations(out, view.totals);
  write_plugins(out, view);
  return out.take();
}

}  // namespace narwhal::admin
