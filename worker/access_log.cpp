#include "worker/access_log.hpp"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <new>

#include "core/escape.hpp"
#include "core/log.hpp"
#include "core/write_all.hpp"
#include "narwhal/text.hpp"
#include "protocol/percent.hpp"
#include "worker/exchange.hpp"

namespace narwhal::worker {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t value_bytes_max = 8 * 1024;  // of one atom, before it is escaped
constexpr std::size_t batch_bytes_max = 64 * 1024;
constexpr std::string_view known_atoms = "hclutrmUqHsBbfaTDMLp";

// User name of "Basic dXNlcjpwYXNz".
std::string basic_user(std::string_view authorization) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (authorization.size() < 6 || strncasecmp(authorization.data(), "basic ", 6) != 0) return {};
  std::string decoded;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : authorization.substr(6)) {
    const std::size_t value = alphabet.find(c);
    if (value == std::string_view::npos) break;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    if ((count += 6) < 8) continue;
    count -= 8;
    decoded += static_cast<char>(bits >> count & 0xff);
  }
  const std::size_t colon = decoded.find(':');
  return colon == std::string::npos ? std::string() : decoded.substr(0, colon);
}

// A field of the response head as it was sent.
std::string_view response_field(std::string_view head, std::string_view name) {
  while (true) {
    const std::size_t line_end = head.find("\r\n");
    if (line_end == std::string_view::npos) return {};
    head.remove_prefix(line_end + 2);
    if (head.size() > name.size() && head[name.size()] == ':' &&
        strncasecmp(head.data(), name.data(), name.size()) == 0) {
      head.remove_prefix(name.size() + 2);
      return head.substr(0, head.find("\r\n"));
    }
  }
}

}  // namespace

void AccessLog::open(int descriptor, const std::string& format) {
  fd_ = descriptor;
  pieces_ = compile(format);
}

Result<Done> AccessLog::follow(const Fd& file) {
  flush();
  if (fd_ < 0) return Done{};
  if (::dup3(file.get(), fd_, O_CLOEXEC) < 0) return errno_error("reopen the access log");
  return Done{};
}

// Text that is not an atom stays as it is, as in Python's formatting: "100%%" is "100%".
std::vector<AccessLog::Piece> AccessLog::compile(const std::string& format) {
  std::vector<Piece> pieces;
  std::string literal;
  const auto end_literal = [&] {
    if (!literal.empty()) pieces.push_back({0, std::exchange(literal, {})});
  };
  for (std::size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%' || at + 1 == format.size()) {
      literal += format[at];
      continue;
    }
    const std::size_t close = format.find(')', at);
    if (format[at + 1] == '%') {
      literal += '%';
      ++at;
    } else if (format[at + 1] == '(' && close != std::string::npos && close + 1 < format.size() &&
               format[close + 1] == 's') {
      const std::string name = format.substr(at + 2, close - at - 2);
      end_literal();
      if (name.size() == 1 && known_atoms.find(name[0]) != std::string_view::npos) {
        pieces.push_back({name[0], {}});
      } else if (name.size() > 3 && name[0] == '{' && name[name.size() - 2] == '}' &&
                 std::strchr("ioe", name.back()) != nullptr) {
        std::string inner = name.substr(1, name.size() - 3);
        if (name.back() == 'e') std::transform(inner.begin(), inner.end(), inner.begin(), ::toupper);
        pieces.push_back({name.back(), std::move(inner)});
      } else {
        literal += '-';
      }
      at = close + 1;
    } else {
      literal += format[at];
    }
  }
  end_literal();
  return pieces;
}

void AccessLog::add(const Exchange& exchange, const Answered& answered, Instant now) noexcept {
  const std::size_t before = lines_.size();
  try {
    add_line(exchange, answered, now);
  } catch (const std::bad_alloc&) {
    lines_.resize(before);  // the whole line is left out, not half of it
    log::error("out of memory: a line of the access log is lost");
  }
  if (lines_.size() > batch_bytes_max) flush();
}

