// guestbook: entries in an SQLite database that all workers share. It teaches how a plugin keeps connections to a database:
// one for each thread (per_thread.hpp), opened after the fork, because SQLite forbids to take one across; statements
// that are prepared once; and errors of the disk that cost one request its answer, and not the worker its life.
//   narwhal --workers 2 --threads 2 --option file=/var/lib/guestbook/entries.db ./guestbook.so
//   curl --json '{"name": "Ada", "text": "I was here."}' http://127.0.0.1:8000/entries
//   curl 'http://127.0.0.1:8000/entries?limit=10'          the newest first; more: &before=ID
//   curl -X DELETE http://127.0.0.1:8000/entries/1
// A page with a form is at http://127.0.0.1:8000/. There are no accounts: whoever reaches it may also delete.
// In WAL mode (sqlite.org/wal.html) readers never wait; writers wait for each other, at most "busy" milliseconds.
// It is built against SQLite and nlohmann-json (Debian: libsqlite3-dev, nlohmann-json3-dev).
#include <sqlite3.h>
#include <narwhal/app.hpp>
#include <narwhal/html.hpp>
#include <narwhal/json.hpp>
#include <narwhal/per_thread.hpp>
#include <narwhal/router.hpp>
#include <narwhal/url.hpp>

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

using narwhal::HttpError;
using narwhal::Request;
using narwhal::Response;

struct Close {
  void operator()(sqlite3* connection) const noexcept { sqlite3_close_v2(connection); }
  void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};

// What the client gets when SQLite fails; the log gets SQLite's own words.
HttpError error_of(sqlite3* connection) {
  std::string why = "SQLite: ";
  why += sqlite3_errmsg(connection);
  switch (sqlite3_errcode(connection) & 0xff) {
    case SQLITE_BUSY: return HttpError(503, "the guestbook is busy").header("Retry-After", "1").because(why);
    case SQLITE_FULL: return HttpError(507, "the guestbook is full").because(why);
    case SQLITE_READONLY: return HttpError(503, "the guestbook cannot be changed now").because(why);
    default: return HttpError(500, "the guestbook's database cannot be used now").because(why);
  }
}

// A statement in use. Its destructor ends the read or write that it has begun, whatever has happened.
class Statement {
 public:
  Statement(sqlite3* connection, sqlite3_stmt* prepared) noexcept : connection_(connection), prepared_(prepared) {}
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_reset(prepared_); }

  // Parameters in order. A text must live as long as the statement.
  Statement& bind(std::int64_t number) { return check(sqlite3_bind_int64(prepared_, ++bound_, number)); }
  Statement& bind(std::string_view text) {
    return check(sqlite3_bind_text64(prepared_, ++bound_, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8));
  }
  bool next() {  // false: there are no more rows
    const int code = sqlite3_step(prepared_);
    if (code != SQLITE_ROW && code != SQLITE_DONE) throw error_of(connection_);
    return code == SQLITE_ROW;
  }
  std::int64_t number(int column) const { return sqlite3_column_int64(prepared_, column); }
  std::string text(int column) const {
    const auto* const bytes = reinterpret_cast<const char*>(sqlite3_column_text(prepared_, column));
    return bytes == nullptr ? ""
                            : std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(prepared_, column)));
  }

 private:
  Statement& check(int code) {
    if (code != SQLITE_OK) throw error_of(connection_);
    return *this;
  }
  sqlite3* connection_;
  sqlite3_stmt* prepared_;
  int bound_ = 0;
};

struct Settings {
  std::string file;
  int busy_ms, pages_max;
};

// One thread's connection, with the statements that it has prepared.
class Database {
 public:
  explicit Database(const Settings& settings) {
    sqlite3* opened = nullptr;
    constexpr int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
    const int code = sqlite3_open_v2(settings.file.c_str(), &opened, flags, nullptr);
    connection_.reset(opened);
    if (code != SQLITE_OK) {
      throw HttpError(503, "the guestbook cannot be opened now").because(settings.file + ": " + sqlite3_errstr(code));
    }
    sqlite3_busy_timeout(opened, settings.busy_ms);
    query("PRAGMA max_page_count = " + std::to_string(settings.pages_max)).next();
  }

  Statement query(const std::string& sql) {
    auto& prepared = statements_[sql];
    if (prepared == nullptr) {
      sqlite3_stmt* made = nullptr;
      if (sqlite3_prepare_v3(connection_.get(), sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr) !=
          SQLITE_OK) {
        throw error_of(connection_.get());
      }
      prepared.reset(made);
    }
    return {connection_.get(), prepared.get()};
  }

 private:
  std::unique_ptr<sqlite3, Close> connection_;
  std::map<std::string, std::unique_ptr<sqlite3_stmt, Close>> statements_;  // before the connection is closed
};

