#include "admin/ctl/views.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <ctime>
#include <vector>

#include "core/escape.hpp"

namespace narwhal::ctl {
namespace {

using Rows = std::vector<std::vector<std::string>>;
constexpr std::size_t buckets = 32;

std::string bytes_text(double bytes) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(units); ++unit) bytes /= 1024;
  return unit > 0 && bytes < 10 ? fmt::format("{:.1f} {}", bytes, units[unit])
                                : fmt::format("{:.0f} {}", bytes, units[unit]);
}

std::string escaped(const std::string& text) {
  std::string shown;
  append_escaped(shown, text);
  return shown;
}

// Columns as wide as their widest entry; the last one is not filled up.
std::string table(const Rows& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) text += fmt::format("{:<{}}  ", row[i], widths[i]);
    text += row.back() + "\n";
  }
  return text;
}

std::string now_of(const Json& worker) {
  std::string text;
  for (const Json& request : worker["running"]) {
    if (!text.empty()) text += "; ";
    text += fmt::format("{} {} ({})", request["method"].get<std::string>(), request["target"].get<std::string>(),
                        duration_text(request["seconds"]));
  }
  return text.empty() ? "-" : escaped(text);
}

std::string state_of(const Json& worker) {
  const std::string condition = worker["condition"];
  std::string state = condition == "ok" ? worker["state"].get<std::string>() : condition;
  if (worker["changed_code"]) state += ", changed code";
  return state;
}

Rows worker_rows(const Json& status) {
  Rows rows{{"WORKER", "PID", "GEN", "STATE", "AGE", "REQUESTS", "CONNS", "WAIT", "MEMORY", "NOW"}};
  for (const Json& generation : status["generations"]) {
    for (const Json& worker : generation["workers"]) {
      rows.push_back({std::to_string(worker["worker"].get<int>()), std::to_string(worker["pid"].get<int>()),
                      std::to_string(generation["number"].get<std::uint64_t>()), state_of(worker),
                      duration_text(worker["age_seconds"]), std::to_string(worker["requests"].get<std::uint64_t>()),
                      std::to_string(worker["connections"].get<unsigned>()),
                      std::to_string(worker["waiting"].get<unsigned>()), bytes_text(worker["resident_bytes"]),
                      now_of(worker)});
    }
  }
  return rows;
}

std::string clock_text(std::int64_t time) {
  const std::time_t moment = time;
  std::tm local{};
  ::localtime_r(&moment, &local);
  char text[32];
  std::strftime(text, sizeof text, "%F %T", &local);
  return text;
}

std::string transaction_text(const Json& one) {
  std::string text = fmt::format("{}  {} {} after {}", clock_text(one["began"]), one["kind"].get<std::string>(),
                                 one["outcome"].get<std::string>(), duration_text(one["seconds"]));
  if (one["outcome"] == "swapped") text += fmt::format(": generation {}", one["generation"].get<std::uint64_t>());
  if (const std::string reason = one["reason"]; !reason.empty()) text += ": " + escaped(reason);
  return text;
}

std::string state_line(const Json& status) {
  const bool is_ready = status["ready"], is_alive = status["alive"];
  std::string text = is_ready ? "ready" : "NOT READY: " + status["not_ready"].get<std::string>();
  if (!is_alive) text += "; NOT ALIVE: " + status["not_alive"].get<std::string>();
  return text;
}

struct Counted {
  std::array<std::uint64_t, buckets> latency{};
  std::uint64_t requests = 0, errors = 0;
};

Counted counted(const Json& status) {
  Counted sum;
  for (const Json& route : status["totals"]["routes"]) {
    for (std::size_t i = 0; i < buckets; ++i) sum.latency[i] += route["latency_log2_us"][i].get<std::uint64_t>();
    sum.requests += route["requests"].get<std::uint64_t>();
    sum.errors += route["by_status"][5].get<std::uint64_t>();
  }
  return sum;
}

Counted difference(const Counted& now, const Counted& before) {
  const auto less = [](std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; };
  Counted result;
  for (std::size_t i = 0; i < buckets; ++i) result.latency[i] = less(now.latency[i], before.latency[i]);
  result.requests = less(now.requests, before.requests);
  result.errors = less(now.errors, before.errors);
  return result;
}

// The upper bound of the bucket that holds it.
std::string quantile_text(const Counted& sum, double share) {
  std::uint64_t total = 0, below = 0;
  for (const std::uint64_t each : sum.latency) total += each;
  if (total == 0) return "-";
  std::size_t bucket = 0;
  for (; bucket + 1 < buckets; ++bucket) {
    below += sum.latency[bucket];
    if (static_cast<double>(below) >= share * static_cast<double>(total)) break;
  }
  const double seconds = std::ldexp(1e-6, static_cast<int>(bucket));
  return seconds < 1e-3 ? fmt::format("{:.0f} us", seconds * 1e6) : duration_text(seconds);
}

