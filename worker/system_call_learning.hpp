// The process that adds system calls to the list of a seccomp_file while they are made: `seccomp: learn`.
// Life  a process of its own, in a group of its own; ends with the last process under the filter.
#pragma once

#include <vector>

#include "core/fd.hpp"
#include "core/result.hpp"

namespace narwhal::worker {

// Before the filter is set, so that it does not apply to that process. Returns the socket for give_listener().
// `known`: what is in the file, and not to be written again.
Result<Fd> begin_learning(Fd file, std::vector<int> known);
// What the kernel has given for the filter.
Result<Done> give_listener(const Fd& learning, Fd listener);

}  // namespace narwhal::worker
