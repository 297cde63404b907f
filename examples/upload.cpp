// upload: files of any size from forms to a folder, in bounded memory, and back to browsers.
//   narwhal --threads 4 --option folder=/srv/files ./upload.so
//   curl -i -F file=@film.mp4 http://127.0.0.1:8000/files               201, and where the file is
//   curl -O -r 0-999 http://127.0.0.1:8000/files/...                    its first 1000 bytes
//   curl http://127.0.0.1:8000/                                         a form, and the list of files
// Streams      the route reads the body while it arrives (stream_body()): 64 KiB of memory for each upload. A handler
//              thread is occupied meanwhile, so run as many threads as there may be uploads at once.
// Names        are random. What the client calls its file is logged and nothing else: a path never holds it.
// Whole files  a file is written under a name that is not listed, reaches the disk, and is then renamed: a reader never
//              sees a part of it, even after a crash. What a crash leaves is removed at the next start of a worker.
// Failures     507 when the disk is full, 500 when the folder cannot be written; the log says why. 413 beyond file_max.
// Downloads    answer ranges and conditions (files.hpp). Somebody else made them, so browsers save and never run them.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <narwhal/app.hpp>
#include <narwhal/files.hpp>
#include <narwhal/multipart.hpp>
#include <narwhal/router.hpp>
#include <narwhal/url.hpp>

#include <array>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

using narwhal::HttpError;
using narwhal::Request;
using narwhal::Response;

constexpr std::string_view unfinished = ".unfinished-";
constexpr std::size_t files_max = 10, listed_max = 1000;

std::system_error failed(const std::string& what) { return {errno, std::generic_category(), what}; }

std::string random_id() {
  std::array<unsigned char, 16> bytes;
  if (::getentropy(bytes.data(), bytes.size()) != 0) throw failed("getentropy");
  std::string text;
  for (const unsigned char byte : bytes) text += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
  return text;
}
bool is_id(std::string_view name) {
  return name.size() == 32 && name.find_first_not_of("0123456789abcdef") == name.npos;
}

bool is_removed(int file) {
  struct stat facts {};
  return ::fstat(file, &facts) != 0 || facts.st_nlink == 0;
}

// A file that nobody sees until it is published, and that is removed if it never is. Throws std::system_error.
class NewFile {
 public:
  explicit NewFile(const std::string& folder)
      : id_(random_id()), path_(folder + "/" + std::string(unfinished) + id_), published_path_(folder + "/" + id_) {
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd_ < 0) throw failed("open " + path_);
    // It is being written: see remove_leftovers(), which may have been quicker.
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0 || is_removed(fd_)) {
      ::close(fd_);
      errno = EAGAIN;
      throw failed("lock " + path_);
    }
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    ::close(fd_);
    if (!published_) ::unlink(path_.c_str());
  }

  std::uint64_t fill(narwhal::MultipartReader& parts) {
    const std::uint64_t size = parts.save(fd_);
    if (::fsync(fd_) != 0) throw failed("fsync " + path_);
    return size;
  }
  void publish() {
    if (::rename(path_.c_str(), published_path_.c_str()) != 0) throw failed("rename " + path_);
    published_ = true;
  }
  const std::string& id() const noexcept { return id_; }

 private:
  const std::string id_, path_, published_path_;
  int fd_ = -1;
  bool published_ = false;
};

class Upload {
 public:
  explicit Upload(const narwhal::Boot& boot)
      : folder_(boot.get<std::string>("folder")), file_max_(boot.get("file_max", std::uint64_t{64} << 20)) {
    if (::access(folder_.c_str(), R_OK | W_OK | X_OK) != 0) throw failed("option 'folder': " + folder_);
    if (file_max_ == 0 || file_max_ > (std::uint64_t{1} << 50)) {
      throw std::invalid_argument("option 'file_max': 1 to 2^50 bytes");
    }
    remove_leftovers();
    router_.get("/", [this](const Request& request) { return list(request); }).name("list");
    router_.post("/files", [this](const Request& request) { return upload(request); }).stream_body().name("files");
    router_.get("/files/<id>", [this](const Request& request) { return download(request); }).name("file");
  }
  Response operator()(const Request& request) { return router_(request); }
  bool streams_bodies() const { return router_.streams_bodies(); }

