#include "plugins/static/site.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <utility>
#include <vector>

#include "plugins/static/codings.hpp"
#include "plugins/static/listing.hpp"

namespace narwhal::static_files {
namespace {

// There is nothing of this name that may be served. EXDEV: a symbolic link leads out of the folder. ENXIO, ENODEV: a socket,
// or a device without a driver.
bool is_absent(int error) noexcept {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EXDEV:
    case ENXIO:
    case ENODEV: return true;
    default: return false;
  }
}

bool has_run_out(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == EAGAIN;
}

std::string join(const std::string& below, const std::string& name) {
  return below.empty() ? name : below + "/" + name;
}

std::string text_of(int error) { return std::strerror(error); }

// What a client has sent as its path, with a slash at the end. It begins with one slash: no segment of it is empty.
Response add_slash(const Request& request) {
  std::string location(request.full_path());
  location += '/';
  if (!request.query().empty()) location.append("?").append(request.query());
  return Response::redirect(std::move(location), 301);
}

}  // namespace

Site::Site(const Boot& boot) : settings_(read_settings(boot)), folder_(settings_.folder) {
  check_file("fallback", settings_.fallback);
  check_file("not_found", settings_.not_found);
}

void Site::check_file(const char* key, const std::string& below) {
  if (below.empty()) return;
  const Found found = find(below, O_RDONLY);
  if (found.is_file()) return;
  throw std::runtime_error(std::string("option '") + key + "': open '" + folder_.path() + "/" + below +
                           "': " + (found.fd ? "it is not a regular file" : text_of(found.error)) +
                           ": name a file in the folder that the user of the workers may read");
}

Response Site::operator()(const Request& request) {
  if (request.method() != "GET" && request.method() != "HEAD") throw HttpError(405).header("Allow", "GET, HEAD");
  const std::optional<Target> target = read_target(request.path(), settings_.hidden);
  if (!target) return missing(request, false);
  if (target->folder) {
    // The mount itself, without its slash: the links of the page would lead elsewhere.
    return request.full_path().ends_with('/') ? answer_folder(request, target->below) : add_slash(request);
  }
  Found found = find(target->below, O_RDONLY);
  if (found.is_file()) return send(request, target->below, std::move(found));
  if (found.is_folder()) return add_slash(request);
  if (found.fd) return missing(request, true);
  return refuse(request, target->below, found.error);
}

Site::Found Site::find(const std::string& below, int flags) {
  Found found;
  found.fd = folder_.open(below, flags);
  if (found.fd && ::fstat(found.fd.get(), &found.facts) == 0) return found;
  found.error = errno;
  found.fd = Fd();
  return found;
}

Response Site::answer_folder(const Request& request, const std::string& below) {
  for (const std::string& name : settings_.index) {
    const std::string path = join(below, name);
    Found found = find(path, O_RDONLY);
    if (found.is_file()) return send(request, path, std::move(found));
    if (!found.fd && !is_absent(found.error)) return refuse(request, path, found.error);
  }
  if (!settings_.listing) return missing(request, true);
  Found found = find(below, O_RDONLY | O_DIRECTORY);
  return found.fd ? list(request, below, std::move(found.fd)) : refuse(request, below, found.error);
}

Response Site::send(const Request& request, const std::string& below, Found file) {
  FileOptions options{.type = std::string(settings_.type_of(below)), .cache_control = settings_.cache_control};
  Validators now = validators_of(file.facts);
  std::string_view coding;
  if (settings_.precompressed) {
    for (const Coding& preferred : preferred_codings(request.headers())) {
      if (preferred.name.empty()) break;
      Found compressed = find(below + std::string(preferred.ending), O_RDONLY);
      if (!compressed.is_file()) continue;
      file = std::move(compressed);
      now = validators_of(file.facts, preferred.name);
      coding = preferred.name;
      break;
    }
  }
  const std::int64_t size = file.facts.st_size;
  // The host duplicates the descriptor after the head: then it would be too late for a 503.
  if (size > small_file_max && !Fd(::fcntl(file.fd.get(), F_DUPFD_CLOEXEC, 0))) return refuse(request, below, errno);
  Response response = send_file(request, FilePart(file.fd.release(), 0, size), now, options);
  const bool has_body = response.status() == 200 || response.status() == 206;
  if (!coding.empty() && has_body) response.header("Content-Encoding", coding);
  if (settings_.precompressed) response.header("Vary", "Accept-Encoding");
  return response;
}

// An entry for which a request would get a 404 is left out.
Response Site::list(const Request& request, const std::string& below, Fd folder) {
  std::vector<std::string> names = names_in(std::move(folder));
  Listing listing{.path = percent_decode(request.full_path()), .has_parent = !below.empty()};
  listing.has_more = names.size() > entries_max;
  if (listing.has_more) names.resize(entries_max);
  for (const std::string& name : names) {
    if (!is_served_name(name, below.empty(), settings_.hidden)) continue;
    const Found found = find(join(below, name), O_PATH);
    if (has_run_out(found.error)) return refuse(request, join(below, name), found.error);
    if (!found.is_file() && !found.is_folder()) continue;
    listing.entries.push_back({name, found.is_folder(), found.facts.st_size, found.facts.st_mtim.tv_sec});
  }
  return Response::html(listing_page(std::move(listing)));
}

// Nothing that a client could keep: the file may be there tomorrow.
Response Site::missing(const Request& request, bool may_fall_back) {
  if (may_fall_back && !settings_.fallback.empty()) {
    Found found = find(settings_.fallback, O_RDONLY);
    if (found.is_file()) {
      Response response = send(request, settings_.fallback, std::move(found));
      response.headers().set("Cache-Control", "no-cache");
      return response;
    }
  }
  if (!settings_.not_found.empty()) {
    Found found = find(settings_.not_found, O_RDONLY);
    if (found.is_file()) {
      const std::int64_t size = found.facts.st_size;
      return Response::file(FilePart(found.fd.release(), 0, size), settings_.type_of(settings_.not_found)).status(404);
    }
  }
  return Response::text("Not Found\n", 404);
}

Response Site::refuse(const Request& request, const std::string& below, int error) {
  if (is_absent(error)) return missing(request, true);
  if (error == EACCES || error == EPERM) return Response::text("Forbidden\n", 403);
  const std::string why = "open '" + join(folder_.path(), below) + "': " + text_of(error);
  if (!has_run_out(error)) throw HttpError(500).because(why);
  // Once a second: the log would fill as fast as clients ask.
  const long now = static_cast<long>(std::time(nullptr));
  if (reported_at_.exchange(now) != now) {
    const bool of_files = error == EMFILE || error == ENFILE;
    log_error(request,
              why + ": answered 503" + (of_files ? "; raise the limit of open files (ulimit -n, LimitNOFILE=)" : ""));
  }
  return Response::text("Service Unavailable\n", 503).header("Retry-After", "1");
}

}  // namespace narwhal::static_files
