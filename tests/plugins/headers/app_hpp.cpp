// app.hpp on its own: every macro, every kind of response, and the names of the server's own headers beside it.
#include <narwhal/app.hpp>
#include <narwhal/router.hpp>

#include "core/bytes.hpp"
#include "core/config.hpp"
#include "core/log.hpp"
#include "core/result.hpp"

namespace {

struct Shop {
  explicit Shop(const narwhal::Boot& boot)
      : currency(boot.get("currency", "EUR")),
        router(narwhal::Router()
                   .get("/", [](const narwhal::Request&) { return narwhal::Response::html("<h1>Shop</h1>"); })
                   .get("/item/<int:id>", [this](const narwhal::Request& request) { return item(request); })) {}
  narwhal::Response operator()(const narwhal::Request& request) { return router(request); }
  narwhal::Response item(const narwhal::Request& request) const {
    return narwhal::Response::json("{\"id\": " + std::string(request.parameter("id")) + ", \"in\": \"" + currency +
                                   "\"}");
  }
  std::string currency;
  narwhal::Router router;
};

}  // namespace

NARWHAL_PLUGIN(Shop(boot), .name = "shop", .version = "1.2", .flags = NARWHAL_STREAM_BODY,
               .options = {{"currency", "string", "EUR", "what prices are in"}, {"limit", "int"}})
