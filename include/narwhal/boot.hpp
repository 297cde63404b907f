// PluginFacts: what a plugin says about itself. Boot: what an app may ask when it is set up.
// Ownership  a Boot is valid only while the app is made. get() returns copies; prefix() is a view as long-lived as the
//            Boot; host() is valid for the life of the process.
// Errors     get() throws std::invalid_argument; a worker whose app throws while it is made does not boot.
// Threads    the worker's main thread.
#pragma once

#include <narwhal/text.hpp>

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace narwhal {

// A plugin's properties, given to NARWHAL_PLUGIN as designated initialisers: .name = "shop", .options = {{"currency",
// "string", "EUR", "what prices are in"}, {"limit", "int"}}. Every string must be a literal or as long-lived as one.
struct PluginFacts {
  static constexpr std::size_t options_max = 32;
  struct Option {
    const char* key = nullptr;
    const char* type = "string";     // "string", "int", "float", "bool"
    const char* fallback = nullptr;  // the value when the configuration has none; null: no value
    const char* help = "";           // what the option is, with its unit
    bool required = false;           // without a value the plugin is not set up; it has no fallback
  };
  const char* name = "app";
  const char* version = "0";
  std::uint32_t flags = 0;  // NARWHAL_INLINE, NARWHAL_STREAM_BODY
  Option options[options_max] = {};
};

class Boot {
 public:
  explicit Boot(const narwhal_boot* boot, void* preloaded = nullptr) noexcept : boot_(boot), preloaded_(preloaded) {}

  std::string_view prefix() const noexcept { return view_of(boot_->prefix); }
  int worker() const noexcept { return boot_->worker; }  // the slot, from 0; -1 in the template
  unsigned threads() const noexcept { return boot_->threads; }
  // As configured: processes that run this plugin side by side. 0 when the server's struct ends before it.
  unsigned workers() const noexcept { return NARWHAL_HAS(boot_, narwhal_boot, workers) ? boot_->workers : 0; }
  std::uint64_t generation() const noexcept { return boot_->generation; }
  const narwhal_host* host() const noexcept { return boot_->host; }

  // What the app type's preload() has made, which must be a T; see app.hpp. Valid as long as the app.
  template <class T>
  T& preloaded() const {
    if (preloaded_ == nullptr) throw std::logic_error("the app type has no preload()");
    return *static_cast<T*>(preloaded_);
  }

  // Sets NARWHAL_INLINE and NARWHAL_STREAM_BODY for this mount, in place of the plugin's own flags. Only while the app
  // is made. False when the server's table is too short to have this function: the plugin's flags then stay.
  bool set_flags(std::uint32_t flags) const noexcept {
    if (!NARWHAL_HAS(boot_, narwhal_boot, set_flags)) return false;
    boot_->set_flags(boot_, flags);
    return true;
  }

  // The value of an option: from the configuration, else the plugin's declared fallback, else `otherwise`.
  // T is std::string, bool, or a number. Throws std::invalid_argument when the value is not of this type.
  template <class T>
  T get(const char* key, T otherwise) const {
    const std::optional<std::string> text = find(key);
    return text ? convert<T>(key, *text) : std::move(otherwise);
  }
  std::string get(const char* key, const char* otherwise) const { return get<std::string>(key, otherwise); }
  // The same for an option that must have a value: std::invalid_argument when it has none.
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
      const std::optional<bool> flag = parse_bool(text);
      if (!flag) refuse(key, text, "true or false");
      return *flag;
    } else {
      const std::optional<T> number = parse_number<T>(text);
      if (!number) refuse(key, text, form_of<T>());
      return *number;
    }
  }
  template <class T>
  static std::string form_of() {
    using Limits = std::numeric_limits<T>;
    if constexpr (!Limits::is_integer)
      return "a number";
    else
      return "a whole number from " + std::to_string(+Limits::min()) + " to " + std::to_string(+Limits::max());
  }
  [[noreturn]] static void refuse(const char* key, const std::string& text, const std::string& wanted) {
    throw std::invalid_argument(std::string("option '") + key + "': '" + text + "' is not " + wanted);
  }

  const narwhal_boot* boot_;
  void* preloaded_;
};

}  // namespace narwhal