std::string load_line(const Json& status) {
  const unsigned busy = status["handlers"]["busy"], idle = status["handlers"]["idle"],
                 waiting = status["queue"]["length"];
  std::string text = fmt::format("{} of {} handlers busy, {} connections, {} requests wait", busy, busy + idle,
                                 status["connections"].get<unsigned>(), waiting);
  if (waiting != 0) text += fmt::format(" (the oldest {})", duration_text(status["queue"]["oldest_seconds"]));
  for (const Json& listener : status["listeners"]) {
    if (listener["waiting"].is_number() && listener["waiting"] > 0)
      text += fmt::format(", {} connections wait at {}", listener["waiting"].get<unsigned>(),
                          listener["address"].get<std::string>());
  }
  return text;
}

}  // namespace

std::string duration_text(double seconds) {
  if (seconds < 1) return fmt::format("{:.0f} ms", seconds * 1000);
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::uint64_t>(seconds);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{}h{:02}m", whole / 3600, whole % 3600 / 60);
  return fmt::format("{}d{:02}h", whole / 86400, whole % 86400 / 3600);
}

std::string status_text(const Json& status) {
  std::string text = fmt::format("{} (narwhal {}, pid {}): {}\n", escaped(status["title"]),
                                 status["version"].get<std::string>(), status["pid"].get<int>(), state_line(status));
  if (const std::string line = status["status"]; !line.empty()) text += "  " + escaped(line) + "\n";
  text += fmt::format("  up {}, started {}\n", duration_text(status["uptime_seconds"]), clock_text(status["started"]));
  for (const Json& listener : status["listeners"]) text += "  at " + listener["address"].get<std::string>() + "\n";
  text += "  " + load_line(status) + "\n";
  const Json& totals = status["totals"];
  if (const std::uint64_t failures = totals["not_accepted"]; failures != 0)
    text += fmt::format("  {} times a connection could not be accepted: no descriptors or no memory left\n", failures);
  if (const std::uint64_t lines = totals["log_dropped"]; lines != 0)
    text += fmt::format("  {} lines of the logs were dropped\n", lines);
  text += fmt::format("  {} requests, {} refused, {} overloaded, {} timed out\n",
                      totals["requests"].get<std::uint64_t>(), totals["refused"].get<std::uint64_t>(),
                      totals["overloaded"].get<std::uint64_t>(), totals["timed_out"].get<std::uint64_t>());
  for (const auto& [reason, count] : status["restarts"].items()) {
    if (count != 0) text += fmt::format("  workers replaced ({}): {}\n", reason, count.get<std::uint64_t>());
  }
  for (const auto& [process, count] : status["process_restarts"].items()) {
    if (count != 0) text += fmt::format("  {} process started again: {}\n", process, count.get<std::uint64_t>());
  }
  for (const Json& generation : status["generations"]) {
    text += fmt::format("Generation {}: {}, {} of {} workers, age {}\n", generation["number"].get<std::uint64_t>(),
                        generation["phase"].get<std::string>(), generation["workers"].size(),
                        generation["target"].get<unsigned>(), duration_text(generation["age_seconds"]));
    for (const Json& route : generation["routes"])
      text += fmt::format("  {} {}\n", escaped(route["route"]), escaped(route["app"]));
  }
  text += "Last transactions:\n";
  const Json& all = status["transactions"];
  for (std::size_t i = all.size() > 5 ? all.size() - 5 : 0; i < all.size(); ++i)
    text += "  " + transaction_text(all[i]) + "\n";
  const Json& problems = status["problems"];
  if (!problems.empty()) text += "Last problems in the log:\n";
  for (std::size_t i = problems.size() > 5 ? problems.size() - 5 : 0; i < problems.size(); ++i)
    text += fmt::format("  {}  {}: {}\n", clock_text(problems[i]["time"]), problems[i]["level"].get<std::string>(),
                        escaped(problems[i]["text"]));
  return text;
}

std::string workers_text(const Json& status) { return table(worker_rows(status)); }

std::string top_text(const Json& status, const Json& before, double seconds, std::size_t lines, std::size_t columns) {
  const Counted step = difference(counted(status), counted(before));
  const double span = std::max(seconds, 0.001);
  std::string text =
      fmt::format("{} - narwhal {}, generation {}, {}\n", escaped(status["title"]),
                  status["version"].get<std::string>(), status["generation"].get<std::uint64_t>(), state_line(status));
  text += fmt::format("{:.1f} requests/s, median {}, p99 {}, {:.1f} 5xx/s\n", static_cast<double>(step.requests) / span,
                      quantile_text(step, 0.5), quantile_text(step, 0.99), static_cast<double>(step.errors) / span);
  text += load_line(status) + "\n";
  if (const Json& all = status["transactions"]; !all.empty()) text += transaction_text(all.back()) + "\n";
  text += "\n" + workers_text(status);
  std::string screen;
  std::size_t shown = 0;
  for (std::size_t at = 0; at < text.size() && shown < lines; ++shown) {
    const std::size_t end = text.find('\n', at);
    screen += text.substr(at, std::min(end - at, columns)) + "\n";
    at = end + 1;
  }
  return screen;
}

}  // namespace narwhal::ctl
