// JSON by nlohmann-json (Debian: nlohmann-json3-dev), for those who include this header.
//   const nlohmann::json order = narwhal::json_body(request);
//   return narwhal::json_response({{"id", 7}}, 201);
// Ownership  values.
// Errors     json_body(): HttpError 400 with the place of the fault, 413 for a body that is too large, 415 for another
//            type; what Request::read() throws. json_response(): bytes that are not UTF-8 are replaced by U+FFFD.
// Threads    any; json_body() where Request::read() may be called.
// Source     RFC 8259.
#pragma once

#include <narwhal/form.hpp>
#include <narwhal/response.hpp>

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace narwhal {

struct JsonLimits {
  std::size_t body_bytes = 1024 * 1024;
  std::size_t depth = 100;  // arrays and objects within each other
};

namespace detail {

// "line 3, column 7" of the byte at `at`, which is counted from 1.
inline std::string place_in(std::string_view text, std::size_t at) {
  const std::string_view before = text.substr(0, at == 0 ? 0 : at - 1);
  std::size_t line = 1;
  for (const char c : before) line += c == '\n' ? 1 : 0;
  const std::size_t newline = before.rfind('\n');
  const std::size_t column = newline == before.npos ? before.size() + 1 : before.size() - newline;
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

// Before the parser, which would use one frame of the stack for each.
inline bool is_deeper(std::string_view text, std::size_t most) noexcept {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && (text[i] == '[' || text[i] == '{')) {
      if (++depth > most) return true;
    } else if (!quoted && (text[i] == ']' || text[i] == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

}  // namespace detail

inline nlohmann::json parse_json(std::string_view text, JsonLimits limits = {}) {
  if (detail::is_deeper(text, limits.depth)) throw HttpError(400, "the JSON is nested too deeply");
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    throw HttpError(400, "the JSON is not well formed: " + detail::place_in(text, error.byte));
  } catch (const nlohmann::json::out_of_range&) {
    throw HttpError(400, "the JSON has a number that is too large");
  }
}

// The type must be application/json or end in +json (RFC 6839 3.1).
inline nlohmann::json json_body(const Request& request, JsonLimits limits = {}) {
  const std::string_view type = media_type(request.header("Content-Type").value_or(""));
  constexpr std::string_view suffix = "+json";
  const bool suffixed =
      type.size() > suffix.size() && equal_ignoring_case(type.substr(type.size() - suffix.size()), suffix);
  if (!equal_ignoring_case(type, "application/json") && !suffixed) {
    throw HttpError(415, "the body must be application/json");
  }
  return parse_json(detail::read_whole(request, limits.body_bytes), limits);
}

// The member as a T. HttpError 400 that names it when it is missing or of another type.
template <class T>
T json_member(const nlohmann::json& object, const char* name) {
  if (!object.is_object() || !object.contains(name)) {
    throw HttpError(400, std::string("the JSON member '") + name + "' is missing");
  }
  try {
    return object.at(name).get<T>();
  } catch (const nlohmann::json::exception&) {
    throw HttpError(400, std::string("the JSON member '") + name + "' is not of the type that is needed");
  }
}

inline Response json_response(const nlohmann::json& value, int status = 200) {
  return Response::json(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), status);
}

}  // namespace narwhal
