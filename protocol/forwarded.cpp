#include "protocol/forwarded.hpp"

#include <optional>
#include <utility>

#include "protocol/characters.hpp"
#include "protocol/field_values.hpp"

namespace narwhal::protocol {
namespace {

// One entry that is an address; nothing when it is none.
struct Hop {
  std::string_view text;
  IpAddress address;
};
using Entry = std::optional<Hop>;

Entry hop_of(std::string_view text) noexcept {
  const auto address = IpAddress::parse(text);
  return address ? Entry(Hop{text, *address}) : std::nullopt;
}

// RFC 7239 6: a port's number, or a name for one.
bool is_port(std::string_view text) noexcept {
  if (text.starts_with('_')) return text.size() > 1 && all(text.substr(1), bytes::token);
  return !text.empty() && text.size() <= 5 && all(text, bytes::digit);
}

// "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]", "[2001:db8::1]:80".
Entry node(std::string_view text) noexcept {
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    const std::string_view inner = text.substr(1, close - 1), rest = text.substr(close + 1);
    const bool fits = rest.empty() || (rest.front() == ':' && is_port(rest.substr(1)));
    return fits && inner.find(':') != std::string_view::npos ? hop_of(inner) : std::nullopt;
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return hop_of(text);
  return is_port(text.substr(colon + 1)) ? hop_of(text.substr(0, colon)) : std::nullopt;
}

// ---- X-Forwarded-For: nothing in it is quoted, so it can be read from its end ----

Entry plain_entry(std::string_view text) noexcept {
  const Entry bare = hop_of(text);
  return bare ? bare : node(text);
}

struct Walk {
  bool any = false;  // somebody said whom it was asked by, in a field of this name
  Entry client;      // nothing: the peer is
  bool broken = false;
};

Walk walk_plain(std::span<const Field> fields, const IpRanges& trusted) noexcept {
  Walk walk;
  for (std::size_t index = fields.size(); index-- != 0;) {
    if (!same_token(fields[index].name, "x-forwarded-for")) continue;
    for (std::string_view rest = fields[index].value; !rest.empty();) {
      const std::size_t comma = rest.rfind(',');
      const std::string_view member = trimmed(comma == std::string_view::npos ? rest : rest.substr(comma + 1));
      rest = rest.substr(0, comma == std::string_view::npos ? 0 : comma);
      if (member.empty()) continue;
      walk.any = true;
      const Entry entry = plain_entry(member);
      if (!entry) return walk;
      walk.client = entry;
      if (!trusted.contains(entry->address)) return walk;
    }
  }
  return walk;
}

// ---- Forwarded: its quotes can only be paired from the start ----

// "for=192.0.2.60;proto=https"
struct Element {
  bool empty = true;   // it has no pair at all
  bool named = false;  // it says whom its writer was asked by
  Entry hop;
};

// One line of Forwarded, element by element.
class ElementReader {
 public:
  explicit ElementReader(std::string_view line) noexcept : rest_(line) {}

  bool at_end() const noexcept { return rest_.empty(); }
  // False: the line is broken.
  bool next(Element& element) noexcept {
    element = {};
    while (true) {
      skip_blanks();
      if (rest_.empty()) return true;
      if (const char c = rest_.front(); c == ',' || c == ';') {
        rest_.remove_prefix(1);
        if (c == ',') return true;
        continue;
      }
      element.empty = false;
      if (!pair(element)) return false;
      skip_blanks();
      if (!rest_.empty() && rest_.front() != ',' && rest_.front() != ';') return false;
    }
  }

 private:
  void skip_blanks() noexcept {
    while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
  }

  // name "=" (token / quoted-string)
  bool pair(Element& element) noexcept {
    const std::string_view name = take_while(bytes::token);
    if (name.empty() || !rest_.starts_with('=')) return false;
    rest_.remove_prefix(1);
    std::string_view value;
    const bool quoted = rest_.starts_with('"');
    if (quoted ? !take_quoted(value) : (value = take_bare()).empty()) return false;
    if (!same_token(name, "for")) return true;
    const bool well_formed = quoted || all(value, bytes::token);  // a port and IPv6 must be quoted
    const bool twice = std::exchange(element.named, true);
    element.hop = well_formed && !twice ? node(value) : std::nullopt;
    return true;
  }

