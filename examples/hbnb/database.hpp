// A connection to a database, the same for SQLite and PostgreSQL.
// SQL        what both of them read. The parameters are $1, $2, ... and mean `values` in order; each statement is
//            prepared once for each connection, so a text must not hold what a client has sent.
// Ownership  a Connection owns its handle and its prepared statements. Rows are copies.
// Errors     DatabaseError, whose text names what was tried and what the database says.
// Threads    one at a time. A handler thread has its own: Database.
#pragma once

#include <narwhal/per_thread.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace hbnb {

using Value = std::variant<std::monostate, std::int64_t, double, std::string>;  // monostate: NULL
using Row = std::vector<Value>;

class DatabaseError : public std::runtime_error {
 public:
  enum class Cause {
    unavailable,  // not reachable, or too busy; the same may work later
    reference,    // a row names another one that is not there
    other
  };
  DatabaseError(Cause cause, const std::string& text) : std::runtime_error(text), cause_(cause) {}
  Cause cause() const noexcept { return cause_; }

 private:
  Cause cause_;
};

class Connection {
 public:
  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  virtual ~Connection() = default;

  // Runs one statement to its end: when this returns, what it has written is durable.
  virtual std::vector<Row> run(const std::string& sql, std::span<const Value> values = {}) = 0;
  // Runs several statements without parameters.
  virtual void script(const std::string& sql) = 0;
  // A transaction that no other connection has at the same time. In it, a lost connection is not opened again.
  virtual void begin_alone() = 0;
  virtual void commit() = 0;
  virtual void roll_back() = 0;
  // A subquery: the texts of the JSON array that is parameter `number`.
  virtual std::string texts_of(int number) const = 0;
};

// "postgresql://..." or "postgres://..."; another name is the path of an SQLite file, which is made if it is not there.
std::unique_ptr<Connection> connect(const std::string& name);
std::unique_ptr<Connection> open_sqlite(const std::string& path);
std::unique_ptr<Connection> open_postgres(const std::string& url);  // connects at the first use, and again after a loss

// The pool: one connection for each handler thread, opened at its first use and so after the fork.
class Database {
 public:
  explicit Database(std::string name) : name_(std::move(name)) {}
  Connection& operator*() { return **connection_; }
  Connection* operator->() { return connection_->get(); }

 private:
  const std::string name_;
  narwhal::PerThread<std::unique_ptr<Connection>> connection_{[this] { return connect(name_); }};
};

// Brings the tables to the version that this program knows, and fills new ones with the first data. Safe while other
// workers, or other machines, do the same. Throws DatabaseError, also for tables that a newer program has made.
void migrate(Connection& connection);

}  // namespace hbnb
