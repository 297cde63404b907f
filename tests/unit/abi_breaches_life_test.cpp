// The other breaches of plugin.h that the harness finds: of life, threads, memory and set-up, each planted once.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>

#include "narwhal/extensions.h"
#include "tests/support/planted.hpp"

using namespace planted;

namespace {

const std::vector<Planted> lives = {
    {"plugin 'planted' called write() for GET /first, which has ended: end each request once, and do not use it after "
     "that",
     [](void*, narwhal_exchange* exchange) {
       if (kept != nullptr) CHECK(write(kept, "late") == NARWHAL_STATE);
       kept = exchange;
       return respond(exchange);
     },
     [](narwhal_plugin&) { kept = nullptr; },
     {.target = "/first"},
     twice},
    {"plugin 'planted' called request() for GET /first, which has ended: ...",
     [](void*, narwhal_exchange* exchange) {
       if (kept != nullptr) CHECK(host->request(kept)->path.size == 0);
       kept = exchange;
       return respond(exchange);
     },
     [](narwhal_plugin&) { kept = nullptr; },
     {.target = "/first"},
     twice},
    {"plugin 'planted' called respond() for GET /, which has ended: ...",
     [](void*, narwhal_exchange* exchange) {
       helper = std::thread([exchange] {
         CHECK(respond(exchange) == NARWHAL_OK);
         CHECK(respond(exchange) == NARWHAL_STATE);
       });
       return NARWHAL_DEFERRED;
     }},
    {"plugin 'planted' called respond() without an exchange: NULL, as of a Deferred that was moved from",
     [](void*, narwhal_exchange* exchange) {
       CHECK(respond(nullptr) == NARWHAL_STATE);
       return respond(exchange);
     }},
    {"plugin 'planted' called write() with a pointer that is not an exchange",
     [](void* instance, narwhal_exchange* exchange) {
       write(reinterpret_cast<narwhal_exchange*>(&instance), "x");
       return respond(exchange);
     }},
    {"plugin 'planted' deferred GET / and never ended it: call respond(), finish() or fail(), also after cancel()",
     [](void*, narwhal_exchange*) { return NARWHAL_DEFERRED; },
     [](narwhal_plugin&) {},
     {},
     [](Worker& worker, const ClientRequest& request) {
       Client client = worker.begin(request);
       CHECK(client.wait_for_return());
       worker.end();
     },
     {.patience = std::chrono::milliseconds(300)}},
    {"plugin 'planted' deferred GET / and has not ended it in time",
     [](void*, narwhal_exchange* exchange) {
       kept = exchange;
       return NARWHAL_DEFERRED;
     },
     [](narwhal_plugin&) {},
     {},
     [](Worker& worker, const ClientRequest& request) {
       Client client = worker.begin(request);
       CHECK(client.wait_for_return());
       client.answer();
       CHECK(respond(kept) == NARWHAL_OK);
     },
     {.patience = std::chrono::milliseconds(100)}},
    {"plugin 'planted' called flush() for GET /: outside of handle(): only the thread that runs handle() may",
     [](void*, narwhal_exchange* exchange) {
       helper = std::thread([exchange] {
         host->flush(exchange);
         respond(exchange);
       });
       return NARWHAL_DEFERRED;
     }},
    {"plugin 'planted' called log_value() for GET /: after the flush() that followed the end: call it before",
     [](void*, narwhal_exchange* exchange) {
       respond(exchange);
       host->flush(exchange);
       host->log_value(exchange, bytes_of("USER"), bytes_of("7"));
       return NARWHAL_OK;
     }},
    {"plugin 'planted' called read_body() for POST /: after handle() had returned: read the body before",
     [](void*, narwhal_exchange* exchange) {
       kept = exchange;
       return NARWHAL_DEFERRED;
     },
     [](narwhal_plugin&) {},
     {.method = "POST", .body = "body"},
     [](Worker& worker, const ClientRequest& request) {
       Client client = worker.begin(request);
       CHECK(client.wait_for_return());
       char byte;
       host->read_body(kept, &byte, 1);
       respond(kept);
     }},
    {"plugin 'planted' called read_body() for POST /: another thread was in read_body() of it: one thread at a time",
     [](void*, narwhal_exchange* exchange) {
       const auto read = [exchange] {
         char byte;
         host->read_body(exchange, &byte, 1);
       };
       helper = std::thread(read);
       read();
       helper.join();
       return respond(exchange);
     },
     streams,
     {.method = "POST", .body_follows = true},
     [](Worker& worker, const ClientRequest& request) {
       Client client = worker.begin(request);
       for (int look = 0; worker.breaches().empty() && look < 2000; ++look)
         client.wait_for_end(std::chrono::milliseconds(5));
       client.end_body();
       client.answer();
     }},
    {"plugin 'planted' called write() for GET /: it would have to wait for a slow client, which an inline plugin never "
     "may, ...",
     [](void*, narwhal_exchange* exchange) {
       start(exchange);
       CHECK(write(exchange, "x") == NARWHAL_AGAIN);
       return host->finish(exchange);
     },
     is_inline,
     {.slow_after = 0}},
};

const std::vector<Planted> memory = {
    {"plugin 'planted' called respond() for GET /: the bytes were changed before release() was called: they are the "
     "host's until then",
     [](void*, narwhal_exchange* exchange) {
       static char lent[] = "lent";
       narwhal_response response = response_of(200, lent);
       response.release = [](void*) {};
       host->respond(exchange, &response);
       lent[0] = 'L';
       return NARWHAL_OK;
     }},
    {"plugin 'planted' let an exception leave the release() of respond(): thrown: ...",
     [](void*, narwhal_exchange* exchange) {
       narwhal_response response = response_of();
       response.release = [](void*) { throw std::runtime_error("thrown"); };
       return host->respond(exchange, &response);
     }},
#ifndef NARWHAL_TESTING_ASAN  // which ends the program at the very access
    {"plugin 'planted' called respond() for GET /second: with bytes of GET /first, a request that has ended: copy what "
     "is "
     "needed longer",
     [](void*, narwhal_exchange* exchange) {
       static narwhal_bytes path{};
       narwhal_response response = response_of(200, "");
       response.body = path;
       path = host->request(exchange)->path;
       return host->respond(exchange, &response);
     },
     [](narwhal_plugin&) {},
     {.target = "/first"},
     twice},
    {"plugin 'planted' called alloc() for GET /: wrote outside of the 8 bytes that it got",
     [](void*, narwhal_exchange* exchange) {
       static_cast<volatile char*>(host->alloc(exchange, 8))[8] = 'x';
       return respond(exchange);
     }},
    {"plugin 'planted' wrote to memory of GET /first after that request had ended: copy what is needed",
     [](void*, narwhal_exchange* exchange) {
       static volatile char* bytes = nullptr;
       if (bytes != nullptr) *bytes = 'x';
       bytes = bytes == nullptr ? static_cast<char*>(host->alloc(exchange, 8)) : nullptr;
       return respond(exchange);
     },
     [](narwhal_plugin&) {},
     {.target = "/first"},
     [](Worker& worker, const ClientRequest& request) {
       twice(worker, request);
       worker.end();
     }},
#endif
};

const narwhal_boot* kept_boot;

// Those that are found without a request: the set-up.
const std::vector<Planted> set_ups = {
    {"plugin 'unnamed' cannot be loaded: its narwhal_plugin_v1 is too small (0 bytes): was struct_size set?", nullptr,
     [](narwhal_plugin& plugin) { plugin.struct_size = 0; }},
    {"plugin 'unnamed' cannot be loaded: it has no name: set narwhal_plugin.name", nullptr,
     [](narwhal_plugin& plugin) {
       plugin.handle = [](void*, narwhal_exchange*) { return NARWHAL_ERROR; };
       plugin.name = nullptr;
     }},
    {"plugin 'planted' cannot be loaded: it has no handle()", nullptr},
    {"plugin 'planted' cannot be loaded: it sets flags that ABI 1.0 does not have: 0x40: leave them out; or, if it "
     "works without them, set abi_minor to the version that they came with",
     [](void*, narwhal_exchange*) { return NARWHAL_ERROR; }, [](narwhal_plugin& plugin) { plugin.flags = 64; }},
    {"plugin 'planted' cannot be loaded: its option 'n' has the type 'number': string, int, float or bool",
     [](void*, narwhal_exchange*) { return NARWHAL_ERROR; },
     [](narwhal_plugin& plugin) {
       static const narwhal_option options[] = {{"n", "number", nullptr, nullptr, 0}, {}};
       plugin.options = options;
     }},
    {"plugin 'planted' cannot be loaded: its option 'n' has the fallback 'one', which is not of its type int",
     [](void*, narwhal_exchange*) { return NARWHAL_ERROR; },
     [](narwhal_plugin& plugin) {
       static const narwhal_option options[] = {{"n", "int", "one", nullptr, 0}, {}};
       plugin.options = options;
     }},
    {"plugin 'planted' cannot be loaded: its option 'n' is declared twice",
     [](void*, narwhal_exchange*) { return NARWHAL_ERROR; },
     [](narwhal_plugin& plugin) {
       static const narwhal_option options[] = {{"n", "int", "1", nullptr, 0}, {"n", "bool", nullptr, nullptr, 0}, {}};
       plugin.options = options;
     }},
    {"plugin 'planted' let an exception leave worker_init(): no database: catch it; the server would crash",
     [](void*, narwhal_exchange*) { return NARWHAL_ERROR; },
     [](narwhal_plugin& plugin) {
       plugin.worker_init = [](const narwhal_boot*, void**) -> int { throw std::runtime_error("no database"); };
     }},
    {"plugin 'planted' in ready_check(): set_flags() was called, which only worker_init may do",
     [](void*, narwhal_exchange*) { return NARWHAL_ERROR; },
     [](narwhal_plugin& plugin) {
       plugin.ready_check = [](const narwhal_boot* boot, void*) { return boot->set_flags(boot, 0), NARWHAL_OK; };
     }},
    {"plugin 'planted' in worker_init(): set_flags() with a flag that this server does not know",
     [](void*, narwhal_exchange*) { return NARWHAL_ERROR; },
     [](narwhal_plugin& plugin) {
       plugin.worker_init = [](const narwhal_boot* boot, void**) { return boot->set_flags(boot, 99), NARWHAL_OK; };
     }},
    {"plugin 'planted' asked for the option 'price', which is not in its list: it can never have a value",
     [](void*, narwhal_exchange*) { return NARWHAL_ERROR; },
     [](narwhal_plugin& plugin) {
       plugin.worker_init = [](const narwhal_boot* boot, void**) {
         CHECK(boot->option(boot, "price").data == nullptr);
         return NARWHAL_OK;
       };
     }},
    {"plugin 'planted' called fail() of narwhal_boot after worker_init() had returned",
     [](void*, narwhal_exchange*) { return NARWHAL_ERROR; },
     [](narwhal_plugin& plugin) {
       plugin.worker_init = [](const narwhal_boot* boot, void**) { return kept_boot = boot, NARWHAL_OK; };
       plugin.ready_check = [](const narwhal_boot*, void*) { return kept_boot->fail(kept_boot, {"x", 1}), NARWHAL_OK; };
     }},
    {"plugin 'planted' called fail() of narwhal_boot on another thread than worker_init()",
     [](void*, narwhal_exchange*) { return NARWHAL_ERROR; },
     [](narwhal_plugin& plugin) {
       plugin.worker_init = [](const narwhal_boot* boot, void**) {
         std::thread([boot] { boot->fail(boot, {"x", 1}); }).join();
         return NARWHAL_OK;
       };
     }},
    {"plugin 'planted' called log() with level 9: use NARWHAL_LOG_DEBUG to NARWHAL_LOG_CRITICAL",
     [](void*, narwhal_exchange*) { return NARWHAL_ERROR; },
     [](narwhal_plugin& plugin) {
       plugin.worker_init = [](const narwhal_boot* boot, void**) { return boot->host->log(9, {"x", 1}), NARWHAL_OK; };
     }},
    {"plugin 'planted' called watch() with 'shop.conf': it takes an absolute path of at most 491 bytes",
     [](void*, narwhal_exchange*) { return NARWHAL_ERROR; },
     [](narwhal_plugin& plugin) {
       plugin.worker_init = [](const narwhal_boot* boot, void**) {
         CHECK(boot->host->watch({"shop.conf", 9}) == NARWHAL_REFUSED);
         return NARWHAL_OK;
       };
     }},
    {"plugin 'planted' called left_at_once() outside of worker_exit(): only there it has an answer",
     [](void*, narwhal_exchange*) { return NARWHAL_ERROR; },
     [](narwhal_plugin& plugin) {
       plugin.worker_init = [](const narwhal_boot* boot, void**) { return boot->host->left_at_once(); };
     }},
    {"plugin 'planted' left a thread running in preload(): it would not exist in the workers: start it in "
     "worker_init()",
     [](void*, narwhal_exchange*) { return NARWHAL_ERROR; },
     [](narwhal_plugin& plugin) {
       plugin.preload = [](const narwhal_boot*, void**) {
         helper = std::thread([] { may_leave.wait(false); });
         return NARWHAL_OK;
       };
     },
     {},
     [](Worker&, const ClientRequest&) {},
     {.preload = true}},
};

}  // namespace

