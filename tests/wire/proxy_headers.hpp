// PROXY headers, and what each means: the source and how many bytes follow the header, "own" where it names none,
// "more" or "400: why".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace narwhal::wire {

struct ProxyRow {
  std::string bytes;
  std::string_view meaning;
};

inline const std::string proxy_v2_signature("\r\n\r\n\0\r\nQUIT\n", 12);

// Version and command, family and transport; the length is that of what follows.
inline std::string proxy_v2(std::string_view kind, const std::string& rest) {
  const char length[] = {static_cast<char>(rest.size() >> 8), static_cast<char>(rest.size())};
  return proxy_v2_signature + std::string(kind) + std::string(length, 2) + rest;
}

inline const std::string v4_addresses("\xc0\0\2\1\xcb\0\x71\5\xdc\4\1\xbb", 12);  // 192.0.2.1:56324 to 203.0.113.5:443
inline const std::string v6_addresses = std::string("\x20\1\x0d\xb8", 4) + std::string(11, '\0') + "\1" +
                                        std::string("\x20\1\x0d\xb8", 4) + std::string(11, '\0') + "\2" +
                                        std::string("\xff\xff\0\x50", 4);
inline const std::string local_kind("\x20\0", 2), unspecified_kind("\x21\0", 2);

inline const std::vector<ProxyRow> proxy_headers{
    // ---- version 1 ----
    {"PROXY TCP4 192.0.2.1 203.0.113.5 56324 443\r\n", "192.0.2.1:56324+0"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5 56324 443\r\nGET / HTTP/1.1\r\n", "192.0.2.1:56324+16"},
    {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535+0"},
    {"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0+0"},
    {"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", "2001:0db8:0000:0000:0000:0000:0000:0001:1+0"},
    {"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1:1+0"},
    {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:65535+0"},
    {"PROXY UNKNOWN\r\n", "own+0"},
    {"PROXY UNKNOWN ffff::1 what ever  1\r\nG", "own+1"},
    {"PROXY UNKNOWN " + std::string(91, 'x') + "\r\n", "own+0"},  // 107 bytes, the most there may be
    {"PROXY UNKNOWN " + std::string(92, 'x') + "\r\n", "400: PROXY line too long"},
    {"PROXY TCP4 " + std::string(200, '1'), "400: PROXY line too long"},
    {"PROXY UNKNOWN", "more"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5 56324 443\r", "more"},
    {"P", "more"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5 56324 443\n", "400: PROXY line that ends without CR"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5 56324 443\r\r\n", "400: CR in the PROXY line"},
    {"PROXY UNKNOWN a\rb\r\n", "400: CR in the PROXY line"},
    {"PROXY  TCP4 192.0.2.1 203.0.113.5 56324 443\r\n", "400: PROXY line of an unknown family"},
    {"PROXY \r\n", "400: PROXY line of an unknown family"},
    {"PROXY UNKNOWNS\r\n", "400: PROXY line of an unknown family"},
    {"PROXY tcp4 192.0.2.1 203.0.113.5 56324 443\r\n", "400: PROXY line of an unknown family"},
    {"PROXY UDP4 192.0.2.1 203.0.113.5 56324 443\r\n", "400: PROXY line of an unknown family"},
    {"PROXY TCP4\t192.0.2.1 203.0.113.5 56324 443\r\n", "400: PROXY line of an unknown family"},
    {"PROXY TCP4  192.0.2.1 203.0.113.5 56324 443\r\n", "400: PROXY line with a malformed address"},
    {"PROXY TCP4 192.0.2.1  203.0.113.5 56324 443\r\n", "400: PROXY line with a malformed address"},
    {"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "400: PROXY line with a malformed address"},
    {"PROXY TCP4 192.0.2.1 ::1 1 2\r\n", "400: PROXY line with a malformed address"},
    {"PROXY TCP6 192.0.2.1 203.0.113.5 1 2\r\n", "400: PROXY line with a malformed address"},
    {"PROXY TCP4 192.0.2.256 203.0.113.5 1 2\r\n", "400: PROXY line with a malformed address"},
    {"PROXY TCP4 192.0.02.1 203.0.113.5 1 2\r\n", "400: PROXY line with a malformed address"},
    {"PROXY TCP4 192.0.2 203.0.113.5 1 2\r\n", "400: PROXY line with a malformed address"},
    {"PROXY TCP6 [2001:db8::1] 2001:db8::2 1 2\r\n", "400: PROXY line with a malformed address"},
    {std::string("PROXY TCP4 192.0.2.1\0 203.0.113.5 1 2\r\n", 40), "400: PROXY line with a malformed address"},
    {"PROXY TCP4\r\n", "400: PROXY line with a malformed address"},
    {"PROXY TCP4 192.0.2.1\r\n", "400: PROXY line with a malformed address"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5\r\n", "400: PROXY line with a malformed port"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5 1\r\n", "400: PROXY line with a malformed port"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5 1 \r\n", "400: PROXY line with a malformed port"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5  1 2\r\n", "400: PROXY line with a malformed port"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5 1  2\r\n", "400: PROXY line with a malformed port"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5 1 2 \r\n", "400: PROXY line with a malformed port"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5 1 2 3\r\n", "400: PROXY line with a malformed port"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5 01 2\r\n", "400: PROXY line with a malformed port"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5 1 00\r\n", "400: PROXY line with a malformed port"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5 65536 2\r\n", "400: PROXY line with a malformed port"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5 1 99999\r\n", "400: PROXY line with a malformed port"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5 100000 2\r\n", "400: PROXY line with a malformed port"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5 -1 2\r\n", "400: PROXY line with a malformed port"},
    {"PROXY TCP4 192.0.2.1 203.0.113.5 +1 2\r\n", "400: PROXY line with a malformed port"},
    // ---- version 2 ----
    {proxy_v2("\x21\x11", v4_addresses), "192.0.2.1:56324+0"},
    {proxy_v2("\x21\x11", v4_addresses) + "GET", "192.0.2.1:56324+3"},
    {proxy_v2("\x21\x21", v6_addresses), "2001:0db8:0000:0000:0000:0000:0000:0001:65535+0"},
    {proxy_v2("\x21\x11", v4_addresses + std::string("\4\0\1\0", 4)) + "G", "192.0.2.1:56324+1"},  // a TLV
    {proxy_v2("\x21\x11", v4_addresses + "not a TLV") + "G", "192.0.2.1:56324+1"},                 // skipped unread
    {proxy_v2("\x21\x31", std::string(216, 'u')), "own+0"},
    {proxy_v2(local_kind, ""), "own+0"},
    {proxy_v2("\x20\x11", v4_addresses), "own+0"},
    {proxy_v2("\x20\xff", "whatever"), "own+0"},  // the family of a LOCAL header does not count
    {proxy_v2(unspecified_kind, ""), "own+0"},
    {proxy_v2(unspecified_kind, "whatever") + "G", "own+1"},
    {proxy_v2("\x21\x11", v4_addresses + std::string(4096 - 28, 't')), "192.0.2.1:56324+0"},
    {proxy_v2("\x21\x11", v4_addresses + std::string(4096 - 27, 't')), "400: PROXY header too long"},
    {proxy_v2_signature + "\x21\x11\xff\xff", "400: PROXY header too long"},
    {proxy_v2_signature, "more"},
    {proxy_v2_signature + std::string("\x21\x11\0", 3), "more"},
    {proxy_v2_signature + std::string("\x21\x11\0\x0c\xc0", 5), "more"},
    {proxy_v2("\x21\x11", v4_addresses.substr(1)), "400: PROXY header too short for its addresses"},
    {proxy_v2("\x21\x11", ""), "400: PROXY header too short for its addresses"},
    {proxy_v2("\x21\x21", v6_addresses.substr(1)), "400: PROXY header too short for its addresses"},
    {proxy_v2("\x21\x21", v4_addresses), "400: PROXY header too short for its addresses"},
    {proxy_v2("\x21\x31", std::string(215, 'u')), "400: PROXY header too short for its addresses"},
    {proxy_v2("\x11\x11", v4_addresses), "400: PROXY header of an unknown version"},
    {proxy_v2("\x31\x11", v4_addresses), "400: PROXY header of an unknown version"},
    {proxy_v2("\x22\x11", v4_addresses), "400: PROXY header with an unknown command"},
    {proxy_v2("\x21\x12", v4_addresses), "400: PROXY header of an unknown family or transport"},
    {proxy_v2("\x21\x10", v4_addresses), "400: PROXY header of an unknown family or transport"},
    {proxy_v2("\x21\x01", v4_addresses), "400: PROXY header of an unknown family or transport"},
    {proxy_v2("\x21\x32", std::string(216, 'u')), "400: PROXY header of an unknown family or transport"},
    {proxy_v2("\x21\x41", v4_addresses), "400: PROXY header of an unknown family or transport"},
    // ---- neither ----
    {"", "more"},
    {"GET / HTTP/1.1\r\n", "400: no PROXY header"},
    {"POST / HTTP/1.1\r\n", "400: no PROXY header"},
    {"PROXYTCP4 ", "400: no PROXY header"},
    {"\r\nGET / HTTP/1.1\r\n", "400: no PROXY header"},
    {std::string("\r\n\r\n\0\r\nQUIT\r", 12), "400: no PROXY header"},
};

}  // namespace narwhal::wire
