// hbnb: the Airbnb clone as one plugin: pages, a JSON API and a database. Nothing has to be set up:
//   narwhal -w 2 --threads 4 ./hbnb.so                                 hbnb.db in the current directory is made
//   narwhal --option database=postgresql://hbnb@db/hbnb ./hbnb.so      for several machines
//   curl http://127.0.0.1:8000/api/v1/stats
// A password for PostgreSQL is better in PGPASSFILE than in the URL, which everybody on the machine sees in `ps`.
// It is built against SQLite, nettle and nlohmann-json (Debian: libsqlite3-dev, nettle-dev, nlohmann-json3-dev), and
// against libpq (libpq-dev) for PostgreSQL. Where to read first: entities.hpp, records.hpp, api.cpp.
#include <narwhal/app.hpp>
#include <narwhal/router.hpp>

#include "api.hpp"
#include "pages.hpp"

namespace {

class Hbnb {
 public:
  explicit Hbnb(const narwhal::Boot& boot)
      : name_(boot.get("database", "hbnb.db")), database_(name_), pages_(records_, boot.get("folder", "")) {
    hbnb::migrate(*hbnb::connect(name_));
    router_.strict_slashes(false);
    router_.mount("/api/v1", hbnb::make_api(records_), "api");
    pages_.add_to(router_);
  }
  narwhal::Response operator()(const narwhal::Request& request) const { return router_(request); }

 private:
  const std::string name_;
  hbnb::Database database_;
  hbnb::Records records_{database_};
  hbnb::Pages pages_;
  narwhal::Router router_;
};

}  // namespace

NARWHAL_PLUGIN(Hbnb(boot), .name = "hbnb", .version = "1.0",
               .options = {
                   {.key = "database",
                    .help = "where the records are: the path of an SQLite file, or postgresql://USER@HOST/NAME"},
                   {.key = "folder", .help = "templates/ and static/ from this folder, not from the plugin"}})
