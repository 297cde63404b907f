// Every header beside app.hpp, with the names of the server's own headers.
#include <narwhal/app.hpp>
#include <narwhal/conditions.hpp>
#include <narwhal/cookies.hpp>
#include <narwhal/files.hpp>
#include <narwhal/form.hpp>
#include <narwhal/html.hpp>
#include <narwhal/json.hpp>
#include <narwhal/metrics.hpp>
#include <narwhal/mime.hpp>
#include <narwhal/multipart.hpp>
#include <narwhal/per_thread.hpp>
#include <narwhal/router.hpp>
#include <narwhal/timers.hpp>
#include <narwhal/url.hpp>
#include <narwhal/worker.hpp>

#include "core/bytes.hpp"
#include "core/config.hpp"
#include "core/log.hpp"
#include "core/result.hpp"

namespace {

using narwhal::Request;
using narwhal::Response;

struct Articles {
  std::string folder;
};

class Site {
 public:
  static Articles preload(const narwhal::Boot& boot) { return {boot.get<std::string>("folder")}; }
  explicit Site(const narwhal::Boot& boot) : articles_(boot.preloaded<Articles>()) {
    router_.get("/articles/<int:id>", [this](const Request& request) { return show(request); }).name("article");
    router_.post("/articles", create).post("/upload", upload).stream_body();
    router_.error_page(404, [](const Request&) { return Response::html("<p>Nothing here"); });
  }
  Response operator()(const Request& request) { return router_(request); }
  bool streams_bodies() const { return router_.streams_bodies(); }

 private:
  Response show(const Request& request) {
    ++*shown_;
    return narwhal::send_file_below(request, articles_.folder, request.parameter("id"), {.cache_control = "no-cache"});
  }
  static Response create(const Request& request) {
    const auto title = narwhal::json_member<std::string>(narwhal::json_body(request), "title");
    narwhal::log_info(request, title);
    Response response = narwhal::redirect_to(request, narwhal::url_for(request, "article", {{"id", 7}}), 303);
    narwhal::set_cookie(response, {.name = "last", .value = "7"});
    return response;
  }
  static Response upload(const Request& request) {
    narwhal::MultipartReader parts(request);
    std::string names;
    while (const narwhal::Part* part = parts.next()) names += narwhal::html_escape(part->name);
    if (names.empty()) throw narwhal::HttpError(400, "no parts");
    return Response::html(names);
  }
  Articles& articles_;
  narwhal::Router router_;
  narwhal::PerThread<int> shown_;
};

}  // namespace

NARWHAL_PLUGIN(Site(boot), .name = "site", .options = {{.key = "folder", .help = "of the articles", .required = true}})
