// X-Forwarded-For and Forwarded, one line each in turn. Promises: the client is an address that stands in a field, or the
// peer; lines joined by a comma mean what they mean apart; what a trusted proxy adds last and is not trusted itself wins.
#include <string>
#include <vector>

#include "protocol/forwarded.hpp"
#include "tests/fuzz/cuts.hpp"
#include "tests/wire/exact_copy.hpp"

namespace {

using namespace narwhal;
using namespace narwhal::protocol;
using fuzz::must;

constexpr std::string_view peer = "the peer";
constexpr std::string_view added = "203.0.113.77";
const IpRanges trusted("10.0.0.0/8,127.0.0.1,fd00::/8,::1");

bool lies_in(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

Client resolve(const std::vector<Field>& fields) {
  const Client client = resolve_client(fields, peer, trusted);
  must(!client.refusal || client.address.empty(), "a refusal names nobody");
  if (client.refusal || client.address.data() == peer.data()) return client;
  bool found = false;
  for (const Field& field : fields) found = found || lies_in(client.address, field.value);
  must(found, "the client stands in a field");
  must(IpAddress::parse(client.address).has_value(), "the client is an address");
  return client;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += (all.empty() ? "" : ",") + line;
  return all;
}

std::vector<Field> fields_of(std::string_view name, const std::vector<std::string>& lines) {
  std::vector<Field> fields;
  for (const std::string& line : lines) fields.push_back({name, std::string_view(line)});
  return fields;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> plain, elements;
  std::vector<Field> both;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  for (bool is_plain = true; !rest.empty(); is_plain = !is_plain) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    (is_plain ? plain : elements).emplace_back(line);
  }
  std::vector<Field> plain_fields = fields_of("X-Forwarded-For", plain);
  std::vector<Field> element_fields = fields_of("forwarded", elements);
  const Client by_plain = resolve(plain_fields), by_elements = resolve(element_fields);
  must(!by_plain.refusal, "nothing in X-Forwarded-For alone is refused");

  both = plain_fields;
  both.insert(both.end(), element_fields.begin(), element_fields.end());
  const Client by_both = resolve(both);
  if (!by_both.refusal)
    must(by_both.address == by_plain.address || by_both.address == by_elements.address, "one of the two");

  const std::string one_line = joined(plain);
  must(resolve({{std::string_view("X-Forwarded-For"), std::string_view(one_line)}}).address == by_plain.address,
       "lines are one list");

  plain_fields.push_back({std::string_view("X-Forwarded-For"), added});
  must(resolve(plain_fields).address == added, "whom the proxy in front saw is the client");
  element_fields.push_back({std::string_view("Forwarded"), std::string_view("for=203.0.113.77")});
  must(resolve(element_fields).address == added, "whom the proxy in front saw is the client");

  // In one line, a client's open quote may hide what the proxy adds; it may not make anybody else of it.
  const std::string appended = joined(elements) + ", for=203.0.113.77";
  const Client by_appended = resolve({{std::string_view("Forwarded"), std::string_view(appended)}});
  must(by_appended.refusal || by_appended.address == added, "nobody passes for somebody else");
  return 0;
}
