// narwhalctl: shows and controls a running narwhal, over its control socket. man/narwhalctl.1 is its manual.
#include <CLI/CLI.hpp>

#include <cstdlib>
#include <string>

#include "admin/ctl/commands.hpp"

namespace {

namespace ctl = narwhal::ctl;
using std::chrono::seconds;

constexpr const char* default_socket = "/run/narwhal/control.sock";

std::string socket_of_environment() {
  const char* const path = std::getenv("NARWHAL_CONTROL_SOCKET");
  return path != nullptr && *path != '\0' ? path : default_socket;
}

constexpr int pid_max = 1 << 22;  // of Linux

struct Arguments {
  std::string socket = socket_of_environment();
  ctl::Output output;
  unsigned limit = 180, workers = 0;
  int pid = 0;
  double interval = 1;
  bool quick = false, finish = false;
};

// What the chosen subcommand does.
using Action = std::function<int(const ctl::Client&)>;

void add_views(CLI::App& app, Arguments& given, Action& action) {
  app.add_subcommand("status", "Show the state of the server")->callback([&] {
    action = [&](const auto& client) { return ctl::show_status(client, given.output); };
  });
  app.add_subcommand("workers", "Show each worker and what it does now")->callback([&] {
    action = [&](const auto& client) { return ctl::show_workers(client, given.output); };
  });
  CLI::App* const top = app.add_subcommand("top", "Show throughput, latencies and workers, live; any key ends it");
  top->add_option("-i,--interval", given.interval, "Seconds between two screens")->check(CLI::Range(0.1, 3600.0));
  top->callback([&] {
    if (given.output.json) throw CLI::ValidationError("--json", "top has no JSON: status has");
    action = [&](const auto& client) {
      return ctl::show_top(client, std::chrono::milliseconds(static_cast<long>(given.interval * 1000)));
    };
  });
}

void add_transactions(CLI::App& app, Arguments& given, Action& action) {
  for (const auto& [name, help] :
       {std::pair{"reload", "Load settings and code again, and wait for the outcome"},
        std::pair{"rollback", "Return to the generation before, and wait for the outcome"}}) {
    CLI::App* const command = app.add_subcommand(name, help);
    command->add_option("-t,--timeout", given.limit, "Seconds to wait for the outcome")->check(CLI::Range(1, 86400));
    command->callback([&, name = std::string(name)] {
      action = [&, name](const auto& client) {
        return ctl::order_and_wait(client, name, seconds(given.limit), given.output);
      };
    });
  }
  CLI::App* const upgrade =
      app.add_subcommand("upgrade", "Start the program at its path beside this one, as USR2 does, until it serves");
  upgrade->add_flag("--finish", given.finish, "Then end the former master");
  upgrade->add_option("-t,--timeout", given.limit, "Seconds to wait for the outcome")->check(CLI::Range(1, 86400));
  upgrade->callback([&] {
    action = [&](const auto& client) { return ctl::upgrade(client, given.finish, seconds(given.limit), given.output); };
  });
}

void add_orders(CLI::App& app, Arguments& given, Action& action) {
  const auto order = [&](std::string target) {
    action = [&, target](const auto& client) { return ctl::order(client, target, given.output); };
  };
  CLI::App* const scale = app.add_subcommand("scale", "Change the number of workers, until the next reload");
  scale->add_option("WORKERS", given.workers, "How many")->required()->check(CLI::Range(1, 500));
  scale->callback([&given, order] { order("scale?workers=" + std::to_string(given.workers)); });
  CLI::App* const kill =
      app.add_subcommand("kill", "Replace a worker: it finishes its requests when another one serves");
  kill->add_option("PID", given.pid, "The worker's process ID")->required()->check(CLI::Range(1, pid_max));
  kill->add_flag("--quick", given.quick, "SIGKILL, at once: its requests are lost");
  kill->callback([&given, order] { order((given.quick ? "kill?pid=" : "replace?pid=") + std::to_string(given.pid)); });
  app.add_subcommand("reopen", "Open the log files again")->callback([order] { order("reopen"); });
  CLI::App* const stop = app.add_subcommand("stop", "Finish the requests and end the server");
  stop->add_flag("--quick", given.quick, "Do not finish the requests");
  stop->add_option("-t,--timeout", given.limit, "Seconds to wait for its end")->check(CLI::Range(1, 86400));
  stop->callback([&] {
    action = [&](const auto& client) {
      return ctl::stop(client, given.quick ? "stop_quick" : "stop", seconds(given.limit), given.output);
    };
  });
}

int run(int argc, char** argv) {
  Arguments given;
  Action action;
  CLI::App app("Shows and controls a running narwhal, over its control socket.", "narwhalctl");
  app.set_version_flag("--version", "narwhalctl " NARWHAL_VERSION);
  app.add_option("-s,--socket", given.socket,
                 std::string("The server's control_socket; default: $NARWHAL_CONTROL_SOCKET, else ") + default_socket);
  app.add_flag("--json", given.output.json, "Write JSON");
  app.add_flag("-q,--quiet", given.output.quiet, "Show no progress");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer("Exit code: 0 done, 1 refused, 2 timed out, 3 no server answers, 64 wrong usage.");
  add_views(app, given, action);
  add_transactions(app, given, action);
  add_orders(app, given, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RequiredError& error) {
    const std::vector<std::string> words = app.remaining();
    if (words.empty()) {
      app.exit(error);
      return ctl::wrong_usage;
    }
    std::fprintf(stderr, "narwhalctl: unknown command '%s': narwhalctl --help lists them\n", words.front().c_str());
    return ctl::wrong_usage;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : ctl::wrong_usage;
  }
  return action(ctl::Client(given.socket));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {  // a status with other members, from a narwhal of another version
    std::fprintf(stderr, "narwhalctl: %s\n", error.what());
    return ctl::refused;
  }
}
