#include "database.hpp"

#include "assets.hpp"

namespace hbnb {
namespace {

// The steps from no tables at all to those of today. A step that has been released is never changed: a new one follows.
constexpr std::string_view steps[] = {"sql/1-tables.sql", "sql/2-indexes.sql"};
constexpr std::string_view first_data = "sql/first-data.sql";

// Rolled back unless committed.
class AloneTransaction {
 public:
  explicit AloneTransaction(Connection& connection) : connection_(connection) { connection_.begin_alone(); }
  AloneTransaction(const AloneTransaction&) = delete;
  AloneTransaction& operator=(const AloneTransaction&) = delete;
  ~AloneTransaction() {
    if (done_) return;
    try {
      connection_.roll_back();
    } catch (const DatabaseError&) {  // the connection is lost, and so is the transaction
    }
  }
  void commit() {
    connection_.commit();
    done_ = true;
  }

 private:
  Connection& connection_;
  bool done_ = false;
};

std::string sql_of(std::string_view name) { return std::string(find_asset(name)->bytes); }

}  // namespace

std::unique_ptr<Connection> connect(const std::string& name) {
  if (name.starts_with("postgresql://") || name.starts_with("postgres://")) {
#ifdef HBNB_POSTGRES
    return open_postgres(name);
#else
    throw DatabaseError(
        DatabaseError::Cause::other,
        "option 'database': this hbnb was built without PostgreSQL; install libpq-dev and build it again");
#endif
  }
  return open_sqlite(name);
}

void migrate(Connection& connection) {
  AloneTransaction transaction(connection);
  connection.script("CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL)");
  const std::vector<Row> found = connection.run("SELECT version FROM schema_version");
  const auto before = found.empty() ? 0 : static_cast<std::size_t>(std::get<std::int64_t>(found[0][0]));
  if (before > std::size(steps)) {
    throw DatabaseError(DatabaseError::Cause::other,
                        "the database has version " + std::to_string(before) + " of the tables, and this hbnb knows " +
                            std::to_string(std::size(steps)) + ": run the newer hbnb that has made them");
  }
  if (found.empty()) connection.script("INSERT INTO schema_version VALUES (0)");
  for (std::size_t step = before; step < std::size(steps); ++step) connection.script(sql_of(steps[step]));
  if (before == 0) connection.script(sql_of(first_data));
  const Value now = static_cast<std::int64_t>(std::size(steps));
  connection.run("UPDATE schema_version SET version = $1", {&now, 1});
  transaction.commit();
}

}  // namespace hbnb
