// What a client got, as text, from the test harness for plugins and from a real worker: so that they can be compared.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <narwhal/testing.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace answers {

using Lines = std::vector<std::string>;

inline std::string answer_text(int status, const Lines& interim, const Lines& head, std::string_view body,
                               const Lines& trailers, bool complete) {
  std::string text;
  for (const std::string& line : interim) text += "interim " + line + "\n";
  text += std::to_string(status) + "\n";
  for (const std::string& line : head) {
    if (!line.starts_with("Date: ") && !line.starts_with("Server: narwhal")) text += line + "\n";
  }
  text += "[" + std::string(body) + "]\n";
  for (const std::string& line : trailers) text += "trailer " + line + "\n";
  return text + (complete ? "complete" : "cut");
}

inline std::string text_of(const narwhal::testing::Answer& answer) {
  const auto lines_of = [](const narwhal::testing::Fields& fields) {
    Lines lines;
    for (const auto& [name, value] : fields) lines.push_back(name + ": " + value);
    return lines;
  };
  Lines interim;
  for (const auto& [status, fields] : answer.interim) {
    interim.push_back(std::to_string(status));
    for (const std::string& line : lines_of(fields)) interim.back() += " " + line;
  }
  Lines head = lines_of(answer.headers);
  for (const std::string& line : lines_of(answer.host_headers)) head.push_back(line);
  return answer_text(answer.status, interim, head, answer.body, lines_of(answer.trailers), answer.complete);
}

inline Lines cut_lines(std::string_view block) {
  Lines lines;
  while (!block.empty()) {
    const std::size_t end = block.find("\r\n");
    lines.emplace_back(block.substr(0, end));
    block.remove_prefix(end == block.npos ? block.size() : end + 2);
  }
  return lines;
}

inline bool has_line(const Lines& lines, const std::string& wanted) {
  return std::find(lines.begin(), lines.end(), wanted) != lines.end();
}

// Takes chunks; true: to the last one, whose trailers are then given.
inline bool take_chunks(std::string_view rest, std::string& body, Lines& trailers) {
  while (true) {
    const std::size_t end = rest.find("\r\n");
    if (end == rest.npos) return false;
    const std::size_t size = std::stoul(std::string(rest.substr(0, end)), nullptr, 16);
    rest.remove_prefix(end + 2);
    if (size == 0) {
      const bool is_whole = rest.ends_with("\r\n");
      if (rest.size() > 2) trailers = cut_lines(rest.substr(0, rest.size() - 4));
      return is_whole;
    }
    body += rest.substr(0, size);
    if (rest.size() < size + 2) return false;
    rest.remove_prefix(size + 2);
  }
}

// All that a connection gave until its end.
inline std::string text_of_bytes(std::string_view bytes, bool was_reset, bool to_head) {
  Lines interim;
  while (true) {
    const std::size_t end = bytes.find("\r\n\r\n");
    if (end == bytes.npos) return answer_text(0, interim, {}, bytes, {}, false);
    Lines head = cut_lines(bytes.substr(0, end));
    bytes.remove_prefix(end + 4);
    const int status = std::atoi(head[0].c_str() + head[0].find(' '));
    head.erase(head.begin());
    if (status < 200) {
      interim.push_back(std::to_string(status));
      for (const std::string& line : head) interim.back() += " " + line;
      continue;
    }
    std::string body(bytes);
    Lines trailers;
    bool complete = !was_reset;
    const bool bodyless = to_head || status == 204 || status == 304;
    if (has_line(head, "Transfer-Encoding: chunked") && !bodyless) {
      body.clear();
      complete = take_chunks(bytes, body, trailers);
    }
    for (const std::string& line : head) {
      if (line.starts_with("Content-Length: ") && !bodyless) complete = body.size() == std::stoul(line.substr(16));
    }
    return answer_text(status, interim, head, body, trailers, complete);
  }
}

}  // namespace answers
