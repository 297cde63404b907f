// Chunked bodies as bytes, beside what they mean: "=body" when complete (with "+N" for bytes left over), "400" when
// refused, "more" when not all there.
#pragma once

#include <string_view>

#include "tests/wire/http1_heads.hpp"

namespace narwhal::wire {

constexpr Row chunked_bodies[] = {
    {"0\r\n\r\n"sv, "="},
    {"000\r\n\r\n"sv, "="},
    {"5\r\nhello\r\n0\r\n\r\n"sv, "=hello"},
    {"5\r\nhello\r\n0\r\n\r\nGET /"sv, "=hello+5"},
    {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"sv, "=hello world"},
    {"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"sv, "=01234567890123456789"},
    {"0000000000000005\r\nhello\r\n0\r\n\r\n"sv, "=hello"},
    {"00000000000000005\r\nhello\r\n0\r\n\r\n"sv, "400"},
    {"2\r\n\r\n\r\n0\r\n\r\n"sv, "=\r\n"},
    {"5\r\nhello\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n"sv, "=hello"},
    {"5\r\nhello\r\n0\r\nHostess: 1\r\nHos: 1\r\nTea: a\tb\r\n\r\n"sv, "=hello"},
    {""sv, "more"},
    {"5\r\nhel"sv, "more"},
    {"5\r\nhello\r\n"sv, "more"},
    {"0\r\n"sv, "more"},
    {"0\r\n\r"sv, "more"},
    {"ffffffffffffffff\r\nx"sv, "more"},
    // sizes
    {"\r\n"sv, "400"},
    {"g\r\n"sv, "400"},
    {"-5\r\nhello\r\n"sv, "400"},
    {"+5\r\nhello\r\n"sv, "400"},
    {"0x5\r\nhello\r\n"sv, "400"},
    {"5_\r\nhello\r\n"sv, "400"},
    {" 5\r\nhello\r\n"sv, "400"},
    {"5 \r\nhello\r\n"sv, "400"},
    {"5\t\r\nhello\r\n"sv, "400"},
    {"5 ;a=b\r\nhello\r\n"sv, "400"},
    {"5\nhello\r\n"sv, "400"},
    {"5\r\r\nhello\r\n"sv, "400"},
    {"5\r\nhello0\r\n\r\n"sv, "400"},
    {"5\r\nhello\n0\r\n\r\n"sv, "400"},
    // extensions
    {"5;a\r\nhello\r\n0;b\r\n\r\n"sv, "=hello"},
    {"5;a=b\r\nhello\r\n0\r\n\r\n"sv, "=hello"},
    {"5;a=\"\"\r\nhello\r\n0\r\n\r\n"sv, "=hello"},
    {"5;a=\"b;c\t\x80\";d\r\nhello\r\n0\r\n\r\n"sv, "=hello"},
    {"5;\r\nhello\r\n"sv, "400"},
    {"5;a;\r\nhello\r\n"sv, "400"},
    {"5; a=b\r\nhello\r\n"sv, "400"},
    {"5;a =b\r\nhello\r\n"sv, "400"},
    {"5;a=b c\r\nhello\r\n"sv, "400"},
    {"5;a=\"b\r\nhello\r\n"sv, "400"},
    {"5;a=\"b\"c\r\nhello\r\n"sv, "400"},
    {"5;a=\"b\\\r\"\r\nhello\r\n"sv, "400"},
    {"5;a=b=c\r\nhello\r\n"sv, "400"},
    {"5;a\nb\r\nhello\r\n"sv, "400"},
    // trailers
    {"0\r\nX : t\r\n\r\n"sv, "400"},
    {"0\r\nX\r\n\r\n"sv, "400"},
    {"0\r\n X: t\r\n\r\n"sv, "400"},
    {"0\r\nX: a\r\n b\r\n\r\n"sv, "400"},
    {"0\r\nX: a\x01\r\n\r\n"sv, "400"},
    {"0\r\nX: a\0\r\n\r\n"sv, "400"},
    {"0\r\nX: a\n\r\n"sv, "400"},
    {"0\r\nX: a\r\n\n"sv, "400"},
    {"0\r\nhost: a\r\n\r\n"sv, "400"},
    {"0\r\nA: b\r\nHost: a\r\n\r\n"sv, "400"},
    {"0\r\nContent-Length: 1\r\n\r\n"sv, "400"},
    {"0\r\ntransfer-ENCODING: chunked\r\n\r\n"sv, "400"},
    {"0\r\nTrailer: x\r\n\r\n"sv, "400"},
    {"0\r\nAuthorization: x\r\n\r\n"sv, "400"},
    {"0\r\nTE: x\r\n\r\n"sv, "400"},
    // what some release of llhttp gets wrong
    {"5\r\nhelloXX0\r\n\r\n"sv, "400"},
    {"5\r\nhello\rX0\r\n\r\n"sv, "400"},
    {"5\r\nhelloX\n0\r\n\r\n"sv, "400"},
    {"5\r\nhello\n\r0\r\n\r\n"sv, "400"},
    {"5\rXhello\r\n0\r\n\r\n"sv, "400"},
    {"5;a=b\r\rhello\r\n0\r\n\r\n"sv, "400"},
    {"0\r\n\rX"sv, "400"},
    {"0\r\n\n"sv, "400"},
    {"0\r\n: t\r\n\r\n"sv, "400"},
    {"0\r\nX-Trailer : t\r\n\r\n"sv, "400"},
    {"0\r\nX T: t\r\n\r\n"sv, "400"},
    {"5;a=b;c=d\r\nhello\r\n0\r\n\r\n"sv, "=hello"},
    {"5;a=\"\\\"b\\\\\"\r\nhello\r\n0\r\n\r\n"sv, "=hello"},
    {"5;=b\r\nhello\r\n0\r\n\r\n"sv, "400"},
    {"5;a=\r\nhello\r\n0\r\n\r\n"sv, "400"},
};

}  // namespace narwhal::wire
