#include "server/config/shell_words.hpp"

#include <utility>

namespace narwhal::server {

Result<std::vector<std::string>> split_shell_words(std::string_view line) {
  enum class State { between, word, single_quoted, double_quoted };
  State state = State::between;
  std::vector<std::string> words;
  std::string word;
  for (std::size_t at = 0; at < line.size(); ++at) {
    const char c = line[at];
    if (state == State::single_quoted || (state == State::double_quoted && c == '"')) {
      const char quote = state == State::single_quoted ? '\'' : '"';
      if (c == quote) {
        state = State::word;
      } else {
        word += c;
      }
    } else if (c == '\\') {
      if (at + 1 == line.size()) return Error{"no character follows the last '\\'"};
      const char next = line[++at];
      // Inside "...", a backslash escapes only these two.
      if (state == State::double_quoted && next != '"' && next != '\\') word += c;
      word += next;
      if (state == State::between) state = State::word;
    } else if (state == State::double_quoted) {
      word += c;
    } else if (c == '\'' || c == '"') {
      state = c == '"' ? State::double_quoted : State::single_quoted;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      if (state == State::word) words.push_back(std::exchange(word, {}));
      state = State::between;
    } else {
      word += c;
      state = State::word;
    }
  }
  if (state == State::single_quoted || state == State::double_quoted) return Error{"a quote is not closed"};
  if (state == State::word) words.push_back(std::move(word));
  return words;
}

}  // namespace narwhal::server
