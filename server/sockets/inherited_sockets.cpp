#include "server/sockets/inherited_sockets.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

#include "core/bind_text.hpp"

namespace narwhal::server {
namespace {

constexpr std::string_view unix_prefix = "unix:";

std::string_view next_word(std::string_view& line) {
  const std::size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
  return word;
}

template <class Number>
std::optional<Number> next_number(std::string_view& line) {
  const std::string_view word = next_word(line);
  Number number = 0;
  const auto read = std::from_chars(word.data(), word.data() + word.size(), number);
  if (read.ec != std::errc() || read.ptr != word.data() + word.size()) return std::nullopt;
  return number;
}

std::string expected_address(const Bind& bind) {
  return (bind.kind == Bind::Kind::tcp ? "http://" : "") + address_text(bind);
}

}  // namespace

Result<std::string> inheritance_text(const ListenerList& listeners) {
  std::string text;
  for (const auto& listener : listeners) {
    const std::string bind = bind_text(listener->bind);
    if (bind.find('\n') != std::string::npos) return Error{"hand over " + bind + ": its name has more than one line"};
    text += std::to_string(listener->fd.get()) + (listener->activated ? " a " : " b ") +
            std::to_string(listener->file.device) + " " + std::to_string(listener->file.inode) + " " + bind + "\n";
  }
  return text;
}

InheritedSockets::InheritedSockets(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    add(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void InheritedSockets::add(std::string_view line) {
  const auto number = next_number<int>(line);
  const std::string_view kind = next_word(line);
  const auto device = next_number<std::uint64_t>(line), inode = next_number<std::uint64_t>(line);
  if (!number || *number <= STDERR_FILENO || !device || !inode) return;
  if (::fcntl(*number, F_SETFD, FD_CLOEXEC) != 0) return;
  Socket socket{Fd(*number), kind == "a", {}, std::string(line), address_of(*number)};
  if (*inode != 0 && line.starts_with(unix_prefix)) {
    const std::string_view path = without_options(line).substr(unix_prefix.size());
    socket.file = {std::string(path), *device, *inode, ::getpid()};
    files_.push_back(socket.file);
  }
  sockets_.push_back(std::move(socket));
}

std::shared_ptr<Listener> InheritedSockets::take(const Bind& bind) {
  const std::string text = bind_text(bind), address = address_text(bind), shown = expected_address(bind);
  const auto find = [this](auto is_it) { return std::find_if(sockets_.begin(), sockets_.end(), is_it); };
  auto found = find([&](const Socket& each) { return each.bind == text; });
  if (found == sockets_.end()) found = find([&](const Socket& each) { return without_options(each.bind) == address; });
  if (found == sockets_.end()) found = find([&](const Socket& each) { return each.address == shown; });
  if (found == sockets_.end()) return nullptr;
  Socket socket = std::move(*found);
  sockets_.erase(found);
  auto listener = take_over_listener(bind, std::move(socket.fd), std::move(socket.file));
  if (listener != nullptr) listener->has_former_options = socket.bind != text;
  return listener;
}

ListenerList InheritedSockets::take_activated() {
  ListenerList listeners;
  for (Socket& socket : sockets_) {
    if (!socket.activated) continue;
    Bind bind;
    bind.kind = Bind::Kind::inherited;
    bind.fd = socket.fd.get();
    auto listener = take_over_listener(bind, std::move(socket.fd), {});
    if (listener == nullptr) continue;
    listener->activated = true;
    listeners.push_back(std::move(listener));
  }
  std::erase_if(sockets_, [](const Socket& socket) { return !socket.fd; });
  return listeners;
}

}  // namespace narwhal::server
