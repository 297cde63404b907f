// notes: a small JSON API with a page, uploads and a long poll. Notes live in the memory of one worker, so run it with
// one:  narwhal -w 1 ./notes.so
//   curl -i --json '{"title": "milk"}' http://127.0.0.1:8000/api/notes      (the type is application/json)
//   curl 'http://127.0.0.1:8000/api/notes?limit=10'
//   curl http://127.0.0.1:8000/api/notes/2/wait                             answered when note 2 is there
//   curl -F file=@picture.png http://127.0.0.1:8000/files                   with the option "folder"
// It is built against nlohmann-json (Debian: nlohmann-json3-dev), which json.hpp includes.
#include <fcntl.h>
#include <unistd.h>
#include <narwhal/app.hpp>
#include <narwhal/files.hpp>
#include <narwhal/html.hpp>
#include <narwhal/json.hpp>
#include <narwhal/multipart.hpp>
#include <narwhal/router.hpp>
#include <narwhal/task.hpp>
#include <narwhal/url.hpp>

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

namespace {

using narwhal::HttpError;
using narwhal::Request;
using narwhal::Response;

class Notes {
 public:
  explicit Notes(const narwhal::Boot& boot) : folder_(boot.get("folder", "")) {
    narwhal::Router api;
    api.get("/notes", [this](const Request& request) { return list(request); });
    api.post("/notes", [this](const Request& request) { return add(request); });
    api.get("/notes/<int:id>", [this](const Request& request) { return show(request); }).name("note");
    api.del("/notes/<int:id>", [this](const Request& request) { return remove(request); });
    api.get("/notes/<int:id>/wait", [this](Request request) { return wait(request); });
    api.on_error([](const Request&, const HttpError& error) {
      return narwhal::json_response({{"error", error.text()}}, error.status());
    });
    router_.mount("/api", std::move(api), "api");
    router_.get("/", [this](const Request& request) { return page(request); }).name("page");
    router_.post("/files", [this](const Request& request) { return upload(request); }).stream_body();
    router_.get("/files/<path:name>", [this](const Request& request) { return file(request); }).name("file");
    router_.error_page(404, [](const Request& request) {
      return Response::html("<p>Nothing here. <a href=\"" + narwhal::url_for(request, "page") + "\">Notes</a>\n");
    });
  }
  Response operator()(const Request& request) { return router_(request); }
  bool streams_bodies() const { return router_.streams_bodies(); }
  // Those who wait would keep a worker that is being retired.
  void drain() {
    std::map<int, std::vector<Waiting>> waiting;
    {
      const std::lock_guard lock(mutex_);
      draining_ = true;
      waiting.swap(waiting_);
    }
    for (auto& [id, all] : waiting) {
      for (Waiting& one : all) one(std::nullopt);
    }
  }

 private:
  using Waiting = narwhal::Completion<std::optional<std::string>>;  // for a note's title; nothing: the worker leaves

  Response list(const Request& request) {
    const auto limit = request.query<std::size_t>("limit", 100);
    nlohmann::json notes = nlohmann::json::array();
    const std::lock_guard lock(mutex_);
    for (const auto& [id, title] : notes_) {
      if (notes.size() < limit) notes.push_back({{"id", id}, {"title", title}});
    }
    return narwhal::json_response(notes);
  }
  Response add(const Request& request) {
    auto title = narwhal::json_member<std::string>(narwhal::json_body(request), "title");
    if (title.empty()) throw HttpError(422, "a note needs a title");
    std::vector<Waiting> waiting;
    int id = 0;
    {
      const std::lock_guard lock(mutex_);
      id = ++last_id_;
      notes_[id] = title;
      waiting.swap(waiting_[id]);
      waiting_.erase(id);
    }
    for (Waiting& one : waiting) one(title);
    return narwhal::json_response({{"id", id}}, 201)
        .header("Location", narwhal::url_for(request, "note", {{"id", id}}));
  }
  Response show(const Request& request) {
    const std::lock_guard lock(mutex_);
    const auto found = notes_.find(request.parameter<int>("id"));
    if (found == notes_.end()) throw HttpError(404, "there is no such note");
    return narwhal::json_response({{"id", found->first}, {"title", found->second}});
  }
  Response remove(const Request& request) {
    const std::lock_guard lock(mutex_);
    if (notes_.erase(request.parameter<int>("id")) == 0) throw HttpError(404, "there is no such note");
    return Response(204);
  }
  // No handler thread waits: the task goes on in the request that adds the note.
  narwhal::task<Response> wait(Request request) {
    const auto id = request.parameter<int>("id");
    const auto title = co_await narwhal::result_of<std::optional<std::string>>([&](Waiting one) {
      std::optional<std::string> known;
      {
        const std::lock_guard lock(mutex_);
        const auto found = notes_.find(id);
        if (found != notes_.end()) known = found->second;
        if (!known && !draining_) {
          waiting_[id].push_back(std::move(one));
          return;
        }
      }
      one(std::move(known));
    });
    if (!title) co_return Response::text("ask again\n", 503).header("Retry-After", "1");
    co_return narwhal::json_response({{"id", id}, {"title", *title}});
  }

  Response page(const Request& request) {
    std::string html = "<h1>Notes</h1>\n<ul>\n";
    const std::lock_guard lock(mutex_);
    for (const auto& [id, title] : notes_) {
      html += "<li><a href=\"" + narwhal::url_for(request, "api.note", {{"id", id}}) + "\">" +
              narwhal::html_escape(title) + "</a>\n";
    }
    return Response::html(html + "</ul>\n");
  }

  // Files get numbers for names: what a client calls them is not for a path.
  Response upload(const Request& request) {
    if (folder_.empty()) throw HttpError(501, "set the option 'folder' for uploads");
    std::string last;
    narwhal::MultipartReader parts(request);
    while (const narwhal::Part* part = parts.next()) {
      if (!part->file_name) continue;
      last = std::to_string(::getpid()) + "-" + std::to_string(++files_);
      const int fd = ::open((folder_ + "/" + last).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
      if (fd < 0) throw HttpError(500).because("cannot make a file in " + folder_);
      const narwhal::FilePart closing(fd, 0, 0);
      narwhal::log_info(request, *part->file_name + ": " + std::to_string(parts.save(fd)) + " bytes");
    }
    if (last.empty()) throw HttpError(400, "the form has no file");
    return Response::redirect(narwhal::url_for(request, "file", {{"name", last}}), 303);
  }
  Response file(const Request& request) {
    if (folder_.empty()) throw HttpError(404);
    return narwhal::send_file_below(request, folder_, request.parameter("name"));
  }

  const std::string folder_;
  narwhal::Router router_;
  std::mutex mutex_;
  std::map<int, std::string> notes_;
  std::map<int, std::vector<Waiting>> waiting_;
  int last_id_ = 0;
  bool draining_ = false;
  std::atomic<int> files_ = 0;
};

}  // namespace

NARWHAL_PLUGIN(Notes(boot), .name = "notes", .version = "1.0",
               .options = {{.key = "folder", .help = "where uploads are kept: a path"}})
