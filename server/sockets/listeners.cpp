#include "server/sockets/listeners.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "core/bind_text.hpp"
#include "core/log.hpp"
#include "core/privileges.hpp"
#include "server/sockets/open_listener.hpp"
#include "server/sockets/socket_activation.hpp"

namespace narwhal::server {
namespace {

// As Gunicorn shows an address in its errors: ('127.0.0.1', 8000), or a Unix socket's path.
std::string tuple_text(const Bind& bind) {
  if (bind.kind == Bind::Kind::unix_socket) return bind.path;
  if (bind.kind == Bind::Kind::inherited) return address_text(bind);
  return "('" + bind.host + "', " + std::to_string(bind.port) + ")";
}

bool is_ipv6(const Bind& bind) { return bind.kind == Bind::Kind::tcp && bind.host.find(':') != std::string::npos; }

// [::]:8000 accepts IPv4 clients too, as users of containers expect, unless another bind uses that port for IPv4.
bool shares_port_with_ipv4(const Bind& bind, const std::vector<Bind>& all) {
  return std::any_of(all.begin(), all.end(), [&bind](const Bind& other) {
    return other.kind == Bind::Kind::tcp && !is_ipv6(other) && other.port == bind.port && other.port != 0;
  });
}

// The options of the bind come before the settings.
Result<Done> read_rights(const Bind& bind, SocketRights& rights) {
  const auto error = [&bind](const std::string& reason) {
    return Error{"bind " + address_text(bind) + ": " + reason + ": create it, or give another one"};
  };
  if (bind.options.mode) rights.mode = *bind.options.mode;
  if (!bind.options.owner.empty()) {
    const auto owner = resolve_identity(bind.options.owner, "");
    if (!owner) return error("owner: " + owner.error());
    rights.uid = owner->uid;
    rights.uid_source = "option 'owner'";
  }
  if (!bind.options.group.empty()) {
    const auto group = resolve_identity("", bind.options.group);
    if (!group) return error("group: " + group.error());
    rights.gid = group->gid;
    rights.gid_source = "option 'group'";
  }
  return Done{};
}

Result<ListenOptions> options_for(const Bind& bind, const Config& config) {
  const auto owner = resolve_identity(config.user, config.group);
  if (!owner) return Error{owner.error()};
  ListenOptions options;
  options.backlog = bind.options.backlog.value_or(config.backlog);
  options.reuse_port = config.reuse_port;
  options.v6_only = is_ipv6(bind) && shares_port_with_ipv4(bind, config.bind);
  options.rights.umask = static_cast<mode_t>(config.umask);
  options.rights.uid = owner->uid;
  options.rights.gid = owner->gid;
  if (const auto read = read_rights(bind, options.rights); !read) return Error{read.error()};
  return options;
}

// Port 0 means another free port each time, so it may appear twice; nothing else may.
std::optional<Error> check_distinct(const std::vector<Bind>& binds) {
  for (std::size_t i = 0; i < binds.size(); ++i) {
    if (binds[i].kind == Bind::Kind::tcp && binds[i].port == 0) continue;
    const auto same = [&](const Bind& other) { return same_address(other, binds[i]); };
    if (std::count_if(binds.begin(), binds.end(), same) > 1) {
      return Error{"bind " + address_text(binds[i]) + ": appears twice"};
    }
  }
  return std::nullopt;
}

Opened open_with_retry(const Bind& bind, const ListenOptions& options, Retry retry) {
  for (int attempt = 1;; ++attempt) {
    Opened opened = open_listener(bind, options);
    if (opened.listener) return opened;
    const std::string address = tuple_text(bind);
    if (opened.code == EADDRINUSE) log::error("Connection in use: {}", address);
    if (opened.code == EADDRNOTAVAIL) log::error("Invalid address: {}", address);
    log::error("connection to {} failed: {}", address, opened.reason);
    if (opened.code != EADDRINUSE || attempt >= retry.attempts) return opened;
    log::debug("Retrying in {} ms.", retry.pause.count());
    std::this_thread::sleep_for(retry.pause);
  }
}

Result<ListenerList> adopt_activated(const std::vector<int>& sockets, const Config& config) {
  ListenOptions options;
  options.backlog = config.backlog;
  ListenerList listeners;
  for (const int fd : sockets) {
    Opened opened = adopt_listener(fd, options);
    if (!opened.listener) return Error{"socket activation: " + opened.reason};
    opened.listener->activated = true;
    listeners.push_back(std::move(opened.listener));
  }
  return listeners;
}

bool holds_descriptor(const ListenerList& listeners, int fd) {
  return std::any_of(listeners.begin(), listeners.end(), [fd](const auto& one) { return one->fd.get() == fd; });
}

std::shared_ptr<Listener> take_unchanged(ListenerList& left, const Bind& bind) {
  const auto found =
      std::find_if(left.begin(), left.end(), [&bind](const auto& one) { return same_address(one->bind, bind); });
  if (found == left.end()) return nullptr;
  if (has_lost_file(bind)) {
    log::warning("{} was removed: listening on a new socket there", bind.path);
    return nullptr;
  }
  auto listener = std::move(*found);
  left.erase(found);
  return listener;
}

// 0.0.0.0:8000 cannot be bound while our own 127.0.0.1:8000 serves, and that serves until the reload has succeeded.
std::string blame_own(const Bind& bind, const ListenerList& current) {
  for (const auto& one : current) {
    if (bind.kind == Bind::Kind::tcp && one->bind.kind == Bind::Kind::tcp && one->bind.port == bind.port) {
      return " (this server's own " + one->address + " uses the port: restart narwhal to change it)";
    }
  }
  return {};
}

Opened open_for_reload(const Bind& bind, const ListenOptions& options, const ListenerList& current) {
  if (bind.kind == Bind::Kind::inherited && holds_descriptor(current, bind.fd)) {
    return {nullptr, 0, "bind " + address_text(bind) + ": this descriptor belongs to the server itself"};
  }
  Opened opened = open_listener(bind, options);
  if (opened.code == EADDRINUSE) opened.reason += blame_own(bind, current);
  return opened;
}

bool has_file(const Listener& listener) { return !listener.file.path.empty(); }

bool has_new_options(const Listener& listener, const Bind& bind) {
  return listener.has_former_options || listener.bind.options != bind.options;
}

// What the workers speak there is in their settings; here it is for the log and the status.
void show_wires(const Config& config, const ListenerList& listeners) {
  for (std::size_t index = 0; index < listeners.size(); ++index) {
    const bool has_bind = !listeners[index]->activated && index < config.bind.size();
    const Wire wire = has_bind ? config.bind[index].wire.value_or(config.protocol) : config.protocol;
    listeners[index]->address = shown_address(listeners[index]->address, wire);
  }
}

Result<Done> check_new_options(const Listener& listener, const Bind& bind, const ListenOptions& options) {
  if (!has_file(listener) || !has_new_options(listener, bind)) return Done{};
  const auto possible = check_rights(listener.file, options.rights);
  return possible ? possible : Error{"bind " + address_text(bind) + ": " + possible.error()};
}

Result<ListenerList> open_at_start(const Config& config, InheritedSockets& inherited, Retry retry) {
  const auto sockets = take_activation();
  if (ListenerList activated = inherited.take_activated(); !activated.empty()) return activated;
  if (!sockets.empty()) return adopt_activated(sockets, config);
  if (const auto possible = check_binds(config); !possible) return Error{possible.error()};
  ListenerList listeners;
  for (const Bind& bind : config.bind) {
    const auto options = options_for(bind, config);
    if (!options) return Error{options.error()};
    if (auto listener = has_lost_file(bind) ? nullptr : inherited.take(bind)) {
      if (const auto possible = check_new_options(*listener, bind, *options); !possible) return Error{possible.error()};
      listeners.push_back(std::move(listener));
      continue;
    }
    Opened opened = open_with_retry(bind, *options, retry);
    if (!opened.listener) return Error{"Can't connect to " + tuple_text(bind) + ": " + opened.reason};
    listeners.push_back(std::move(opened.listener));
  }
  return listeners;
}

}  // namespace

bool has_lost_file(const Bind& bind) {
  return bind.kind == Bind::Kind::unix_socket && ::access(bind.path.c_str(), F_OK) != 0 && errno == ENOENT;
}

Result<Done> check_binds(const Config& config) {
  if (auto fault = check_distinct(config.bind)) return *fault;
  for (const Bind& bind : config.bind) {
    if (const auto options = options_for(bind, config); !options) return Error{options.error()};
  }
  return Done{};
}

Result<ListenerList> listen_at_start(const Config& config, Retry retry) {
  InheritedSockets none;
  return listen_at_start(config, none, retry);
}

Result<ListenerList> listen_at_start(const Config& config, InheritedSockets& inherited, Retry retry) {
  Result<ListenerList> listeners = open_at_start(config, inherited, retry);
  if (listeners) show_wires(config, *listeners);
  return listeners;
}

Result<ListenerList> listen_for_reload(const Config& next, const ListenerList& current) {
  if (!current.empty() && current.front()->activated) return current;
  if (const auto possible = check_binds(next); !possible) return Error{possible.error()};
  ListenerList left = current;
  ListenerList listeners;
  for (const Bind& bind : next.bind) {
    const auto options = options_for(bind, next);
    if (!options) return Error{options.error()};
    auto listener = take_unchanged(left, bind);
    if (listener == nullptr) {
      Opened opened = open_for_reload(bind, *options, current);
      if (!opened.listener) return Error{opened.reason};
      listener = std::move(opened.listener);
    } else if (const auto possible = check_new_options(*listener, bind, *options); !possible) {
      return Error{possible.error()};
    }
    listeners.push_back(std::move(listener));
  }
  return listeners;
}

void apply_options(const Config& config, const ListenerList& listeners) {
  show_wires(config, listeners);
  if (!listeners.empty() && listeners.front()->activated) return;
  for (std::size_t index = 0; index < std::min(listeners.size(), config.bind.size()); ++index) {
    Listener& listener = *listeners[index];
    const Bind& bind = config.bind[index];
    const auto options = options_for(bind, config);
    if (!options) {  // a user was removed meanwhile
      log::error("{}; the socket stays as it is", options.error());
      continue;
    }
    // On a listening socket this only changes the backlog.
    if (bind.kind != Bind::Kind::inherited) ::listen(listener.fd.get(), static_cast<int>(options->backlog));
    if (!has_new_options(listener, bind)) continue;
    const auto changed = has_file(listener) ? change_rights(listener.file, options->rights) : Done{};
    if (!changed) log::error("bind {}: {}", address_text(bind), changed.error());
    listener.bind.options = bind.options;
    listener.has_former_options = false;
  }
}

}  // namespace narwhal::server
