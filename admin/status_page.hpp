// The status page: one file without any request to elsewhere. Made from admin/status_page.html by the build.
#pragma once

namespace narwhal::admin {

extern const char status_page_html[];

}  // namespace narwhal::admin
