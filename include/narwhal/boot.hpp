// Boot: what an app is told when it is set up, and what it tells about itself.
// Boot is valid during set-up only; what it returns are copies or, for prefix(), views of the call's length.
#pragma once

#include <narwhal/text.hpp>

#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace narwhal {

// What NARWHAL_PLUGIN says of a plugin, as designated initialisers: .name = "shop", .options = {{"currency",
// "string", "EUR", "what prices are in"}, {"limit", "int"}}.
struct PluginFacts {
  static constexpr std::size_t options_max = 32;
  struct Option {
    const char* key = nullptr;
    const char* type = "string";  // "string", "int", "float", "bool"
    const char* fallback = nullptr;
    const char* help = "";
  };
  const char* name = "app";
  const char* version = "0";
  std::uint32_t flags = 0;  // NARWHAL_INLINE, NARWHAL_STREAM_BODY
  Option options[options_max] = {};
};

class Boot {
 public:
  explicit Boot(const narwhal_boot* boot) noexcept : boot_(boot) {}

  std::string_view prefix() const noexcept { return view_of(boot_->prefix); }
  int worker() const noexcept { return boot_->worker; }  // the slot, from 0; -1 in the template
  unsigned threads() const noexcept { return boot_->threads; }
  std::uint64_t generation() const noexcept { return boot_->generation; }
  const narwhal_host* host() const noexcept { return boot_->host; }

  // In the maker of an app alone, for this mount: NARWHAL_INLINE and NARWHAL_STREAM_BODY in the place of the plugin's
  // own flags. False: the server is older than minor 2, and they stay.
  bool set_flags(std::uint32_t flags) const noexcept {
    if (!NARWHAL_HAS(boot_, narwhal_boot, set_flags)) return false;
    boot_->set_flags(boot_, flags);
    return true;
  }

  // The value of an option: from the configuration, else the plugin's declared fallback, else `otherwise`.
  // Throws std::invalid_argument when it is not of this type.
  template <class T>
  T get(const char* key, T otherwise) const {
    const std::optional<std::string> text = find(key);
    return text ? convert<T>(key, *text) : std::move(otherwise);
  }
  std::string get(const char* key, const char* otherwise) const { return get<std::string>(key, otherwise); }
  // For an option that must be there.
  template <class T>
  T get(const char* key) const {
    const std::optional<std::string> text = find(key);
    if (!text) throw std::invalid_argument(std::string("option '") + key + "' is missing");
    return convert<T>(key, *text);
  }

 private:
  std::optional<std::string> find(const char* key) const {
    const narwhal_bytes value = boot_->option(boot_, key);
    return value.data == nullptr ? std::nullopt : std::optional(std::string(view_of(value)));
  }
  template <class T>
  static T convert(const char* key, const std::string& text) {
    if constexpr (std::same_as<T, std::string>) {
      return text;
    } else if constexpr (std::same_as<T, bool>) {
      return convert_bool(key, text);
    } else {
      T number{};
      const char* end = text.data() + text.size();
      const auto [stopped, error] = std::from_chars(text.data(), end, number);
      if (error != std::errc() || stopped != end) refuse(key, text, "a number of its type");
      return number;
    }
  }
  static bool convert_bool(const char* key, const std::string& text) {
    for (const char* word : {"true", "yes", "on", "1"}) {
      if (equal_ignoring_case(text, word)) return true;
    }
    for (const char* word : {"false", "no", "off", "0"}) {
      if (equal_ignoring_case(text, word)) return false;
    }
    refuse(key, text, "true or false");
  }
  [[noreturn]] static void refuse(const char* key, const std::string& text, const char* wanted) {
    throw std::invalid_argument(std::string("option '") + key + "': '" + text + "' is not " + wanted);
  }

  const narwhal_boot* boot_;
};

}  // namespace narwhal
