// Staging: a plugin is read once, judged by its bytes, and copied to where nobody overwrites it. What runs is the
// copy, so `cp new.so app.so` under a running server harms nobody, and a worker of next week runs this week's code.
// The master calls this: it reads bytes and maps nothing.
#pragma once

#include <string>

#include "core/result.hpp"
#include "core/seat.hpp"
#include "server/staging/stage_area.hpp"

namespace narwhal::server {

// `source`: a file. The copy lies at <area>/<digest>/<absolute path of the source>, and beside it,
// in the same tree, every library it needs and finds by $ORIGIN, so that $ORIGIN leads to the copies. The digest is
// the file's SHA-256, as sha256sum shows it; with libraries, that of the list of all digests and paths, in
// sha256sum's format. Equal contents are staged once.
// Errors  "stage ./app.so: /srv/app.so: truncated: ...": the source as the config names it, the file, the reason.
Result<StagedPlugin> stage_plugin(const std::string& source, StageArea& area);

}  // namespace narwhal::server
