// Counters, gauges and histograms for the server's /metrics, and numbers that all workers share.
//   narwhal::Counter orders{"shop_orders_total", "Orders taken."};          // a member of the app
//   narwhal::Histogram wait{"shop_bank_seconds", "Time that the bank took.", {0.1, 0.5, 2}};
//   orders.add();
//   narwhal::SharedNumber visitors{"visitors"};
//   visitors.add(1);                                                        // by every worker, whatever its generation
// Made by    name, help, and for a histogram its bounds; then labels: {{"kind", "card"}}. Two of one name and the same labels
//            are one, in all workers. Make them in the app's set-up, not for each request: they are looked up by name.
// Ownership  the server has the numbers, and keeps them; these objects name them, and may be made and deleted freely.
// Shown      counters and histograms as they are, a gauge as the sum over the workers that are alive.
// Errors     none: one that the server cannot have (a name that is not valid, no room) counts for nobody, and the log says why.
//            So does every one where the server lacks the extension.
// Threads    any.
#pragma once

#include <narwhal/extensions.h>
#include <narwhal/log.hpp>

#include <atomic>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace narwhal {

using MetricLabels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

namespace detail {

template <class Table>
const Table* extension(const char* id) noexcept {
  return the_host != nullptr ? static_cast<const Table*>(the_host->get_extension(id)) : nullptr;
}

inline std::string label_text(MetricLabels labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    text += text.empty() ? "" : ",";
    text.append(name).append("=\"");
    for (const char c : value) {
      if (c == '\\' || c == '"') text += '\\';
      c == '\n' ? text += "\\n" : text += c;
    }
    text += '"';
  }
  return text;
}

class Metric {
 public:
  Metric(std::int32_t kind, std::string_view name, std::string_view help, MetricLabels labels,
         std::initializer_list<double> bounds = {})
      : table_(extension<narwhal_metrics>(NARWHAL_METRICS)) {
    const std::string text = label_text(labels);
    if (table_ != nullptr)
      metric_ = table_->metric(kind, bytes_of(name), bytes_of(text), bytes_of(help), bounds.begin(),
                               static_cast<std::uint32_t>(bounds.size()));
  }
  void add(double value) const noexcept {
    if (metric_ != nullptr) table_->add(metric_, value);
  }
  void set(double value) const noexcept {
    if (metric_ != nullptr) table_->set(metric_, value);
  }

 private:
  const narwhal_metrics* table_;
  narwhal_metric* metric_ = nullptr;
};

}  // namespace detail

// Only grows.
class Counter {
 public:
  Counter(std::string_view name, std::string_view help, MetricLabels labels = {})
      : metric_(NARWHAL_COUNTER, name, help, labels) {}
  void add(double value = 1) const noexcept { metric_.add(value); }

 private:
  detail::Metric metric_;
};

// This worker's part of a value that goes up and down.
class Gauge {
 public:
  Gauge(std::string_view name, std::string_view help, MetricLabels labels = {})
      : metric_(NARWHAL_GAUGE, name, help, labels) {}
  void add(double value = 1) const noexcept { metric_.add(value); }
  void set(double value) const noexcept { metric_.set(value); }

 private:
  detail::Metric metric_;
};

// How values are distributed. `bounds` grow; values above the last one are counted too.
class Histogram {
 public:
  Histogram(std::string_view name, std::string_view help, std::initializer_list<double> bounds,
            MetricLabels labels = {})
      : metric_(NARWHAL_HISTOGRAM, name, help, labels, bounds) {}
  void observe(double value) const noexcept { metric_.add(value); }

 private:
  detail::Metric metric_;
};

// A number in the memory that all workers share; 0 at first. Where the server has none, one of this object's own.
class SharedNumber {
 public:
  explicit SharedNumber(std::string_view name) {
    if (const auto* const table = detail::extension<narwhal_counters>(NARWHAL_COUNTERS)) {
      if (std::int64_t* const number = table->number(bytes_of(name))) number_ = number;
    }
  }
  SharedNumber(const SharedNumber&) = delete;
  SharedNumber& operator=(const SharedNumber&) = delete;

  bool is_shared() const noexcept { return number_ != &own_; }
  std::int64_t load() const noexcept { return reference().load(); }
  void store(std::int64_t value) const noexcept { reference().store(value); }
  std::int64_t add(std::int64_t value) const noexcept {
    return reference().fetch_add(value) + value;
  }  // what it is then
  // Sets it to `wanted` if it is still `expected`. False: it is not; `expected` is then what it is.
  bool replace(std::int64_t& expected, std::int64_t wanted) const noexcept {
    return reference().compare_exchange_strong(expected, wanted);
  }

 private:
  std::atomic_ref<std::int64_t> reference() const noexcept { return std::atomic_ref<std::int64_t>(*number_); }
  std::int64_t own_ = 0;
  std::int64_t* number_ = &own_;
};

}  // namespace narwhal