class Guestbook {
 public:
  explicit Guestbook(const narwhal::Boot& boot)
      : settings_{boot.get<std::string>("file"), boot.get<int>("busy"), boot.get<int>("pages")} {
    create();
    router_.get("/", [this](const Request& request) { return page(request); }).name("page");
    router_.post("/", [this](const Request& request) {
      const narwhal::Form form = narwhal::read_form(request);
      add(form.get<std::string>("name"), form.get<std::string>("text"));
      return Response::redirect(narwhal::url_for(request, "page"), 303);
    });
    router_.get("/entries", [this](const Request& request) { return narwhal::json_response(newest(request)); });
    router_.post("/entries", [this](const Request& request) {
      const nlohmann::json entry = narwhal::json_body(request);
      const std::int64_t id =
          add(narwhal::json_member<std::string>(entry, "name"), narwhal::json_member<std::string>(entry, "text"));
      return narwhal::json_response({{"id", id}}, 201);
    });
    router_.del("/entries/<int:id>", [this](const Request& request) {
      Statement found = database_->query("DELETE FROM entry WHERE id = ? RETURNING id");
      if (!found.bind(request.parameter<std::int64_t>("id")).next()) throw HttpError(404, "there is no such entry");
      found.next();  // a change counts when its statement has ended
      return Response(204);
    });
  }
  Response operator()(const Request& request) { return router_(request); }

 private:
  // Every worker does this when it starts, several at once.
  void create() try {
    for (int left_ms = settings_.busy_ms; !set_wal_mode(); left_ms -= 10) {
      if (left_ms <= 0) throw HttpError(503).because("it is busy: nobody else may write while its mode is changed");
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    database_
        ->query(
            "CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY AUTOINCREMENT,"
            " time TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, name TEXT NOT NULL, text TEXT NOT NULL)")
        .next();
  } catch (const HttpError& error) {
    throw std::runtime_error("option 'file': '" + settings_.file + "': " + std::string(error.log_text()));
  }
  // False: another connection is in the way. For this statement SQLite does not always wait as for others.
  bool set_wal_mode() try {
    database_->query("PRAGMA journal_mode = WAL").next();
    return true;
  } catch (const HttpError& error) {
    if (!error.headers().contains("Retry-After")) throw;
    return false;
  }

  std::int64_t add(std::string_view name, std::string_view text) {
    if (name.empty() || name.size() > 100) throw HttpError(422, "'name' must have 1 to 100 bytes");
    if (text.empty() || text.size() > 10'000) throw HttpError(422, "'text' must have 1 to 10000 bytes");
    Statement added = database_->query("INSERT INTO entry (name, text) VALUES (?, ?) RETURNING id");
    added.bind(name).bind(text).next();
    const std::int64_t id = added.number(0);
    added.next();  // a change counts when its statement has ended
    return id;
  }

  nlohmann::json newest(const Request& request) {
    Statement rows = database_->query("SELECT id, time, name, text FROM entry WHERE id < ? ORDER BY id DESC LIMIT ?");
    rows.bind(request.query("before", std::numeric_limits<std::int64_t>::max()));
    rows.bind(std::int64_t{std::min(request.query("limit", 100u), 1000u)});
    nlohmann::json entries = nlohmann::json::array();
    while (rows.next()) {
      entries.push_back(
          {{"id", rows.number(0)}, {"time", rows.text(1)}, {"name", rows.text(2)}, {"text", rows.text(3)}});
    }
    return entries;
  }

  Response page(const Request& request) {
    std::string html =
        "<!doctype html><title>Guestbook</title><h1>Guestbook</h1>\n"
        "<form method=post><input name=name> <input name=text> <button>Sign</button></form>\n<dl>\n";
    for (const nlohmann::json& entry : newest(request)) {
      html += "<dt>" + narwhal::html_escape(entry["name"].get<std::string>()) + ", " +
              entry["time"].get<std::string>() + "<dd>" + narwhal::html_escape(entry["text"].get<std::string>()) + "\n";
    }
    return Response::html(html + "</dl>\n").header("Content-Security-Policy", "default-src 'none'");
  }

  const Settings settings_;
  narwhal::Router router_;
  narwhal::PerThread<Database> database_{[this] { return Database(settings_); }};
};

}  // namespace

NARWHAL_PLUGIN(Guestbook(boot), .name = "guestbook", .version = "1.0",
               .options = {
                   {"file", "string", nullptr, "the database: a path, or an SQLite URI (file:...?mode=ro)", true},
                   {"busy", "int", "2000", "most milliseconds to wait for other writers"},
                   {"pages", "int", "250000", "most pages of the database, of 4096 bytes each"}})
