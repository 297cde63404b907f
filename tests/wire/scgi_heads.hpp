// SCGI heads as bytes, beside what they mean (cgi_meaning.hpp), with how many bytes follow; "more"; or the refusal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/wire/cgi_encode.hpp"

namespace narwhal::wire {

struct HeadRow {
  std::string bytes;
  std::string_view meaning;
};

inline Pairs scgi_get(const Pairs& more) {
  Pairs all = {{"CONTENT_LENGTH", "0"}, {"SCGI", "1"}, {"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/"}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

inline const std::vector<HeadRow> scgi_heads{
    {scgi_head(scgi_get({})), "GET / 1.1 close length=0 @ | Content-Length: 0 +0"},
    {scgi_head(scgi_get({{"HTTP_HOST", "a"}})) + "GET", "GET / 1.1 close length=0 @a | Host: a | Content-Length: 0 +3"},
    // the example of the specification
    {scgi_head({{"CONTENT_LENGTH", "27"}, {"SCGI", "1"}, {"REQUEST_METHOD", "POST"}, {"REQUEST_URI", "/deepthought"}}) +
         "What is the answer to life?",
     "POST /deepthought 1.1 close length=27 @ | Content-Length: 27 +27"},
    // the netstring
    {"", "more"},
    {"7", "more"},
    {"70", "more"},
    {"70:", "more"},
    {"70:CONTENT_LENGTH", "more"},
    {":", "400: SCGI head does not begin with its size"},
    {"-1:", "400: SCGI head does not begin with its size"},
    {" 1:", "400: SCGI head does not begin with its size"},
    {"1 :", "400: SCGI head does not begin with its size"},
    {"00:,", "400: SCGI head does not begin with its size"},
    {"01:a,", "400: SCGI head does not begin with its size"},
    {"a:", "400: SCGI head does not begin with its size"},
    {"GET / HTTP/1.1\r\n", "400: SCGI head does not begin with its size"},
    {"99999999", "431: SCGI head too long"},
    {"18446744073709551616:", "431: SCGI head too long"},
    {"18446744073709551617:a", "431: SCGI head too long"},
    {"0:,", "400: SCGI is not 1"},
    {"0:x", "400: SCGI head without a comma after it"},
    {"1:a;", "400: SCGI head without a comma after it"},
    {scgi_head(scgi_get({})).substr(0, 20), "more"},
    // the variables
    {netstring("a"), "400: SCGI variable without NUL at its end"},
    {netstring(std::string("CONTENT_LENGTH\0"
                           "0",
                           16)),
     "400: SCGI variable without NUL at its end"},
    {netstring(std::string("CONTENT_LENGTH\0", 15)), "400: SCGI variable without NUL at its end"},
    {netstring(scgi_block(scgi_get({})) + "A"), "400: SCGI variable without NUL at its end"},
    {netstring(scgi_block(scgi_get({})) + std::string("A\0", 2)), "400: SCGI variable without NUL at its end"},
    {netstring(scgi_block(scgi_get({})) + std::string("\0\0", 2)), "400: empty variable name"},
    {scgi_head({{"SCGI", "1"}, {"CONTENT_LENGTH", "0"}, {"REQUEST_METHOD", "GET"}}),
     "400: CONTENT_LENGTH is not the first SCGI variable"},
    {scgi_head({{"SCGI", "1"}}), "400: CONTENT_LENGTH is not the first SCGI variable"},
    {scgi_head({{"CONTENT_LENGTH", ""}, {"SCGI", "1"}, {"REQUEST_METHOD", "GET"}}), "400: malformed Content-Length"},
    {scgi_head({{"CONTENT_LENGTH", "1x"}, {"SCGI", "1"}, {"REQUEST_METHOD", "GET"}}), "400: malformed Content-Length"},
    {scgi_head({{"CONTENT_LENGTH", "0"}, {"REQUEST_METHOD", "GET"}}), "400: SCGI is not 1"},
    {scgi_head({{"CONTENT_LENGTH", "0"}, {"SCGI", "2"}, {"REQUEST_METHOD", "GET"}}), "400: SCGI is not 1"},
    {scgi_head({{"CONTENT_LENGTH", "0"}, {"SCGI", "11"}, {"REQUEST_METHOD", "GET"}}), "400: SCGI is not 1"},
    {scgi_head({{"CONTENT_LENGTH", "0"}, {"scgi", "1"}, {"REQUEST_METHOD", "GET"}}), "400: SCGI is not 1"},
    // duplicates
    {scgi_head(scgi_get({{"SCGI", "1"}})), "400: SCGI variable twice"},
    {scgi_head(scgi_get({{"CONTENT_LENGTH", "0"}})), "400: SCGI variable twice"},
    {scgi_head(scgi_get({{"CONTENT_LENGTH", "1"}})), "400: more than one CONTENT_LENGTH"},
    {scgi_head(scgi_get({{"REQUEST_URI", "/b"}})), "400: SCGI variable twice"},
    {scgi_head(scgi_get({{"X", "1"}, {"Y", "1"}, {"X", "2"}})), "400: SCGI variable twice"},
    {scgi_head(scgi_get({{"HTTP_X", "1"}, {"HTTP_X", "2"}})), "400: SCGI variable twice"},
    {scgi_head(scgi_get({{"HTTP_A_B", "1"}, {"HTTP_A-B", "2"}})), "400: SCGI variable twice"},
    {scgi_head(scgi_get({{"HTTP_PROXY", "1"}, {"HTTP_PROXY", "2"}})), "400: SCGI variable twice"},
    {scgi_head(scgi_get({{"HTTP_CONTENT_TYPE", "1"}, {"HTTP_CONTENT_TYPE", "2"}})), "400: SCGI variable twice"},
    {scgi_head(scgi_get({{"HTTP_TRANSFER_ENCODING", "1"},
                         {"HTTP_CONTENT_LENGTH", "0"},
                         {"HTTP_CONTENT_TYPE", "1"},
                         {"HTTP_PROXY", "1"}})),
     "GET / 1.1 close length=0 @ | Content-Length: 0 | Content-Type: 1 +0"},
    {scgi_head(scgi_get({{"X", "1"}, {"HTTP_X", "2"}, {"x", "3"}})),
     "GET / 1.1 close length=0 @ | X: 2 | Content-Length: 0 +0"},
};

}  // namespace narwhal::wire
