// uwsgi packets as bytes, beside what they mean (cgi_meaning.hpp), with how many bytes follow; "more"; or the refusal.
#pragma once

#include "tests/wire/scgi_heads.hpp"

namespace narwhal::wire {

inline const Pairs uwsgi_get = {{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/"}};
inline const std::string uwsgi_get_block = uwsgi_block(uwsgi_get);

inline const std::vector<HeadRow> uwsgi_packets{
    {uwsgi_packet(uwsgi_get), "GET / 1.1 close none @ +0"},
    {uwsgi_packet(uwsgi_get) + "GET", "GET / 1.1 close none @ +3"},
    {uwsgi_packet({{"REQUEST_METHOD", "POST"}, {"REQUEST_URI", "/a"}, {"CONTENT_LENGTH", "5"}}) + "hello",
     "POST /a 1.1 close length=5 @ | Content-Length: 5 +5"},
    {uwsgi_packet({{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/"}, {"HTTP_X", std::string(300, 'v')}}).substr(0, 300),
     "more"},
    {"", "more"},
    {std::string("\0\1", 2), "more"},
    {std::string("\0\1\0\0", 4), "more"},
    {std::string("\0\0\0\0", 4), "400: no REQUEST_METHOD"},
    // modifiers
    {uwsgi_packet(uwsgi_get_block, 5), "501: uwsgi modifier1 is not 0"},
    {uwsgi_packet(uwsgi_get_block, 100), "501: uwsgi modifier1 is not 0"},
    {uwsgi_packet(uwsgi_get_block, 255, 255), "501: uwsgi modifier1 is not 0"},
    {"GET / HTTP/1.1\r\n", "501: uwsgi modifier1 is not 0"},
    {uwsgi_packet(uwsgi_get_block, 0, 1), "501: uwsgi modifier2 is not 0"},
    // sizes that lie
    {uwsgi_packet("\1"), "400: uwsgi variable whose name is longer than the packet"},
    {uwsgi_packet(std::string("\1\0", 2)), "400: uwsgi variable whose name is longer than the packet"},
    {uwsgi_packet(std::string("\2\0a", 3)), "400: uwsgi variable whose name is longer than the packet"},
    {uwsgi_packet(std::string("\xff\xff"
                              "aaaa",
                              6)),
     "400: uwsgi variable whose name is longer than the packet"},
    {uwsgi_packet(std::string("\1\0a", 3)), "400: uwsgi variable whose value is longer than the packet"},
    {uwsgi_packet(std::string("\1\0a\1", 4)), "400: uwsgi variable whose value is longer than the packet"},
    {uwsgi_packet(std::string("\1\0a\1\0", 5)), "400: uwsgi variable whose value is longer than the packet"},
    {uwsgi_packet(std::string("\1\0a\0\1b", 6)), "400: uwsgi variable whose value is longer than the packet"},
    {uwsgi_packet(uwsgi_get_block + "\1"), "400: uwsgi variable whose name is longer than the packet"},
    {uwsgi_packet(std::string("\1\0A\2\0bc", 7) + uwsgi_get_block), "GET / 1.1 close none @ +0"},
    {uwsgi_packet(std::string("\0\0\1\0b", 5)), "400: empty variable name"},
    {uwsgi_packet(std::string("\0\0\0\0", 4)), "400: empty variable name"},
};

}  // namespace narwhal::wire
