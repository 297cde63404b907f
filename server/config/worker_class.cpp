#include "server/config/worker_class.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

namespace narwhal::server {
namespace {

constexpr unsigned greenlet_threads_max = 64;

bool contains_any(const std::string& text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](auto word) { return text.find(word) != std::string::npos; });
}

// "web.py:3: " for a line of a file; what the environment or the command line says is found by its name.
std::string place_of(std::string_view setting, const Draft& draft) {
  const auto found = draft.origins.find(setting);
  const bool is_line = found != draft.origins.end() && found->second.find(':') != std::string::npos;
  return is_line ? found->second + ": " : "";
}

std::string count_text(const Draft& draft) {
  const unsigned threads = draft.config.threads;
  const char* const plural = threads == 1 ? "" : "s";
  if (draft.origins.contains("threads")) return fmt::format("{} handler thread{}, as 'threads' says", threads, plural);
  return fmt::format("{} handler thread{}, min(worker_connections, {}), because 'threads' is not set", threads, plural,
                     greenlet_threads_max);
}

}  // namespace

void settle_worker_class(Draft& draft) {
  Config& config = draft.config;
  const std::string& name = config.worker_class;
  const std::string start = place_of("worker_class", draft) + "worker_class '" + name + "': ";
  const auto refuse = [&](const char* reason) { draft.faults.push_back(start + reason); };
  if (contains_any(name, {"uvicorn", "asgi", "Uvicorn", "hypercorn", "daphne"}))
    return refuse("ASGI is not served yet: narwhal runs WSGI applications");
  if (contains_any(name, {"aiohttp"})) return refuse("applications of aiohttp are not served: narwhal runs WSGI ones");
  if (contains_any(name, {"gevent", "eventlet", "tornado", "meinheld"})) {
    if (!draft.origins.contains("threads")) config.threads = std::min(config.worker_connections, greenlet_threads_max);
    draft.notices.push_back(start + "requests run side by side in threads, not in greenlets: each worker has " +
                            count_text(draft));
    return;
  }
  const bool is_ours = name.empty() || name == "sync" || name == "gthread" ||
                       contains_any(name, {"gunicorn.workers.sync.", "gunicorn.workers.gthread."}) ||
                       name == "egg:gunicorn#sync" || name == "egg:gunicorn#gthread";
  if (is_ours) return;
  if (!contains_any(name, {".", "#"})) return refuse("there is no such class: use sync, gthread or gevent");
  draft.notices.push_back(start +
                          "the code of a class of your own is not run: narwhal's workers do what sync and "
                          "gthread do");
}

}  // namespace narwhal::server
