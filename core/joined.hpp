// joined(): words as one text, with `between` between each two of them.
//   joined(names, ", ")                    names of any kind of string
//   joined(config.routes, " or ", &Route::app)  what `word_of` makes of each element: a member, or a function
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace narwhal {

template <class Elements, class WordOf = std::identity>
std::string joined(const Elements& elements, std::string_view between, WordOf word_of = {}) {
  std::string text;
  bool is_first = true;
  for (const auto& element : elements) {
    if (!is_first) text += between;
    is_first = false;
    text += std::invoke(word_of, element);
  }
  return text;
}

}  // namespace narwhal
