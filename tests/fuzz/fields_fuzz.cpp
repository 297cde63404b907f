// Cookies, parameters of fields and queries: what is found lies in the text, and nothing reads beyond it.
#include <algorithm>
#include <memory>
#include <string>

#include "narwhal/cookies.hpp"
#include "narwhal/field_parameters.hpp"
#include "tests/fuzz/cuts.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using narwhal::fuzz::must;
  // Exactly so large, so that the sanitizer sees one byte too many.
  const auto bytes = std::make_unique<char[]>(size);
  std::copy_n(reinterpret_cast<const char*>(data), size, bytes.get());
  const std::string_view text(bytes.get(), size);
  narwhal::for_each_cookie(text, [&](std::string_view name, std::string_view value) {
    must(!name.empty() && name.find_first_of(";=") == name.npos, "a cookie's name ends where it should");
    must(value.find(';') == value.npos, "a cookie's value ends where it should");
    must(value.data() >= text.data() && value.data() + value.size() <= text.data() + text.size(), "a view of the text");
    if (!narwhal::detail::is_token(name) || !narwhal::detail::is_cookie_value(value)) return;
    const std::string field =
        narwhal::write_set_cookie({.name = std::string(name), .value = std::string(value), .secure = true});
    must(field.starts_with(std::string(name) + "=" + std::string(value) + "; "), "what was read can be set");
  });
  std::size_t total = 0;
  narwhal::for_each_parameter(
      text, [&](std::string_view name, const std::string& value) { total += name.size() + value.size(); });
  must(total <= size, "parameters are parts of the text");
  total = 0;
  for (const auto& [name, value] : narwhal::decode_query(text)) total += name.size() + value.size();
  must(total <= size, "decoding does not add bytes");
  return 0;
}
