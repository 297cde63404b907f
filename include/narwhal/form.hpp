// Forms of the type application/x-www-form-urlencoded. For uploads: multipart.hpp.
//   const narwhal::Form form = narwhal::read_form(request);
//   const std::string name = form.get<std::string>("name");
//   const int count = form.get("count", 1);
// Ownership  a Form owns its pairs.
// Errors     HttpError 415 for another type of body, 413 for one that is too large, 400 for a field that is missing or
//            not of the wanted type, or too many fields; what Request::read() throws.
// Threads    read_form(): the handler's, and waits for the client where the body is streamed.
// Source     WHATWG URL 5.1; HTML 4.10.22.7.
#pragma once

#include <narwhal/request.hpp>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace narwhal {

class Form {
 public:
  explicit Form(QueryPairs pairs) noexcept : pairs_(std::move(pairs)) {}

  const QueryPairs& pairs() const noexcept { return pairs_; }
  // The first field of this name.
  std::optional<std::string_view> find(std::string_view name) const noexcept {
    for (const auto& [key, value] : pairs_) {
      if (key == name) return value;
    }
    return std::nullopt;
  }
  // As a T: a number, bool or std::string.
  template <class T>
  T get(std::string_view name, T otherwise) const {
    const std::optional<std::string_view> text = find(name);
    return text ? detail::value_of<T>("form field", name, *text) : std::move(otherwise);
  }
  std::string get(std::string_view name, const char* otherwise) const { return get<std::string>(name, otherwise); }
  template <class T>
  T get(std::string_view name) const {
    const std::optional<std::string_view> text = find(name);
    if (!text) throw HttpError(400, "the form field '" + std::string(name) + "' is missing");
    return detail::value_of<T>("form field", name, *text);
  }

 private:
  QueryPairs pairs_;
};

struct FormLimits {
  std::size_t body_bytes = 1024 * 1024;
  std::size_t fields = 1000;
};

// The type of a body or part, without its parameters: "text/plain; charset=x" is "text/plain".
inline std::string_view media_type(std::string_view field) noexcept {
  std::string_view type = field.substr(0, field.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  return type;
}

namespace detail {

// The whole body, however it comes. HttpError 413 when it is larger than `most`.
inline std::string read_whole(const Request& request, std::size_t most) {
  if (request.body_size().value_or(0) > most) throw HttpError(413);
  std::string body;
  std::array<char, 16 * 1024> piece;
  while (const std::size_t size = request.read(piece)) {
    if (size > most - body.size()) throw HttpError(413);
    body.append(piece.data(), size);
  }
  return body;
}

}  // namespace detail

inline Form read_form(const Request& request, FormLimits limits = {}) {
  if (!equal_ignoring_case(media_type(request.header("Content-Type").value_or("")),
                           "application/x-www-form-urlencoded")) {
    throw HttpError(415, "the body must be application/x-www-form-urlencoded");
  }
  const std::string body = detail::read_whole(request, limits.body_bytes);
  std::size_t fields = 1;
  for (const char c : body) fields += c == '&' ? 1 : 0;
  if (fields > limits.fields) throw HttpError(400, "the form has too many fields");
  return Form(decode_query(body));
}

}  // namespace narwhal
