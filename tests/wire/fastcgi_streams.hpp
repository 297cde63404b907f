// FastCGI streams of a web server, beside what happens on a server that answers each request as soon as it is whole, or
// never (fastcgi_conversation.hpp).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/wire/cgi_encode.hpp"

namespace narwhal::wire {

struct StreamRow {
  std::string bytes;
  std::string_view transcript;
};

inline const Pairs fcgi_get = {{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/a"}};
inline const Pairs fcgi_post_5 = {{"REQUEST_METHOD", "POST"}, {"REQUEST_URI", "/b"}, {"CONTENT_LENGTH", "5"}};
inline const Pairs fcgi_post_0 = {{"REQUEST_METHOD", "POST"}, {"REQUEST_URI", "/b"}, {"CONTENT_LENGTH", "0"}};
inline const Pairs fcgi_post = {{"REQUEST_METHOD", "POST"}, {"REQUEST_URI", "/c"}, {"CONTENT_LENGTH", ""}};
inline const std::string long_value(200, 'v');
inline const Pairs fcgi_long = {{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/a"}, {"HTTP_X", long_value}};

inline std::string head_of(std::size_t id, const Pairs& pairs, std::size_t flags = 1) {
  return fcgi_begin_request(id, flags) + fcgi_stream(fcgi_params, id, fcgi_pairs(pairs));
}

inline Pairs fcgi_with_value(std::size_t size) {
  return {{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/a"}, {"HTTP_X", std::string(size, 'v')}};
}
inline const std::string fcgi_text_127 = "head: GET /a 1.1 keep none @ | X: " + std::string(127, 'v') + " whole\n";
inline const std::string fcgi_text_128 = "head: GET /a 1.1 keep none @ | X: " + std::string(128, 'v') + " whole\n";

// The same records; the byte of their headers that is reserved is not 0.
inline std::string fcgi_with_reserved(std::string records) {
  const auto size = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(records[at])); };
  for (std::size_t at = 0; at < records.size(); at += 8 + (size(at + 4) << 8 | size(at + 5)) + size(at + 6)) {
    records[at + 7] = 'r';
  }
  return records;
}

inline const std::string ask_all = fcgi_record(
    fcgi_get_values, 0, fcgi_pairs({{"FCGI_MAX_CONNS", ""}, {"FCGI_MAX_REQS", ""}, {"FCGI_MPXS_CONNS", ""}}));

// ---- with answers at once ----
inline const std::vector<StreamRow> fastcgi_streams{
    {"", ""},
    {fcgi_request(1, fcgi_get), "head: GET /a 1.1 keep none @ whole\n"},
    {fcgi_request(1, fcgi_get, "", 0), "head: GET /a 1.1 close none @ whole\n"},
    {fcgi_request(65535, fcgi_get), "head: GET /a 1.1 keep none @ whole\n"},
    {fcgi_request(1, fcgi_post_5, "hello"),
     "head: POST /b 1.1 keep length=5 @ | Content-Length: 5\nbody: hello\nend\n"},
    {fcgi_request(1, fcgi_post_0), "head: POST /b 1.1 keep length=0 @ | Content-Length: 0 whole\n"},
    {fcgi_request(1, fcgi_post, "hello"), "head: POST /c 1.1 keep chunked @\nbody: hello\nend\n"},
    {fcgi_request(1, fcgi_post), "head: POST /c 1.1 keep none @ whole\n"},
    // the same connection for the next ones, with the same id and with another
    {fcgi_request(1, fcgi_get) + fcgi_request(1, fcgi_post_5, "hello") + fcgi_request(9, fcgi_get),
     "head: GET /a 1.1 keep none @ whole\nhead: POST /b 1.1 keep length=5 @ | Content-Length: 5\nbody: hello\nend\n"
     "head: GET /a 1.1 keep none @ whole\n"},
    // PARAMS in any records, padded or not, with lengths of one byte and of four
    {fcgi_begin_request(1) + fcgi_stream(fcgi_params, 1, fcgi_pairs(fcgi_get), 1) + fcgi_stream(fcgi_stdin, 1, ""),
     "head: GET /a 1.1 keep none @ whole\n"},
    {fcgi_begin_request(1) + fcgi_stream(fcgi_params, 1, fcgi_pairs(fcgi_get, true), 3, 255) +
         fcgi_stream(fcgi_stdin, 1, "", 1, 255),
     "head: GET /a 1.1 keep none @ whole\n"},
    {fcgi_begin_request(1) + fcgi_stream(fcgi_params, 1, fcgi_pairs(fcgi_get, true), 50, 7) +
         fcgi_stream(fcgi_stdin, 1, "body", 1, 1),
     "head: GET /a 1.1 keep chunked @\nbody: body\nend\n"},
    {head_of(1, fcgi_post_5) + fcgi_stream(fcgi_stdin, 1, "hello", 2, 3),
     "head: POST /b 1.1 keep length=5 @ | Content-Length: 5\nbody: hello\nend\n"},
    // padding, empty records and reserved bytes mean nothing
    {fcgi_record(fcgi_begin, 1, std::string("\0\1\1pqrst", 8), 255) + fcgi_record(fcgi_data, 1) +
         fcgi_stream(fcgi_params, 1, fcgi_pairs(fcgi_post_5), 65535, 255) + fcgi_record(fcgi_stdin, 1, "hel", 255) +
         fcgi_record(fcgi_data, 1, "", 9) + fcgi_stream(fcgi_stdin, 1, "lo", 1, 1),
     "head: POST /b 1.1 keep length=5 @ | Content-Length: 5\nbody: hello\nend\n"},
    {fcgi_with_reserved(fcgi_request(1, fcgi_get)), "head: GET /a 1.1 keep none @ whole\n"},
    // lengths of one byte up to 127, and of four from then on
    {fcgi_request(1, fcgi_with_value(127)), fcgi_text_127},
    {fcgi_request(1, fcgi_with_value(128)), fcgi_text_128},
    // half of them
    {head_of(1, fcgi_get), ""},
    {head_of(1, fcgi_post_0), ""},
    {head_of(1, fcgi_post_5), "head: POST /b 1.1 keep length=5 @ | Content-Length: 5\n"},
    {head_of(1, fcgi_post_5) + fcgi_record(fcgi_stdin, 1, "hello"),
     "head: POST /b 1.1 keep length=5 @ | Content-Length: 5\nbody: hello\n"},
    {fcgi_begin_request(1).substr(0, 15), ""},
    // what PARAMS may not be
    {head_of(1, {}), "400: no REQUEST_METHOD\n"},
    {fcgi_begin_request(1) + fcgi_stream(fcgi_params, 1, "\x05"), "400: PARAMS that end within a length\n"},
    {fcgi_begin_request(1) + fcgi_stream(fcgi_params, 1, std::string("\x80\0\0", 3)),
     "400: PARAMS that end within a length\n"},
    {fcgi_begin_request(1) + fcgi_stream(fcgi_params, 1, std::string("\1\x80\0", 3)),
     "400: PARAMS that end within a length\n"},
    {fcgi_begin_request(1) + fcgi_stream(fcgi_params, 1, "\2\1a"), "400: PARAMS with a length beyond their end\n"},
    {fcgi_begin_request(1) + fcgi_stream(fcgi_params, 1, "\1\2ab"), "400: PARAMS with a length beyond their end\n"},
    {fcgi_begin_request(1) + fcgi_stream(fcgi_params, 1,
                                         "\1\xff\xff\xff\xff"
                                         "ab"),
     "400: PARAMS with a length beyond their end\n"},
    {fcgi_begin_request(1) + fcgi_stream(fcgi_params, 1, std::string("\0\1a", 3)), "400: empty variable name\n"},
    // lengths that disagree
    {head_of(1, fcgi_post_5) + fcgi_stream(fcgi_stdin, 1, "hell"),
     "head: POST /b 1.1 keep length=5 @ | Content-Length: 5\nbody: hell\n400: FastCGI STDIN shorter than "
     "CONTENT_LENGTH\n"},
    {head_of(1, fcgi_post_5) + fcgi_stream(fcgi_stdin, 1, "hello!"),
     "head: POST /b 1.1 keep length=5 @ | Content-Length: 5\n400: FastCGI STDIN longer than CONTENT_LENGTH\n"},
    {head_of(1, fcgi_post_5) + fcgi_stream(fcgi_stdin, 1, "hello!", 5),
     "head: POST /b 1.1 keep length=5 @ | Content-Length: 5\nbody: hello\n400: FastCGI STDIN longer than "
     "CONTENT_LENGTH\n"},
    {head_of(1, fcgi_post_0) + fcgi_stream(fcgi_stdin, 1, "h"), "400: FastCGI STDIN longer than CONTENT_LENGTH\n"},
    // records that cannot be there
    {fcgi_begin_request(1) + fcgi_begin_request(1), "400: FastCGI BEGIN_REQUEST for the request in hand\n"},
    {fcgi_begin_request(1) + fcgi_stream(fcgi_stdin, 1, ""), "400: FastCGI STDIN before the end of PARAMS\n"},
    {head_of(1, fcgi_post_5) + fcgi_record(fcgi_params, 1),
     "head: POST /b 1.1 keep length=5 @ | Content-Length: 5\n400: FastCGI PARAMS after their end\n"},
    {head_of(1, fcgi_get) + fcgi_record(fcgi_params, 1, "x"), "400: FastCGI PARAMS after their end\n"},
    {fcgi_record(fcgi_begin, 1, std::string("\0\1\1\0\0\0\0", 7)), "400: FastCGI BEGIN_REQUEST whose size is not 8\n"},
    {fcgi_record(fcgi_begin, 1, std::string("\0\1\1\0\0\0\0\0\0", 9)),
     "400: FastCGI BEGIN_REQUEST whose size is not 8\n"},
    {fcgi_record(fcgi_begin, 1), "400: FastCGI BEGIN_REQUEST whose size is not 8\n"},
    {fcgi_begin_request(1) + fcgi_record(fcgi_stdout, 1, "x"),
     "400: FastCGI record of a type that only an application sends\n"},
    {fcgi_begin_request(1) + fcgi_record(fcgi_end, 1, "12345678"),
     "400: FastCGI record of a type that only an application sends\n"},
    {fcgi_begin_request(1) + fcgi_record(fcgi_get_values, 1),
     "400: FastCGI record of a type that only an application sends\n"},
    {std::string("\2\1\0\1\0\0\0\0", 8), "400: FastCGI version is not 1\n"},
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400: FastCGI version is not 1\n"},
    {fcgi_request(1, fcgi_get) + std::string("\0\1\0\1\0\0\0\0", 8),
     "head: GET /a 1.1 keep none @ whole\n400: FastCGI version is not 1\n"},
    // records of requests that are not there, and DATA
    {fcgi_stream(fcgi_params, 1, "whatever") + fcgi_stream(fcgi_stdin, 1, "what") + fcgi_record(fcgi_abort, 3) +
         fcgi_record(fcgi_end, 1, "12345678") + fcgi_request(1, fcgi_get),
     "head: GET /a 1.1 keep none @ whole\n"},
    {fcgi_begin_request(1) + fcgi_record(fcgi_params, 2, "\2\1") + fcgi_record(fcgi_data, 1, "x", 3) +
         fcgi_stream(fcgi_params, 1, fcgi_pairs(fcgi_get)) + fcgi_record(fcgi_stdin, 2, "x") +
         fcgi_stream(fcgi_stdin, 1, ""),
     "head: GET /a 1.1 keep none @ whole\n"},
    // one request at a time
    {fcgi_begin_request(1) + fcgi_request(2, fcgi_post_5, "hello") + fcgi_stream(fcgi_params, 1, fcgi_pairs(fcgi_get)) +
         fcgi_stream(fcgi_stdin, 1, ""),
     "reply: END_REQUEST id 2 application 0 protocol 1\nhead: GET /a 1.1 keep none @ whole\n"},
    {head_of(1, fcgi_post_5) + fcgi_record(fcgi_stdin, 1, "hel") + fcgi_request(2, fcgi_get, "", 0) +
         fcgi_stream(fcgi_stdin, 1, "lo"),
     "head: POST /b 1.1 keep length=5 @ | Content-Length: 5\nbody: hel\nreply: END_REQUEST id 2 application 0 protocol "
     "1\nbody: lo\nend\n"},
    // roles
    {fcgi_begin_request(5, 1, 2) + fcgi_stream(fcgi_params, 5, fcgi_pairs(fcgi_get)) + fcgi_request(5, fcgi_get),
     "reply: END_REQUEST id 5 application 0 protocol 3\nhead: GET /a 1.1 keep none @ whole\n"},
    {fcgi_begin_request(5, 1, 3), "reply: END_REQUEST id 5 application 0 protocol 3\n"},
    {fcgi_begin_request(5, 0, 256) + fcgi_request(5, fcgi_get),
     "last reply: END_REQUEST id 5 application 0 protocol 3\n"},
    {fcgi_begin_request(1, 254) + fcgi_stream(fcgi_params, 1, fcgi_pairs(fcgi_get)) + fcgi_stream(fcgi_stdin, 1, ""),
     "head: GET /a 1.1 close none @ whole\n"},
    // aborts
    {fcgi_begin_request(1) + fcgi_record(fcgi_abort, 1) + fcgi_request(1, fcgi_get),
     "reply: END_REQUEST id 1 application 1 protocol 0\nhead: GET /a 1.1 keep none @ whole\n"},
    {fcgi_begin_request(1) + fcgi_record(fcgi_params, 1, "\2\3") + fcgi_record(fcgi_abort, 1, "ignored", 1) +
         fcgi_stream(fcgi_params, 1, "x") + fcgi_request(1, fcgi_get),
     "reply: END_REQUEST id 1 application 1 protocol 0\nhead: GET /a 1.1 keep none @ whole\n"},
    {fcgi_begin_request(1, 0) + fcgi_record(fcgi_abort, 1) + fcgi_request(1, fcgi_get),
     "last reply: END_REQUEST id 1 application 1 protocol 0\n"},
    {head_of(1, fcgi_get) + fcgi_record(fcgi_abort, 1), "reply: END_REQUEST id 1 application 1 protocol 0\n"},
    {head_of(1, fcgi_post_5) + fcgi_record(fcgi_abort, 1) + fcgi_stream(fcgi_stdin, 1, "hello") +
         fcgi_request(1, fcgi_get),
     "head: POST /b 1.1 keep length=5 @ | Content-Length: 5\naborted\nhead: GET /a 1.1 keep none @ whole\n"},
    {head_of(1, fcgi_post_5) + fcgi_record(fcgi_stdin, 1, "hel") + fcgi_record(fcgi_abort, 2) +
         fcgi_record(fcgi_abort, 1),
     "head: POST /b 1.1 keep length=5 @ | Content-Length: 5\nbody: hel\naborted\n"},
    // management records, wherever they come
    {ask_all, "reply: VALUES FCGI_MAX_CONNS=100 FCGI_MAX_REQS=7 FCGI_MPXS_CONNS=0\n"},
    {fcgi_record(fcgi_get_values, 0), "reply: VALUES\n"},
    {fcgi_record(fcgi_get_values, 0,
                 fcgi_pairs({{"FCGI_MPXS_CONNS", "1"}, {"", ""}, {"FCGI_MPXS_CONN", long_value}}, true), 3),
     "reply: VALUES FCGI_MPXS_CONNS=0\n"},
    {fcgi_record(fcgi_get_values, 0, fcgi_pairs({{"FCGI_MPXS_CONNS_", ""}, {"FCGI_MAX_REQS", ""}, {"", "x"}})),
     "reply: VALUES FCGI_MAX_REQS=7\n"},
    {fcgi_record(fcgi_get_values, 0, "\1"), "400: FastCGI GET_VALUES that end within a pair\n"},
    {fcgi_record(fcgi_get_values, 0, std::string("\1\0", 2)), "400: FastCGI GET_VALUES that end within a pair\n"},
    {fcgi_record(fcgi_get_values, 0, std::string("\1\1a", 3)), "400: FastCGI GET_VALUES that end within a pair\n"},
    {fcgi_record(fcgi_get_values, 0, "\x80"), "400: FastCGI GET_VALUES that end within a pair\n"},
    {fcgi_begin_request(1) + ask_all + fcgi_record(fcgi_params, 1, fcgi_pairs(fcgi_get)) + ask_all +
         fcgi_record(fcgi_params, 1) + ask_all + fcgi_stream(fcgi_stdin, 1, ""),
     "reply: VALUES FCGI_MAX_CONNS=100 FCGI_MAX_REQS=7 FCGI_MPXS_CONNS=0\nreply: VALUES FCGI_MAX_CONNS=100 "
     "FCGI_MAX_REQS=7 FCGI_MPXS_CONNS=0\nreply: VALUES FCGI_MAX_CONNS=100 FCGI_MAX_REQS=7 FCGI_MPXS_CONNS=0\n"
     "head: GET /a 1.1 keep none @ whole\n"},
    {head_of(1, fcgi_post_5) + fcgi_record(fcgi_stdin, 1, "hel") + ask_all + fcgi_stream(fcgi_stdin, 1, "lo"),
     "head: POST /b 1.1 keep length=5 @ | Content-Length: 5\nbody: hel\nreply: VALUES FCGI_MAX_CONNS=100 "
     "FCGI_MAX_REQS=7 FCGI_MPXS_CONNS=0\nbody: lo\nend\n"},
    {fcgi_record(12, 0, "what", 4), "reply: UNKNOWN_TYPE 12\n"},
    {fcgi_record(255, 0) + fcgi_record(0, 7), "reply: UNKNOWN_TYPE 255\nreply: UNKNOWN_TYPE 0\n"},
    {fcgi_begin_request(1) + fcgi_record(99, 1, "what") + fcgi_stream(fcgi_params, 1, fcgi_pairs(fcgi_get)) +
         fcgi_stream(fcgi_stdin, 1, ""),
     "reply: UNKNOWN_TYPE 99\nhead: GET /a 1.1 keep none @ whole\n"},
    {fcgi_record(fcgi_begin, 0, "12345678"), "reply: UNKNOWN_TYPE 1\n"},
    {fcgi_record(fcgi_abort, 0) + fcgi_record(fcgi_params, 0, "x", 2),
     "reply: UNKNOWN_TYPE 2\nreply: UNKNOWN_TYPE 4\n"},
    {fcgi_record(fcgi_unknown_type, 0, "12345678") + fcgi_record(fcgi_get_values_result, 0, "x"), ""},
};

// ---- with a request in hand that is never answered ----
inline const std::vector<StreamRow> fastcgi_in_hand{
    {fcgi_request(1, fcgi_get) + fcgi_request(2, fcgi_get) + ask_all + fcgi_record(fcgi_abort, 2) +
         fcgi_record(fcgi_abort, 1),
     "head: GET /a 1.1 keep none @ whole\nreply: END_REQUEST id 2 application 0 protocol 1\nreply: VALUES "
     "FCGI_MAX_CONNS=100 FCGI_MAX_REQS=7 FCGI_MPXS_CONNS=0\naborted\n"},
    {fcgi_request(1, fcgi_post_5, "hello") + fcgi_record(fcgi_abort, 1) + fcgi_record(fcgi_abort, 1) +
         fcgi_record(fcgi_params, 1, "x") + fcgi_record(fcgi_stdin, 1, "x"),
     "head: POST /b 1.1 keep length=5 @ | Content-Length: 5\nbody: hello\nend\naborted\n"},
    {fcgi_request(1, fcgi_get) + fcgi_begin_request(1),
     "head: GET /a 1.1 keep none @ whole\n400: FastCGI BEGIN_REQUEST for the request in hand\n"},
    {fcgi_request(1, fcgi_get) + fcgi_record(fcgi_stdin, 1),
     "head: GET /a 1.1 keep none @ whole\n400: FastCGI STDIN after its end\n"},
    {fcgi_request(1, fcgi_get) + fcgi_record(fcgi_params, 1, "x"),
     "head: GET /a 1.1 keep none @ whole\n400: FastCGI PARAMS after their end\n"},
};

}  // namespace narwhal::wire
