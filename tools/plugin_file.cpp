#include "tools/plugin_file.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "core/plugin_text.hpp"
#include "core/text_file.hpp"
#include "narwhal/plugin.h"
#include "tools/elf_image.hpp"

namespace narwhal::tools {

namespace {

constexpr std::size_t file_max = std::size_t{1} << 30;
constexpr std::size_t options_max = 1000;  // of a damaged table

struct Hook {
  const char* name;
  std::size_t offset;
};
#define NARWHAL_HOOK(name) \
  Hook { #name, offsetof(narwhal_plugin, name) }
constexpr Hook all_hooks[] = {
    NARWHAL_HOOK(preload),       NARWHAL_HOOK(worker_init), NARWHAL_HOOK(ready_check), NARWHAL_HOOK(thread_init),
    NARWHAL_HOOK(thread_exit),   NARWHAL_HOOK(handle),      NARWHAL_HOOK(cancel),      NARWHAL_HOOK(drain),
    NARWHAL_HOOK(worker_exit),   NARWHAL_HOOK(before_fork), NARWHAL_HOOK(after_fork),  NARWHAL_HOOK(stuck),
    NARWHAL_HOOK(template_exit), NARWHAL_HOOK(slow),
};
#undef NARWHAL_HOOK

std::string text_at(const ElfImage& image, std::uint64_t address) {
  const std::optional<std::uint64_t> target = image.pointer(address);
  return target ? std::string(image.text(*target)) : std::string();
}

std::vector<DeclaredOption> read_options(const ElfImage& image, std::uint64_t address) {
  std::vector<DeclaredOption> options;
  for (; options.size() < options_max; address += sizeof(narwhal_option)) {
    DeclaredOption option;
    option.key = text_at(image, address + offsetof(narwhal_option, key));
    if (option.key.empty()) break;
    option.type = text_at(image, address + offsetof(narwhal_option, type));
    option.help = text_at(image, address + offsetof(narwhal_option, help));
    const std::uint64_t fallback = address + offsetof(narwhal_option, fallback);
    if (image.pointer(fallback)) option.fallback = text_at(image, fallback);
    std::uint64_t flags = 0;
    const std::string_view stored = image.bytes(address + offsetof(narwhal_option, flags), sizeof flags);
    if (!stored.empty()) std::memcpy(&flags, stored.data(), sizeof flags);
    option.required = (flags & NARWHAL_REQUIRED) != 0;
    options.push_back(std::move(option));
  }
  return options;
}

std::string without_symbol(const ElfImage& image) {
  const std::vector<std::string_view> others = image.exported_from("narwhal_plugin_v");
  if (others.empty()) return no_plugin_text;
  const std::string other(others.front()), own = std::to_string(NARWHAL_ABI_MAJOR);
  return "a plugin for version " + other.substr(std::strlen("narwhal_plugin_v")) + " of the plugin ABI (" + other +
         "), but this narwhal has version " + own + " (narwhal_plugin_v" + own +
         "): build the plugin again with this narwhal's headers, or run a narwhal that has its version";
}

}  // namespace

Result<DeclaredPlugin> read_plugin_file(const std::string& path) {
  const Result<FileText> file = read_text_file(path, file_max);
  if (!file) return Error{file.error()};
  if (!file->found) return Error{path + ": there is no such file"};
  Result<DeclaredPlugin> plugin = read_plugin(file->text);
  return plugin ? std::move(plugin) : Error{path + ": " + plugin.error()};
}

Result<DeclaredPlugin> read_plugin(std::string_view file) {
  const ElfImage image(file);
  if (!image.fault().empty()) return Error{image.fault()};
  const std::optional<std::uint64_t> table = image.exported("narwhal_plugin_v1");
  if (!table) return Error{without_symbol(image)};

  // What both sides know of it. Its pointers are read one by one: only the loader would put them in.
  narwhal_plugin known{};
  const std::string_view size = image.bytes(*table, sizeof known.struct_size);
  if (!size.empty()) std::memcpy(&known.struct_size, size.data(), sizeof known.struct_size);
  const std::size_t stated = std::min(known.struct_size, sizeof known);
  const auto has = [stated](std::size_t offset) { return offset + sizeof(void*) <= stated; };
  const std::string_view bytes = image.bytes(*table, stated);
  if (!has(offsetof(narwhal_plugin, handle)) || bytes.empty())
    return Error{"its narwhal_plugin_v1 has " + std::to_string(known.struct_size) + " bytes: was struct_size set?"};
  std::memcpy(&known, bytes.data(), stated);

  DeclaredPlugin plugin;
  plugin.abi_minor = known.abi_minor;
  plugin.flags = known.flags;
  plugin.name = text_at(image, *table + offsetof(narwhal_plugin, name));
  plugin.version = text_at(image, *table + offsetof(narwhal_plugin, version));
  if (const auto options = image.pointer(*table + offsetof(narwhal_plugin, options)))
    plugin.options = read_options(image, *options);
  for (const Hook& hook : all_hooks) {
    if (has(hook.offset) && image.pointer(*table + hook.offset)) plugin.hooks.emplace_back(hook.name);
  }
  return plugin;
}

}  // namespace narwhal::tools
