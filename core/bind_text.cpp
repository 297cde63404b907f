#include "core/bind_text.hpp"

namespace narwhal {

std::string bind_text(const Bind& bind) {
  switch (bind.kind) {
    case Bind::Kind::unix_socket: return "unix:" + bind.path;
    case Bind::Kind::inherited: return "fd://" + std::to_string(bind.fd);
    case Bind::Kind::tcp: break;
  }
  const bool bracketed = bind.host.find(':') != std::string::npos;
  return (bracketed ? "[" + bind.host + "]" : bind.host) + ":" + std::to_string(bind.port);
}

}  // namespace narwhal
