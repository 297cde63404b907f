#include "server/announcer.hpp"

namespace narwhal::server {

void Announcer::ready(const LiveGeneration&) {}
void Announcer::reloading(std::uint64_t) {}
void Announcer::reload_failed(const std::string&) {}
void Announcer::stopping() {}

}  // namespace narwhal::server