TEST_CASE("breaches: a call after the end, without an end, on the wrong thread") {
  for (const Planted& planted : lives) check(planted);
}
TEST_CASE("breaches: memory that is not the plugin's, or not yet again") {
  for (const Planted& planted : memory) check(planted);
}
TEST_CASE("breaches: a plugin that cannot be loaded or set up") {
  for (const Planted& planted : set_ups) check(planted);
}

namespace {

// What the harness says before it aborts the program, a child here, in which a worker has this plugin.
std::string last_words(const std::function<void(narwhal_plugin&)>& adjust, const std::function<void(Worker&)>& play) {
  const int text = ::memfd_create("stderr", MFD_CLOEXEC);
  REQUIRE(text >= 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::signal(SIGABRT, SIG_DFL);
    ::dup2(text, STDERR_FILENO);
    narwhal_plugin plugin{};
    plugin.struct_size = sizeof plugin;
    plugin.name = "planted";
    plugin.worker_init = keep_host;
    plugin.handle = [](void*, narwhal_exchange* exchange) { return respond(exchange); };
    adjust(plugin);
    narwhal::testing::detail::shortest_hang_limit() = std::chrono::milliseconds(100);
    Worker worker(plugin, {.patience = std::chrono::milliseconds(100)});
    play(worker);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));
  char line[256] = "";
  CHECK(::pread(text, line, sizeof line - 1, 0) > 0);
  ::close(text);
  return line;
}

