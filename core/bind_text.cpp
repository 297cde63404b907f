#include "core/bind_text.hpp"

#include <fmt/format.h>

namespace narwhal {
namespace {

std::string options_text(const BindOptions& options) {
  std::string text;
  const auto add = [&text](const std::string& option) { text += (text.empty() ? "" : "&") + option; };
  if (options.mode) add(fmt::format("mode={:04o}", *options.mode));
  if (!options.owner.empty()) add("owner=" + options.owner);
  if (!options.group.empty()) add("group=" + options.group);
  if (options.backlog) add("backlog=" + std::to_string(*options.backlog));
  if (options.allow_from) add(fmt::format("allow_from={}", fmt::join(options.allow_from->texts(), ",")));
  return text;
}

}  // namespace

std::string_view wire_name(Wire wire) noexcept { return wire_names[static_cast<std::size_t>(wire)]; }

std::string address_text(const Bind& bind) {
  switch (bind.kind) {
    case Bind::Kind::unix_socket: return "unix:" + bind.path;
    case Bind::Kind::inherited: return "fd://" + std::to_string(bind.fd);
    case Bind::Kind::tcp: break;
  }
  const bool bracketed = bind.host.find(':') != std::string::npos;
  return (bracketed ? "[" + bind.host + "]" : bind.host) + ":" + std::to_string(bind.port);
}

std::string bind_text(const Bind& bind) {
  const std::string address = address_text(bind), options = options_text(bind.options);
  const bool needs_mark = !options.empty() || address.find('?') != std::string::npos;
  return address + (needs_mark ? "?" : "") + options;
}

std::string configured_text(const Bind& bind) {
  const std::string text = bind_text(bind);
  return bind.wire ? fmt::format("{}://{}", wire_name(*bind.wire), text) : text;
}

std::string shown_address(std::string_view address, Wire wire) {
  for (const std::string_view name : wire_names) {
    if (address.starts_with(name) && address.substr(name.size()).starts_with("://")) {
      address.remove_prefix(name.size() + 3);
      break;
    }
  }
  const bool is_bare = wire == Wire::http && address.starts_with("unix:");
  return is_bare ? std::string(address) : fmt::format("{}://{}", wire_name(wire), address);
}

std::string_view without_options(std::string_view bind_text) noexcept {
  return bind_text.substr(0, bind_text.rfind('?'));
}

bool same_address(const Bind& left, const Bind& right) {
  return left.kind == right.kind && left.host == right.host && left.port == right.port && left.path == right.path &&
         left.fd == right.fd;
}

}  // namespace narwhal
