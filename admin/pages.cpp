#include "admin/pages.hpp"

#include <narwhal/app.hpp>
#include <narwhal/router.hpp>

#include <atomic>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>

#include "admin/metrics.hpp"
#include "admin/status.hpp"
#include "admin/status_page.hpp"
#include "admin/view.hpp"
#include "core/records.hpp"

namespace narwhal::admin {
namespace {

using namespace std::chrono_literals;

constexpr auto answer_limit = 2s;  // of the master
constexpr auto answer_pause = 2ms;

// What the plugin's one instance is made of: an ABI hook takes no argument of ours.
struct Source {
  const Board* board = nullptr;
  const Scoreboard* scoreboard = nullptr;
  int commands = -1;
} source;

struct NamedCommand {
  const char* name;
  Command command;
  const char* argument = nullptr;  // the query's parameter that it needs
};
constexpr NamedCommand named_commands[] = {
    {"reload", Command::reload},          {"rollback", Command::rollback}, {"scale", Command::scale, "workers"},
    {"replace", Command::replace, "pid"}, {"kill", Command::kill, "pid"},  {"reopen", Command::reopen},
    {"upgrade", Command::upgrade},        {"stop", Command::stop},         {"stop_quick", Command::stop_quick}};

Response plain(int status, const std::string& text) {
  return Response::text(text + "\n", status).header("Cache-Control", "no-store");
}

Response json(int status, std::string text) {
  return Response::json(std::move(text), status).header("Cache-Control", "no-store");
}

Response nothing_known() { return plain(503, "the master has not published its state"); }

// 200, or 503 with the reason.
Response verdict(std::string (View::*reason)() const) {
  const std::optional<View> view = look(*source.board, *source.scoreboard);
  if (!view) return nothing_known();
  const std::string why_not = (*view.*reason)();
  return why_not.empty() ? plain(200, "ok") : plain(503, why_not);
}

Response show(std::string (*text)(const View&), std::string type) {
  const std::optional<View> view = look(*source.board, *source.scoreboard);
  if (!view) return nothing_known();
  return Response::bytes(text(*view), std::move(type)).header("Cache-Control", "no-store");
}

// No request to elsewhere, and no frame around it.
Response status_page(const Request&) {
  return Response::html(std::string(status_page_html))
      .header("Cache-Control", "no-store")
      .header("X-Content-Type-Options", "nosniff")
      .header("Referrer-Policy", "no-referrer")
      .header("Content-Security-Policy",
              "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src "
              "data:; "
              "frame-ancestors 'none'; base-uri 'none'; form-action 'none'");
}

std::optional<std::int32_t> number_in(const Request& request, const char* name) {
  const std::optional<std::string> text = request.query(name);
  std::int32_t number = 0;
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size() || number <= 0) return std::nullopt;
  return number;
}

struct Answered {
  CommandAnswer answer;
  std::int32_t master = 0;  // its pid: during an upgrade this socket goes from one master to another
};

std::string text_of(const Answered& answered) {
  const CommandAnswer& answer = answered.answer;
  const nlohmann::ordered_json body{{"accepted", answer.accepted},
                                    {"text", answer.text},
                                    {"transaction", answer.transaction},
                                    {"pid", answered.master}};
  return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Response refuse(int status, std::string why) { return json(status, text_of({{0, false, std::move(why), 0}})); }

std::optional<Answered> answer_of_master(std::uint64_t id) {
  const auto limit = std::chrono::steady_clock::now() + answer_limit;
  while (std::chrono::steady_clock::now() < limit) {
    const std::optional<std::string> bytes = source.board->read();
    const std::optional<ServerState> state = bytes ? state_of(*bytes) : std::nullopt;
    if (state) {
      for (const CommandAnswer& answer : state->answers) {
        if (answer.id == id) return Answered{answer, state->pid};
      }
    }
    std::this_thread::sleep_for(answer_pause);
  }
  return std::nullopt;
}

// Unique also among several admin processes, one after the other.
std::uint64_t new_id() {
  static std::atomic<std::uint64_t> next{static_cast<std::uint64_t>(now().time_since_epoch().count())};
  return next.fetch_add(1);
}

Response command(const Request& request) {
  if (!request.peer().empty()) return refuse(403, "commands are taken on the control socket only");
  const std::string_view name = request.parameter("name");
  for (const NamedCommand& known : named_commands) {
    if (name != known.name) continue;
    std::int32_t argument = 0;
    if (known.argument != nullptr) {
      const auto number = number_in(request, known.argument);
      if (!number) return refuse(400, std::string(known.argument) + " must be a positive number");
      argument = *number;
    }
    const std::uint64_t id = new_id();
    const auto sent = send_record(source.commands, make_record(known.command, id, argument));
    if (!sent) return refuse(504, "the master does not take commands: " + sent.error());
    const std::optional<Answered> answered = answer_of_master(id);
    if (!answered) return refuse(504, "the master has not answered within 2 s; it may still carry out the command");
    return json(answered->answer.accepted ? 202 : 409, text_of(*answered));
  }
  return refuse(404, "unknown command: " + std::string(name));
}

Router make_pages(const Boot&) {
  Router router;
  router.get("/", status_page)
      .get("/status", [](const Request&) { return show(status_json, "application/json"); })
      .get("/metrics", [](const Request&) { return show(metrics_text, "text/plain; version=0.0.4; charset=utf-8"); })
      .get("/healthz", [](const Request&) { return verdict(&View::not_alive); })
      .get("/readyz", [](const Request&) { return verdict(&View::not_ready); })
      .post("/commands/<name>", command);
  return router;
}

constexpr PluginFacts facts{.name = "admin", .version = "1"};
constexpr narwhal_option no_options[] = {{}};

}  // namespace

narwhal_plugin pages(const Board& board, const Scoreboard& scoreboard, int commands) {
  source = {&board, &scoreboard, commands};
  return detail::AbiAdapter<make_pages>::plugin(facts, no_options);
}

}  // namespace narwhal::admin