void get(Worker& worker) { worker.get("/shop"); }
void post_hang(narwhal_plugin& plugin) {
  plugin.handle = [](void*, narwhal_exchange* exchange) {
    static_cast<const narwhal_loop*>(host->get_extension(NARWHAL_LOOP))->post([](void*) { ::pause(); }, nullptr);
    return respond(exchange);
  };
}

}  // namespace

TEST_CASE("breaches: a plugin that calls exit() does not end the test program as if its tests had passed") {
  const std::string end = ": it would end the worker with all its requests. Return an error or throw\n";
  const auto said = [&](int (*handle)(void*, narwhal_exchange*)) {
    return last_words([&](narwhal_plugin& plugin) { plugin.handle = handle; }, get);
  };
  CHECK(said([](void*, narwhal_exchange*) -> int { std::exit(0); }) ==
        "narwhal/testing: plugin 'planted' called exit() in handle() for GET /shop" + end);
  CHECK(said([](void*, narwhal_exchange*) -> int { std::quick_exit(0); }) ==
        "narwhal/testing: plugin 'planted' called exit() in handle() for GET /shop" + end);
  CHECK(said([](void*, narwhal_exchange* exchange) {
          std::thread([] { std::exit(0); }).join();
          return respond(exchange);
        }) == "narwhal/testing: plugin 'planted' called exit() in a thread of its own" + end);
}

TEST_CASE(
    "breaches: a function on the event loop that hangs ends the program, because the test's own thread is in it") {
  const std::string end = ", on the event loop: under the server all requests of the worker would hang\n";
  CHECK(last_words([](narwhal_plugin& plugin) { plugin.drain = [](void*) { ::pause(); }; },
                   [](Worker& worker) { worker.drain(); }) ==
        "narwhal/testing: plugin 'planted' hangs in drain()" + end);
  CHECK(last_words(post_hang, [](Worker& worker) {
          worker.get("/shop");
          worker.pass_time();
        }) == "narwhal/testing: plugin 'planted' hangs in a function that it has posted" + end);
}
