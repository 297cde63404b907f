#include "server/prepare.hpp"

#include <utility>

namespace narwhal::server {
namespace {

Prepared assemble(const Config& config, std::uint64_t number, Result<ListenerList> listeners) {
  if (!listeners) return Refusal{"bind", listeners.error()};
  auto identity = resolve_identity(config.user, config.group);
  if (!identity) return Refusal{"config", identity.error()};
  auto generation = std::make_shared<Generation>();
  generation->number = number;
  generation->config = config;
  for (const Route& route : config.routes) generation->plugins.push_back({route.app, route.app, ""});
  return Plan{std::move(generation), *std::move(listeners), nullptr, *std::move(identity)};
}

}  // namespace

Prepared prepare_first(const Config& config) { return assemble(config, 1, listen_at_start(config)); }

Prepared prepare_next(const Config& config, std::uint64_t number, const ListenerList& running) {
  return assemble(config, number, listen_for_reload(config, running));
}

Prepared prepare_again(const Plan& earlier, std::uint64_t number, const ListenerList& running) {
  auto listeners = listen_for_reload(earlier.config(), running);
  if (!listeners) return Refusal{"bind", listeners.error()};
  auto generation = std::make_shared<Generation>(*earlier.generation);
  generation->number = number;
  return Plan{std::move(generation), *std::move(listeners), earlier.staged, earlier.identity};
}

}  // namespace narwhal::server
