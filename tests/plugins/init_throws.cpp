// worker_init lets an exception out, which the ABI forbids.
#include <narwhal/plugin.h>

#include <stdexcept>

static int worker_init(const narwhal_boot*, void**) { throw std::runtime_error("thrown by init on purpose"); }
static int handle(void*, narwhal_exchange*) { return NARWHAL_ERROR; }

static constexpr narwhal_plugin described() {
  narwhal_plugin plugin{};
  plugin.struct_size = sizeof plugin;
  plugin.name = "test";
  plugin.version = "1";
  plugin.worker_init = worker_init;
  plugin.handle = handle;
  return plugin;
}

NARWHAL_EXPORT constexpr narwhal_plugin narwhal_plugin_v1 = described();