 private:
  Response upload(const Request& request) try {
    const std::uint64_t total_max = files_max * file_max_;
    // The fields and boundaries between the files need some room, too. Refused now, a client need not send it first.
    if (request.body_size().value_or(0) > total_max + (1 << 20)) throw HttpError(413, "the files are too large");
    narwhal::MultipartReader parts(request,
                                   {.parts = 2 * files_max, .part_bytes = file_max_, .total_bytes = total_max});
    std::deque<NewFile> files;
    std::vector<std::string> lines;
    while (const narwhal::Part* part = parts.next()) {
      if (part->file_name.value_or("").empty()) continue;  // another field, or no file was chosen
      if (files.size() == files_max) throw HttpError(413, "the form has too many files");
      NewFile& file = files.emplace_back(folder_);
      const std::string name = *part->file_name, size = std::to_string(file.fill(parts));
      lines.push_back("'" + name + "' is now " + file.id() + ", " + size + " bytes");
    }
    if (files.empty()) throw HttpError(400, "the form has no file");
    for (NewFile& file : files) file.publish();
    sync_folder();
    for (const std::string& line : lines) narwhal::log_info(request, line);
    std::string html;
    for (const NewFile& file : files) html += link_to(request, file.id());
    return Response::html(html, 201).header("Location", narwhal::url_for(request, "file", {{"id", files[0].id()}}));
  } catch (const std::system_error& error) {
    const bool is_full = error.code() == std::errc::no_space_on_device || error.code().value() == EDQUOT;
    throw HttpError(is_full ? 507 : 500, is_full ? "there is no room for this" : "the files cannot be kept now")
        .because(error.what());
  }
  // The new names reach the disk, too.
  void sync_folder() const {
    const narwhal::FilePart folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0, 0);
    if (folder.fd() < 0 || ::fsync(folder.fd()) != 0) throw failed("fsync " + folder_);
  }

  Response download(const Request& request) {
    const std::string id(request.parameter("id"));
    if (!is_id(id)) throw HttpError(404);
    return narwhal::send_file(request, folder_ + "/" + id, {.type = "application/octet-stream"})
        .header("Content-Disposition", "attachment; filename=\"" + id + "\"")
        .header("X-Content-Type-Options", "nosniff");
  }
  Response list(const Request& request) {
    std::string html =
        "<!doctype html>\n<title>Files</title>\n<form method=\"post\" enctype=\"multipart/form-data\" action=\"" +
        narwhal::url_for(request, "files") +
        "\">\n<input type=\"file\" name=\"file\" multiple>\n<button>Upload</button>\n</form>\n";
    std::size_t listed = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      const std::string id = entry.path().filename().string();
      if (is_id(id) && ++listed <= listed_max) html += link_to(request, id);
    }
    return Response::html(std::move(html));
  }
  static std::string link_to(const Request& request, const std::string& id) {
    return "<p><a href=\"" + narwhal::url_for(request, "file", {{"id", id}}) + "\">" + id + "</a>\n";
  }

  // A worker may have been killed while it wrote. What others are writing now is locked.
  void remove_leftovers() const {
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      const std::string path = entry.path().string();
      if (!entry.path().filename().string().starts_with(unfinished)) continue;
      const narwhal::FilePart file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW), 0, 0);
      if (file.fd() >= 0 && ::flock(file.fd(), LOCK_EX | LOCK_NB) == 0) ::unlink(path.c_str());
    }
  }

  const std::string folder_;
  const std::uint64_t file_max_;
  narwhal::Router router_;
};

}  // namespace

NARWHAL_PLUGIN(Upload(boot), .name = "upload", .version = "1.0",
               .options = {
                   {.key = "folder", .help = "where files are kept: a path", .required = true},
                   {.key = "file_max", .type = "int", .fallback = "67108864", .help = "size of a file in bytes"}})