  std::string_view take_while(std::uint8_t kind) noexcept {
    std::size_t size = 0;
    while (size < rest_.size() && is(rest_[size], kind)) ++size;
    return take(size);
  }

  // Up to what ends a value; a quote is not a part of one, so that it is found to be out of place.
  std::string_view take_bare() noexcept {
    const std::size_t size = rest_.find_first_of(",;\" \t");
    return take(size == std::string_view::npos ? rest_.size() : size);
  }

  // What is escaped stays so: no address needs it, so none is found in it.
  bool take_quoted(std::string_view& value) noexcept {
    for (std::size_t at = 1; at < rest_.size(); ++at) {
      if (rest_[at] == '\\') {
        ++at;
      } else if (rest_[at] == '"') {
        value = rest_.substr(1, at - 1);
        rest_.remove_prefix(at + 1);
        return true;
      }
    }
    return false;
  }

  std::string_view take(std::size_t size) noexcept {
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
};

// The walk from the end, done from the start: what each entry would make of all that came before it.
Walk walk_elements(std::span<const Field> fields, const IpRanges& trusted) noexcept {
  Walk walk;
  for (const Field& field : fields) {
    if (!same_token(field.name, "forwarded")) continue;
    for (ElementReader reader(field.value); !reader.at_end();) {
      Element element;
      walk.broken = !reader.next(element);
      if (walk.broken) {
        walk.client.reset();
        break;
      }
      if (element.empty) continue;
      walk.any = walk.any || element.named;
      const bool goes_on = element.hop && walk.client && trusted.contains(element.hop->address);
      if (!goes_on) walk.client = element.hop;
    }
  }
  return walk;
}

bool same_client(const Entry& left, const Entry& right) noexcept {
  return left && right ? left->address == right->address : !left && !right;
}

// The members of X-Forwarded-For from the first on, over all lines.
class PlainReader {
 public:
  explicit PlainReader(std::span<const Field> fields) noexcept : fields_(fields) {}

  // Nothing: the list has ended, or this member is not an address.
  Entry next() noexcept {
    while (true) {
      while (rest_.empty()) {
        if (fields_.empty()) return std::nullopt;
        if (same_token(fields_.front().name, "x-forwarded-for")) rest_ = fields_.front().value;
        fields_ = fields_.subspan(1);
      }
      const std::size_t comma = rest_.find(',');
      const std::string_view member = trimmed(rest_.substr(0, comma));
      rest_.remove_prefix(comma == std::string_view::npos ? rest_.size() : comma + 1);
      if (!member.empty()) return plain_entry(member);
    }
  }

 private:
  std::span<const Field> fields_;
  std::string_view rest_;
};

// Whether each hop of Forwarded is the hop at the same place of X-Forwarded-For. The lines of Forwarded are sound.
bool names_first_hops(std::span<const Field> fields) noexcept {
  PlainReader plain(fields);
  for (const Field& field : fields) {
    if (!same_token(field.name, "forwarded")) continue;
    for (ElementReader reader(field.value); !reader.at_end();) {
      Element element;
      if (!reader.next(element)) return false;
      if (element.empty) continue;
      const Entry hop = plain.next();
      if (!hop || !same_client(hop, element.hop)) return false;
    }
  }
  return true;
}

}  // namespace

Client resolve_client(std::span<const Field> fields, std::string_view peer, const IpRanges& trusted,
                      ClientHeader counts) noexcept {
  const Walk plain = counts != ClientHeader::forwarded ? walk_plain(fields, trusted) : Walk{};
  const Walk elements = counts != ClientHeader::x_forwarded_for ? walk_elements(fields, trusted) : Walk{};
  if (elements.broken) return {{}, {400, "malformed Forwarded"}};
  if (plain.any && elements.any && !same_client(plain.client, elements.client) && !names_first_hops(fields)) {
    return {{}, {400, "X-Forwarded-For and Forwarded disagree: drop one, or set client_header"}};
  }
  const Entry& client = plain.any ? plain.client : elements.client;
  return {client ? client->text : peer, {}};
}

}  // namespace narwhal::protocol
