// Staging: a plugin is read once, checked, and copied to a place where no one overwrites it. The copy is what runs, so
// `cp new.so app.so` under a running server is safe, and a worker that starts next week runs the same code.
// The master calls this: it reads bytes and maps nothing.
#pragma once

#include <string>

#include "core/result.hpp"
#include "core/seat.hpp"
#include "server/staging/stage_area.hpp"

namespace narwhal::server {

// `source`: a file. Its copy is at <area>/<digest>/<absolute path of the source>. Every library that it needs and finds
// by $ORIGIN is copied into the same tree, so that $ORIGIN leads to the copies. The digest is the file's SHA-256, as
// sha256sum prints it; with libraries, the SHA-256 of the list of all digests and paths, in sha256sum's format. Equal
// contents are staged once.
// Errors  "stage ./app.so: /srv/app.so: truncated: ...": the source as the config names it, the file, the reason.
Result<StagedPlugin> stage_plugin(const std::string& source, StageArea& area);
// The same for a library that is loaded by its path.
Result<StagedPlugin> stage_library(const std::string& source, StageArea& area);

}  // namespace narwhal::server
