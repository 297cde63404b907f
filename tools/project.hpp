// A plugin's project: a folder with a Makefile that builds and tests it. `new` writes it; from then on it is the author's.
// Errors  a Result that names the file.
#pragma once

#include <string>

#include "core/result.hpp"

namespace narwhal::tools {

enum class Language { cpp, c, rust };

// Makes the folder `path`, and in it the plugin that is named after it. Nothing is overwritten.
Result<Done> make_project(const std::string& path, Language language);

// The project in the current folder. An Error if there is none.
Result<Done> find_project();
// The plugin that it has built: the only build/*.so.
Result<std::string> built_plugin();

}  // namespace narwhal::tools
