// The files of a new project, from tools/templates. "@name@" stands for the plugin's name.
#pragma once

namespace narwhal::tools {

extern const char template_plugin_cpp[];
extern const char template_test_cpp[];
extern const char template_plugin_c[];
extern const char template_test_c[];
extern const char template_plugin_rust[];
extern const char template_narwhal_rust[];
extern const char template_makefile[];
extern const char template_makefile_rust[];
extern const char template_settings[];
extern const char template_readme[];
extern const char template_gitignore[];

}  // namespace narwhal::tools
