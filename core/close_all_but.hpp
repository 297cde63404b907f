// For a new child: it keeps the descriptors of its seat, and no others of the parent.
#pragma once

#include <vector>

namespace narwhal {

// Closes every descriptor except 0, 1, 2 and those in `keep` (any order; numbers below 3 are ignored).
void close_all_but(std::vector<int> keep);

}  // namespace narwhal