void AccessLog::add_line(const Exchange& exchange, const Answered& answered, Instant now) {
  for (const Piece& piece : pieces_) {
    if (piece.atom == 0) {
      lines_ += piece.text;
    } else {
      add_atom(piece, exchange, answered, now);
    }
  }
  lines_ += '\n';
}

void AccessLog::add_atom(const Piece& piece, const Exchange& exchange, const Answered& answered, Instant now) {
  const protocol::Head& head = exchange.head;
  // Without a method nothing of a refused request was understood.
  const std::string_view protocol = head.method.size == 0 ? "-" : head.minor == 1 ? "HTTP/1.1" : "HTTP/1.0";
  const auto took = std::max(now - exchange.started, std::chrono::nanoseconds::zero());
  const auto out = std::back_inserter(lines_);
  switch (piece.atom) {
    case 'h': lines_ += exchange.peer.text(); return;
    case 'c': return add_escaped(exchange.client_address());
    case 'l': lines_ += '-'; return;
    case 'u': return add_escaped(basic_user(head.field("authorization")));
    case 't': return add_time();
    case 'r':
      if (head.method.size == 0) return add_escaped({});
      add_escaped(head.method);
      lines_ += ' ';
      add_escaped(head.target);
      lines_ += ' ';
      lines_ += protocol;
      return;
    case 'm': return add_escaped(head.method);
    case 'U': {
      std::string decoded(head.path.size, '\0');
      const auto size = protocol::percent_decode(head.path, decoded.data());
      return add_escaped(size ? std::string_view(decoded).substr(0, *size) : std::string_view(head.path));
    }
    case 'q':
      if (head.query.size != 0) add_escaped(head.query);
      return;
    case 'H': lines_ += protocol; return;
    case 's': fmt::format_to(out, "{}", answered.status); return;
    case 'B':
    case 'b': fmt::format_to(out, "{}", answered.body_bytes); return;
    case 'f': return add_escaped(head.field("referer"));
    case 'a': return add_escaped(head.field("user-agent"));
    case 'T': fmt::format_to(out, "{}", took / 1s); return;
    case 'M': fmt::format_to(out, "{}", took / 1ms); return;
    case 'D': fmt::format_to(out, "{}", took / 1us); return;
    case 'L': fmt::format_to(out, "{}.{:06}", took / 1s, took / 1us % 1'000'000); return;
    case 'p': fmt::format_to(out, "<{}>", ::getpid()); return;
    case 'i': return add_escaped(head.field(piece.text));
    case 'o':
      return add_escaped(answered.own ? response_field(exchange.response.bytes().head(), piece.text)
                                      : std::string_view());
    default: break;
  }
  // {name}e: a variable. To make it may take memory of the exchange's arena.
  if (exchange.mount == nullptr || !answered.own) return add_escaped({});
  add_escaped(view_of(const_cast<Exchange&>(exchange).variable(piece.text)));
}

void AccessLog::add_escaped(std::string_view value) {
  if (value.empty()) {
    lines_ += '-';
    return;
  }
  value = value.substr(0, value_bytes_max);  // before it is escaped: no escape may be cut in two
  if (value.find_first_of("\"\\") == std::string_view::npos) {
    append_escaped(lines_, value);
    return;
  }
  std::string quoted;  // Gunicorn escapes the quote alone; a backslash too, or \x22 could be forged
  for (const char c : value) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  append_escaped(lines_, quoted);
}

void AccessLog::add_time() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != time_second_) {
    tm local{};
    ::localtime_r(&now.tv_sec, &local);
    char text[64];
    time_text_.assign(text, ::strftime(text, sizeof text, "[%d/%b/%Y:%H:%M:%S %z]", &local));
    time_second_ = now.tv_sec;
  }
  lines_ += time_text_;
}

void AccessLog::flush() noexcept {
  // A full disk costs lines, not requests.
  [[maybe_unused]] const bool written = fd_ < 0 || write_all(fd_, lines_);
  lines_.clear();
}

}  // namespace narwhal::worker
