// Numbers and metrics of plugins in shared memory.
#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/number_table.hpp"
#include "core/scoreboard.hpp"

using namespace narwhal;
using Kind = NumberTable::Kind;

namespace {

struct Tables {
  std::unique_ptr<NumberTable> table = std::make_unique<NumberTable>();
  NumberTable::Entry* enter(const NumberTable::Key& key) { return or_throw(table->enter(key)); }
  std::string fault(const NumberTable::Key& key) {
    const auto entered = table->enter(key);
    REQUIRE_FALSE(entered);
    return entered.error();
  }
};

constexpr std::array bounds{0.5, 1.0};

}  // namespace

TEST_CASE("number table: one key is one entry, and kinds and labels tell entries apart") {
  Tables tables;
  NumberTable::Entry* const number = tables.enter({Kind::shared, "a"});
  NumberTable::Entry* const counter = tables.enter({Kind::counter, "a"});
  NumberTable::Entry* const labelled = tables.enter({Kind::counter, "a", "x=\"1\""});
  CHECK(std::set{number, counter, labelled}.size() == 3);
  CHECK(tables.enter({Kind::shared, "a"}) == number);
  CHECK(tables.enter({Kind::counter, "a"}) == counter);
  CHECK(tables.enter({Kind::counter, "a", "x=\"1\"", "other help"}) == labelled);
  CHECK(tables.table->read().size() == 3);
}

TEST_CASE("number table: what is entered is read, in the order of kind, name and labels") {
  Tables tables;
  tables.enter({Kind::histogram, "h", "", "sizes", bounds})->counts[2].store(7);
  tables.enter({Kind::gauge, "g"});
  tables.enter({Kind::gauge, "f"});
  tables.enter({Kind::counter, "b"})->total.store(1.5);
  tables.enter({Kind::counter, "a", "x=\"2\""});
  tables.enter({Kind::counter, "a", "x=\"1\""});
  const std::vector<NumberTable::Number> numbers = tables.table->read();
  std::string order;
  for (const NumberTable::Number& number : numbers) order += number.name + number.labels + " ";
  CHECK(order == "ax=\"1\" ax=\"2\" b f g h ");
  CHECK(numbers[2].value == 1.5);
  CHECK(numbers[3].gauge != numbers[4].gauge);
  CHECK(numbers[5].help == "sizes");
  CHECK(numbers[5].bounds == std::vector<double>{0.5, 1.0});
  CHECK(numbers[5].counts == std::vector<std::uint64_t>{0, 0, 7});
}

TEST_CASE("number table: keys that cannot be shown are refused with the reason") {
  Tables tables;
  const std::string long_text(201, 'a');
  CHECK(tables.fault({Kind::shared, ""}) == "shared number '': it has no name");
  CHECK(tables.fault({Kind::shared, long_text}).find("its name has more than 100 bytes") != std::string::npos);
  for (const char* name : {"", "9a", "a b", "a-b", "\xc3\xa4", "narwhal_x"}) {
    INFO(name);
    CHECK(tables.fault({Kind::counter, name}).find("its name is not one for a metric") != std::string::npos);
  }
  for (const char* labels : {"a", "a=", "a=b", "a=\"b", "a=\"b\\", "a=\"b\\x\"", "=\"b\"", "9=\"b\"", "a=\"b\",",
                             "a=\"b\"c=\"d\"", "a=\"b\n\"", "le=\"1\"", ",a=\"b\""}) {
    INFO(labels);
    CHECK(tables.fault({Kind::counter, "a", labels}).find("its labels are not a list") != std::string::npos);
  }
  CHECK(tables.fault({Kind::counter, "a", long_text}).find("its labels have more than 200 bytes") != std::string::npos);
  CHECK(tables.fault({Kind::counter, "a", "", "b\nc"}).find("its help is not one line") != std::string::npos);
  CHECK(tables.fault({Kind::counter, "a", "", "", bounds}) ==
        "counter 'a': a histogram has bounds, and nothing else has");
  CHECK(tables.fault({Kind::histogram, "a"}) == "histogram 'a': a histogram has bounds, and nothing else has");
  const std::vector<std::vector<double>> bad_bounds{{1, 1},
                                                    {2, 1},
                                                    {std::numeric_limits<double>::infinity()},
                                                    {std::numeric_limits<double>::quiet_NaN()},
                                                    std::vector<double>(25, 1)};
  for (const std::vector<double>& bad : bad_bounds)
    CHECK(tables.fault({Kind::histogram, "a", "", "", bad}).find("its bounds are not") != std::string::npos);
  CHECK(tables.table->read().empty());

  tables.enter({Kind::histogram, "a", "", "", bounds});
  CHECK(tables.fault({Kind::counter, "a", "x=\"y\""}) == "counter 'a': the name is that of a histogram already");
  CHECK(tables.fault({Kind::histogram, "a", "x=\"y\"", "", std::span(bounds).first(1)}) ==
        "histogram 'a': the name has other bounds already");
}

