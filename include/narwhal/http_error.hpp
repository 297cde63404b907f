// HttpError: what an app throws to answer with this status. It may be thrown wherever a response is made: in an app, in
// what runs for it, in a stream before its first piece, in a deferred callable.
//   throw narwhal::HttpError(404, "no such article");
//   throw narwhal::HttpError(503).header("Retry-After", "60").because("the database refuses connections");
// The client gets the status, the fields and the text as text/plain, or a router's page for this status.
// Logged     with the request: what because() says; without it, the text of one from 500 on. Others are not logged.
// Ownership  as Text; a literal is borrowed. It copies, because exceptions do.
// Errors     a status below 400 or above 599, or a field that may not go on the wire, becomes a 500.
#pragma once

#include <narwhal/headers.hpp>

#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace narwhal {

// The standard phrase for the statuses that apps use most (RFC 9110 15, RFC 6585); for others what their class means.
inline std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 422: return "Unprocessable Content";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return status < 500 ? "Client Error" : "Server Error";
  }
}

class HttpError : public std::exception {
 public:
  explicit HttpError(int status) : HttpError(status, forever(reason_phrase(status))) {}
  HttpError(int status, Text text) : status_(status), text_(std::move(text).take()) {}

  HttpError& header(Text name, Text value) & {
    headers_.add(std::move(name), std::move(value));
    return *this;
  }
  HttpError&& header(Text name, Text value) && { return std::move(header(std::move(name), std::move(value))); }
  // For the log only.
  HttpError& because(std::string reason) & {
    reason_ = std::move(reason);
    return *this;
  }
  HttpError&& because(std::string reason) && { return std::move(because(std::move(reason))); }

  int status() const noexcept { return status_; }
  std::string_view text() const noexcept { return text_; }
  const Headers& headers() const noexcept { return headers_; }
  // The text for the log; empty: nothing is logged.
  std::string_view log_text() const noexcept { return !reason_.empty() || status_ < 500 ? reason_ : text_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  int status_;
  std::string text_, reason_;
  Headers headers_;
};

}  // namespace narwhal
