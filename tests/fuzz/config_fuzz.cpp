// narwhal.yaml from anybody: never a crash, and what is accepted prints as a file that means the same.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "server/config/config_text.hpp"
#include "server/config/load_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace narwhal;
  const std::string_view yaml(reinterpret_cast<const char*>(data), size);
  const Result<Config> config = server::parse_config(yaml, "fuzz.yaml");
  if (!config) {
    if (config.error().empty()) std::abort();
    return 0;
  }
  const std::string printed = server::print_text(*config, {});
  const Result<Config> again = server::parse_config(printed, "printed.yaml");
  if (again && *again == *config) return 0;
  std::fprintf(stderr, "%s\n%s\n", printed.c_str(), again ? "reads as something else" : again.error().c_str());
  std::abort();
}
