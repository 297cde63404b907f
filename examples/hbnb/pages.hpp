// The pages for people, and the files beside them.
//   /, /hbnb                                        the clone: filters, and a script that fetches the places by the API
//   /airbnb-onepage/                                everything on one page, without a script
//   /airbnb-dynamic/number_odd_or_even/<n>          whether a number is odd or even
//   /static/<name>                                  styles, script, icons
// Ownership  Pages refer to `records`, which must outlive them; the routes of add_to() refer to the Pages.
// Errors     std::invalid_argument from the constructor for a template that cannot be read; HttpError 404.
// Threads    any.
#pragma once

#include <narwhal/router.hpp>

#include "records.hpp"
#include "template.hpp"

namespace hbnb {

class Pages {
 public:
  // `folder`: where templates/ and static/ are read from, in place of those in the plugin; empty: it has them.
  Pages(Records& records, std::string folder);
  void add_to(narwhal::Router& router);

 private:
  narwhal::Response page(const narwhal::Request& request, const char* name, Members data) const;
  narwhal::Response clone(const narwhal::Request& request);
  narwhal::Response onepage(const narwhal::Request& request);
  narwhal::Response odd_or_even(const narwhal::Request& request) const;
  narwhal::Response file(const narwhal::Request& request) const;
  Data states_with_cities();
  std::string source(std::string_view name) const;

  Records& records_;
  const std::string folder_;
  std::map<std::string, Template, std::less<>> templates_;
};

}  // namespace hbnb
