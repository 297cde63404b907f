// ErrorPages: what answers in place of the plain text of an HttpError. For router.hpp.
// Errors     a page that throws is logged, and the client gets the plain text.
// Threads    add first; then any number of threads may look.
#pragma once

#include <narwhal/app_type.hpp>
#include <narwhal/log.hpp>

#include <utility>
#include <vector>

namespace narwhal {

// Makes the answer to an error. The status and fields of the error are added to what it returns.
using ErrorHandler = detail::SharedCallable<Response(const Request&, const HttpError&)>;

namespace detail {

class ErrorPages {
 public:
  void set(int status, App page) { pages_.insert(pages_.begin(), {status, std::move(page)}); }
  void set(ErrorHandler handler) { handler_ = std::move(handler); }

  // Whether `status` has a page of its own, or a handler.
  bool answers(int status) const noexcept { return handler_ || page(status) != nullptr; }
  Response answer(const Request& request, const HttpError& error) const {
    const App* const own = page(error.status());
    try {
      Response response = own != nullptr ? (*own)(request) : handler_(request, error);
      if (response.status() == 200) response.status(error.status());
      for (const auto& [name, value] : error.headers()) {
        if (!response.headers().contains(name.view())) response.header(name, value);
      }
      return response;
    } catch (const Gone&) {
      throw;
    } catch (...) {
      log_error(request, "an error page failed: " + reason_now());
      return Response::error(error);
    }
  }

 private:
  const App* page(int status) const noexcept {
    for (const auto& [number, app] : pages_) {
      if (number == status) return &app;
    }
    return nullptr;
  }
  std::vector<std::pair<int, App>> pages_;  // the last one set for a status comes first
  ErrorHandler handler_;
};

}  // namespace detail
}  // namespace narwhal
