// PostgreSQL by libpq. The connection is opened at the first use, and again after the server has restarted.
// Waiting     3 s for the server to accept the connection, unless the URL says otherwise (connect_timeout). After a
//             refusal the next attempt is made half a second later at the earliest; until then requests fail at once.
// Durability  the server's: synchronous_commit is on unless somebody has turned it off.
#include "database.hpp"

#include <libpq-fe.h>
#include <poll.h>

#include <charconv>
#include <chrono>
#include <unordered_map>

namespace hbnb {
namespace {

using Cause = DatabaseError::Cause;
using Clock = std::chrono::steady_clock;

struct Finish {
  void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};
struct Clear {
  void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, Clear>;

std::string text_of(const Value& value) {
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return std::to_string(*whole);
  if (const auto* real = std::get_if<double>(&value)) {
    char digits[32];
    return {digits, std::to_chars(digits, digits + sizeof digits, *real).ptr};
  }
  return std::get<std::string>(value);
}

Value value_of(const PGresult* result, int row, int column) {
  constexpr Oid int8 = 20, int2 = 21, int4 = 23, float8 = 701;  // catalog/pg_type.dat: these never change
  if (PQgetisnull(result, row, column) != 0) return {};
  const char* const text = PQgetvalue(result, row, column);
  const char* const end = text + PQgetlength(result, row, column);
  const Oid type = PQftype(result, column);
  if (type == int2 || type == int4 || type == int8) {
    std::int64_t whole = 0;
    std::from_chars(text, end, whole);
    return whole;
  }
  if (type == float8) {
    double real = 0;
    std::from_chars(text, end, real);
    return real;
  }
  return std::string(text, end);
}

Cause cause_of(std::string_view state) {
  if (state == "23503") return Cause::reference;
  // Lost or refused connections, shut-downs, deadlocks and lack of resources.
  for (const std::string_view start : {"08", "57P", "40", "53"}) {
    if (state.starts_with(start)) return Cause::unavailable;
  }
  return Cause::other;
}

class Postgres final : public Connection {
 public:
  explicit Postgres(std::string url) : url_(std::move(url)) {}

  std::vector<Row> run(const std::string& sql, std::span<const Value> values) override {
    reach();
    const std::string name = prepared(sql);
    std::vector<std::string> texts;
    std::vector<const char*> pointers;
    texts.reserve(values.size());
    for (const Value& value : values) {
      const bool null = std::holds_alternative<std::monostate>(value);
      texts.push_back(null ? "" : text_of(value));
      pointers.push_back(null ? nullptr : texts.back().c_str());
    }
    const Result result(PQexecPrepared(handle_.get(), name.c_str(), static_cast<int>(values.size()), pointers.data(),
                                       nullptr, nullptr, 0));
    check(result, sql);
    std::vector<Row> rows(static_cast<std::size_t>(PQntuples(result.get())));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (int j = 0; j < PQnfields(result.get()); ++j)
        rows[i].push_back(value_of(result.get(), static_cast<int>(i), j));
    }
    return rows;
  }
  void script(const std::string& sql) override {
    reach();
    check(Result(PQexec(handle_.get(), sql.c_str())), sql);
  }
  // The number is this program's own; the lock ends with the transaction.
  void begin_alone() override {
    script("BEGIN; SELECT pg_advisory_xact_lock(7240916355)");
    in_transaction_ = true;
  }
  void commit() override {
    script("COMMIT");
    in_transaction_ = false;
  }
  void roll_back() override {
    in_transaction_ = false;
    if (handle_ != nullptr) script("ROLLBACK");
  }
  std::string texts_of(int number) const override {
    return "SELECT jsonb_array_elements_text($" + std::to_string(number) + "::jsonb)";
  }

 private:
  // Connected, as far as one can know without asking. A server that has left has sent a farewell, and nothing else
  // comes unasked but changes of its settings: so a statement is not sent into a connection that is closed already.
  void reach() {
    while (handle_ != nullptr) {
      pollfd ready{.fd = PQsocket(handle_.get()), .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, 0) <= 0) break;
      if (PQconsumeInput(handle_.get()) == 0) forget();
    }
    if (handle_ != nullptr) return;
    if (in_transaction_)
      throw DatabaseError(Cause::unavailable, "PostgreSQL: the connection was lost in a transaction");
    if (Clock::now() < next_try_) throw DatabaseError(Cause::unavailable, refusal_);
    open();
  }

  void open() {
    // The later one wins: what the URL says comes last.
    const char* const names[] = {"connect_timeout", "fallback_application_name", "client_encoding", "dbname", nullptr};
    const char* const values[] = {"3", "narwhal hbnb", "UTF8", url_.c_str(), nullptr};
    std::unique_ptr<PGconn, Finish> fresh(PQconnectdbParams(names, values, 1));
    if (fresh == nullptr) throw std::bad_alloc();
    if (PQstatus(fresh.get()) != CONNECTION_OK) {
      refusal_ = std::string("PostgreSQL, at the option 'database': ") + PQerrorMessage(fresh.get());
      next_try_ = Clock::now() + std::chrono::milliseconds(500);
      throw DatabaseError(Cause::unavailable, refusal_);
    }
    PQsetNoticeProcessor(
        fresh.get(), [](void*, const char*) {}, nullptr);  // "already exists, skipping"
    handle_ = std::move(fresh);
  }

  void forget() noexcept {
    handle_.reset();
    names_.clear();
  }

  std::string prepared(const std::string& sql) {
    if (const auto found = names_.find(sql); found != names_.end()) return found->second;
    std::string name = "s" + std::to_string(names_.size());
    check(Result(PQprepare(handle_.get(), name.c_str(), sql.c_str(), 0, nullptr)), sql);
    names_.emplace(sql, name);
    return name;
  }

  void check(const Result& result, const std::string& tried) {
    const ExecStatusType status = result == nullptr ? PGRES_FATAL_ERROR : PQresultStatus(result.get());
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return;
    const char* const state = result == nullptr ? nullptr : PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
    const std::string text = std::string("PostgreSQL: ") + PQerrorMessage(handle_.get()) + "in: " + tried;
    const bool lost = PQstatus(handle_.get()) != CONNECTION_OK;
    if (lost) forget();
    throw DatabaseError(lost ? Cause::unavailable : cause_of(state == nullptr ? "" : state), text);
  }

  const std::string url_;
  std::unique_ptr<PGconn, Finish> handle_;
  std::unordered_map<std::string, std::string> names_;  // of the prepared statements, by their text
  bool in_transaction_ = false;
  std::string refusal_;
  Clock::time_point next_try_{};
};

}  // namespace

std::unique_ptr<Connection> open_postgres(const std::string& url) { return std::make_unique<Postgres>(url); }

}  // namespace hbnb