TEST_CASE("number table: it is full at its limits, and what is there stays") {
  Tables tables;
  for (std::size_t i = 0; i < NumberTable::gauges_max; ++i) tables.enter({Kind::gauge, "g" + std::to_string(i)});
  CHECK(tables.fault({Kind::gauge, "one_more"}) == "gauge 'one_more': there are 64 gauges already");
  CHECK(tables.fault({Kind::gauge, "and_more"}) == "gauge 'and_more': there are 64 gauges already");
  for (std::size_t i = NumberTable::gauges_max; i < NumberTable::entries_max; ++i)
    tables.enter({Kind::shared, std::to_string(i)});
  CHECK(tables.fault({Kind::shared, "one more"}) ==
        "shared number 'one more': there are 512 numbers and metrics already");
  CHECK(tables.enter({Kind::gauge, "g7"})->gauge == 7);
  CHECK(tables.table->read().size() == NumberTable::entries_max);
}

TEST_CASE("number table: threads that enter the same keys at once get the same entries") {
  Tables tables;
  constexpr std::size_t threads_count = 6, keys = 100;
  std::vector<std::vector<NumberTable::Entry*>> found(threads_count);
  std::vector<std::thread> threads;
  for (std::vector<NumberTable::Entry*>& own : found) {
    threads.emplace_back([&] {
      for (std::size_t key = 0; key < keys; ++key) {
        own.push_back(tables.enter({Kind::counter, "k" + std::to_string(key)}));
        own.back()->total.fetch_add(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& own : found) CHECK(own == found.front());
  CHECK(tables.table->read().size() == keys);
  for (const NumberTable::Number& number : tables.table->read()) CHECK(number.value == threads_count);
}

TEST_CASE("number table: whatever a worker has written there, what is read is well-formed") {
  Tables tables;
  std::mt19937 random(11);
  for (int round = 0; round < 20; ++round) {
    tables.enter({Kind::counter, "kept" + std::to_string(round)});
    auto* const bytes = reinterpret_cast<unsigned char*>(tables.table.get());
    for (int i = 0; i < 2000; ++i) bytes[random() % sizeof(NumberTable)] = static_cast<unsigned char>(random());
    for (const NumberTable::Number& number : tables.table->read()) {
      CHECK(number.name.size() <= NumberTable::name_max);
      CHECK(number.gauge < NumberTable::gauges_max);
      CHECK(number.bounds.size() <= NumberTable::bounds_max);
    }
  }
}

TEST_CASE("scoreboard: a slot that is cleared has no gauges, and the numbers stay") {
  Scoreboard scoreboard = or_throw(Scoreboard::create());
  or_throw(scoreboard.numbers().enter({Kind::counter, "a"}))->total.store(2);
  or_throw(scoreboard.numbers().enter({Kind::gauge, "g"}));
  scoreboard.gauges(3).values[5].store(7);
  scoreboard.gauges(4).values[5].store(8);
  scoreboard.clear(3);
  CHECK(scoreboard.gauges(3).values[5].load() == 0);
  CHECK(scoreboard.gauges(4).values[5].load() == 8);
  CHECK(scoreboard.numbers().read().at(0).value == 2);
}
