// SQLite: one file, several processes. Write-ahead logging lets readers go on while one connection writes.
// Durability  synchronous=FULL: a commit waits until the log is on the disk, so that an answered write survives a loss of
//             power. With NORMAL it would survive the death of every process, but not that.
// Waiting     a writer waits up to 5 s for the others.
#include "database.hpp"

#include <sqlite3.h>
#include <time.h>

#include <unordered_map>

namespace hbnb {
namespace {

constexpr int busy_ms = 5000;

struct Close {
  void operator()(sqlite3* handle) const noexcept { sqlite3_close(handle); }
};
struct Finalize {
  void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};
// A statement that is not reset keeps its locks.
struct Reset {
  void operator()(sqlite3_stmt* statement) const noexcept {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
};

class Sqlite final : public Connection {
 public:
  explicit Sqlite(const std::string& path) : path_(path) {
    sqlite3* handle = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &handle,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    handle_.reset(handle);
    if (code != SQLITE_OK) {
      throw DatabaseError(DatabaseError::Cause::unavailable,
                          "cannot open the database file '" + path + "': " + sqlite3_errstr(code) +
                              "; the option 'database' names it, and its folder must exist and be writable");
    }
    sqlite3_busy_timeout(handle, busy_ms);
    log_ahead();
    script("PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;");
  }

  std::vector<Row> run(const std::string& sql, std::span<const Value> values) override {
    const std::unique_ptr<sqlite3_stmt, Reset> statement(prepared(sql));
    for (std::size_t i = 0; i < values.size(); ++i) bind(statement.get(), i + 1, values[i]);
    std::vector<Row> rows;
    int code = sqlite3_step(statement.get());
    for (; code == SQLITE_ROW; code = sqlite3_step(statement.get())) rows.push_back(row_of(statement.get()));
    if (code != SQLITE_DONE) fail(sql);
    return rows;
  }
  void script(const std::string& sql) override {
    if (sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail(sql);
  }
  void begin_alone() override { script("BEGIN IMMEDIATE"); }
  void commit() override { script("COMMIT"); }
  void roll_back() override { script("ROLLBACK"); }
  std::string texts_of(int number) const override {
    return "SELECT value FROM json_each($" + std::to_string(number) + ")";
  }

 private:
  // Several workers may open a new file at once. While one switches it to the write-ahead log, SQLite refuses the
  // others without waiting for the time limit.
  void log_ahead() {
    constexpr timespec pause{.tv_sec = 0, .tv_nsec = 10'000'000};
    for (int tries = busy_ms / 10;; --tries) {
      if (sqlite3_exec(handle_.get(), "PRAGMA journal_mode=WAL", nullptr, nullptr, nullptr) == SQLITE_OK) return;
      if (sqlite3_errcode(handle_.get()) != SQLITE_BUSY || tries == 0) fail("PRAGMA journal_mode=WAL");
      ::nanosleep(&pause, nullptr);
    }
  }

  sqlite3_stmt* prepared(const std::string& sql) {
    auto& kept = statements_[sql];
    if (kept == nullptr) {
      sqlite3_stmt* statement = nullptr;
      sqlite3_prepare_v3(handle_.get(), sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
      if (statement == nullptr) fail(sql);
      kept.reset(statement);
    }
    return kept.get();
  }

  void bind(sqlite3_stmt* statement, std::size_t number, const Value& value) {
    // SQLite numbers "$2" by where it stands in the text, and not by its digit.
    const int at = sqlite3_bind_parameter_index(statement, ("$" + std::to_string(number)).c_str());
    int code = SQLITE_OK;
    if (const auto* whole = std::get_if<std::int64_t>(&value)) code = sqlite3_bind_int64(statement, at, *whole);
    if (const auto* real = std::get_if<double>(&value)) code = sqlite3_bind_double(statement, at, *real);
    if (const auto* text = std::get_if<std::string>(&value)) {
      code = sqlite3_bind_text64(statement, at, text->data(), text->size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    }
    if (code != SQLITE_OK) fail("bind $" + std::to_string(number));
  }

  static Row row_of(sqlite3_stmt* statement) {
    Row row;
    const int count = sqlite3_column_count(statement);
    row.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      switch (sqlite3_column_type(statement, i)) {
        case SQLITE_NULL: row.emplace_back(); break;
        case SQLITE_INTEGER: row.emplace_back(std::int64_t{sqlite3_column_int64(statement, i)}); break;
        case SQLITE_FLOAT: row.emplace_back(sqlite3_column_double(statement, i)); break;
        default: {
          const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
          row.emplace_back(std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement, i))));
        }
      }
    }
    return row;
  }

  [[noreturn]] void fail(const std::string& tried) {
    using Cause = DatabaseError::Cause;
    const int code = sqlite3_extended_errcode(handle_.get());
    const int kind = code & 0xff;
    Cause cause = Cause::other;
    if (kind == SQLITE_BUSY || kind == SQLITE_LOCKED || kind == SQLITE_FULL || kind == SQLITE_CANTOPEN) {
      cause = Cause::unavailable;
    }
    if (code == SQLITE_CONSTRAINT_FOREIGNKEY) cause = Cause::reference;
    throw DatabaseError(cause, "SQLite, " + path_ + ": " + sqlite3_errmsg(handle_.get()) + ", in: " + tried);
  }

  const std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
  std::unordered_map<std::string, std::unique_ptr<sqlite3_stmt, Finalize>> statements_;  // freed before the handle
};

}  // namespace

std::unique_ptr<Connection> open_sqlite(const std::string& path) { return std::make_unique<Sqlite>(path); }

}  // namespace hbnb
