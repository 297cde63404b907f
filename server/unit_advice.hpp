// What a message adds when the server runs as a service of systemd: there the unit decides which files it may write and
// as which user it runs, so the cure is in the unit.
#pragma once

#include <string>

#include "core/result.hpp"

namespace narwhal::server {

enum class UnitMeans {
  logs,     // LogsDirectory=, ReadWritePaths=
  pidfile,  // none is needed; RuntimeDirectory=
  user,     // User= and Group=
};

// INVOCATION_ID or NOTIFY_SOCKET is in the environment, and standard error is not a terminal.
bool is_service_of_systemd();
// Empty if it is not one. Starts with "; ".
std::string unit_advice(UnitMeans means);
// The same result; to an error the advice is added.
template <class T>
Result<T> advised(Result<T> result, UnitMeans means) {
  if (result) return result;
  return Error{result.error() + unit_advice(means)};
}

}  // namespace narwhal::server
