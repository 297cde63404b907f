#include "plugins/static/codings.hpp"

#include <narwhal/field_parameters.hpp>

#include <optional>

#include "plugins/static/lists.hpp"

namespace narwhal::static_files {
namespace {

constexpr int most = 1000;  // weights are in thousandths

std::optional<int> read_weight(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  int weight = (text[0] - '0') * most, worth = most / 10;
  for (const char c : text.substr(text.size() < 2 ? text.size() : 2)) {
    if (c < '0' || c > '9') return std::nullopt;
    weight += (c - '0') * worth;
    worth /= 10;
  }
  return weight <= most ? std::optional(weight) : std::nullopt;
}

struct Weights {
  std::optional<int> brotli, gzip, identity, others;

  void read(std::string_view element) {
    const std::string_view name = trim(element.substr(0, element.find(';')));
    std::optional<int> weight = most;
    if (name.size() < element.size()) {
      if (const auto text = parameter_of(element, "q")) weight = read_weight(*text);
    }
    if (!weight) return;
    if (equal_ignoring_case(name, "br")) brotli = weight;
    if (equal_ignoring_case(name, "gzip") || equal_ignoring_case(name, "x-gzip")) gzip = weight;
    if (equal_ignoring_case(name, "identity")) identity = weight;
    if (name == "*") others = weight;
  }
};

}  // namespace

Codings preferred_codings(const RequestHeaders& headers) {
  Weights weights;
  for (const HeaderView header : headers) {
    if (!equal_ignoring_case(header.name, "Accept-Encoding")) continue;
    for_each_in_list(header.value, [&](std::string_view element) { weights.read(element); });
  }
  const int brotli = weights.brotli.value_or(weights.others.value_or(0));
  const int gzip = weights.gzip.value_or(weights.others.value_or(0));
  const int identity = weights.identity.value_or(1);
  Codings codings;
  std::size_t count = 0;
  if (brotli >= gzip && brotli > 0 && brotli >= identity) codings[count++] = {"br", ".br"};
  if (gzip > 0 && gzip >= identity) codings[count++] = {"gzip", ".gz"};
  if (brotli < gzip && brotli > 0 && brotli >= identity) codings[count++] = {"br", ".br"};
  return codings;
}

}  // namespace narwhal::static_files
