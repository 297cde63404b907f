// What execve() takes, of texts.
#pragma once

#include <string>
#include <vector>

namespace narwhal {

// Pointers into `texts`, which must outlive them, and the null at the end.
inline std::vector<char*> exec_pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace narwhal
