// For a fresh child: it keeps what its seat names, and nothing else of the parent's.
#pragma once

#include <vector>

namespace narwhal {

// Closes every descriptor except 0, 1, 2 and those in `keep` (any order; numbers below 3 are ignored).
void close_all_but(std::vector<int> keep);

}  // namespace narwhal
