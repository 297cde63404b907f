#include "server/watch_sources.hpp"

#include <filesystem>
#include <string>

#include "core/log.hpp"
#include "server/path_pattern.hpp"

namespace narwhal::server {

void watch_sources(const Plan& plan, FileWatch& files, Instant now) {
  const Config& config = plan.config();
  if (!config.reload) return;
  if (!files.is_on()) {
    log::warning("Reloader is on. Use in development only!");
    files.begin(config.reload_engine, now);
  }
  for (const std::string& source : config.sources) files.add(source, plan.number(), now);
  for (const Route& route : config.routes)
    files.add(route.plugin.empty() ? route.app : route.plugin, plan.number(), now);
  for (const std::string& extra : config.reload_extra_files) {
    std::error_code absent;
    const bool is_folder = std::filesystem::is_directory(extra, absent);
    if (is_folder || is_pattern(extra)) {
      files.add_pattern(is_folder ? extra + "/*" : extra, plan.number(), now);
    } else {
      files.add(extra, plan.number(), now);
    }
  }
}

// The generation that served until now may have had other files, or another reload engine.
void watch_only(const Plan& plan, FileWatch& files, Instant now) {
  const Config& config = plan.config();
  if (!config.reload) return files.end();
  files.forget_before(plan.number(), config.reload_engine, now);
}

}  // namespace narwhal::server
