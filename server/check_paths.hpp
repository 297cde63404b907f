// Whether the files of the settings can be written, found without writing one: for --check-config.
// Errors   the first that cannot, with the setting's name.
#pragma once

#include "core/config.hpp"
#include "core/result.hpp"

namespace narwhal::server {

// errorlog, accesslog and pidfile: by the user that starts the server.
Result<Done> check_own_files(const Config& config);
// tmp_upload_dir: by the workers' user, which the caller has become.
Result<Done> check_upload_directory(const Config& config);

}  // namespace narwhal::server
