// static: files of one folder. narwhal-static(7) is its manual.
#include <narwhal/app.hpp>

#include "plugins/static/site.hpp"

NARWHAL_PLUGIN(narwhal::static_files::Site(boot), .name = "static", .version = NARWHAL_VERSION,
               .options = {
                   {.key = "folder", .help = "the folder whose files are served: a path", .required = true},
                   {"index", "string", "index.html", "files that answer for a folder: names, separated by commas"},
                   {"listing", "bool", "false", "show what is in a folder that has none of these files"},
                   {"hidden", "bool", "false", "serve names that begin with a dot"},
                   {"precompressed", "bool", "false", "send FILE.br or FILE.gz to clients that accept it"},
                   {.key = "max_age", .type = "int", .help = "how long clients may keep a file, in seconds"},
                   {.key = "cache_control", .help = "the Cache-Control field, in place of max_age"},
                   {.key = "types", .help = "more media types: ENDING=TYPE, separated by commas"},
                   {.key = "fallback", .help = "the file that answers, with 200, where there is none"},
                   {.key = "not_found", .help = "the file that is the page of a 404"}})
