// CGI variables, beside the request that they mean (cgi_meaning.hpp), or the refusal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/wire/cgi_encode.hpp"

namespace narwhal::wire {

struct CgiRow {
  Pairs variables;
  std::string_view meaning;
};

// A request for "/" with what else it needs, so that a row shows only what it is about.
inline Pairs get(const Pairs& more) {
  Pairs all = {{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/"}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

inline const std::string nul(1, '\0');

// As the files of parameters in Debian's packages have it; a GET of a browser through nginx.
inline const Pairs nginx_fastcgi_get = {{"QUERY_STRING", "a=1&b"},
                                        {"REQUEST_METHOD", "GET"},
                                        {"CONTENT_TYPE", ""},
                                        {"CONTENT_LENGTH", ""},
                                        {"SCRIPT_NAME", "/shop/caf\xc3\xa9"},
                                        {"REQUEST_URI", "/shop/caf%C3%A9?a=1&b"},
                                        {"DOCUMENT_URI", "/shop/caf\xc3\xa9"},
                                        {"DOCUMENT_ROOT", "/var/www/html"},
                                        {"SERVER_PROTOCOL", "HTTP/1.1"},
                                        {"REQUEST_SCHEME", "https"},
                                        {"HTTPS", "on"},
                                        {"GATEWAY_INTERFACE", "CGI/1.1"},
                                        {"SERVER_SOFTWARE", "nginx/1.22.1"},
                                        {"REMOTE_ADDR", "192.0.2.1"},
                                        {"REMOTE_PORT", "40000"},
                                        {"SERVER_ADDR", "192.0.2.2"},
                                        {"SERVER_PORT", "443"},
                                        {"SERVER_NAME", "_"},
                                        {"REDIRECT_STATUS", "200"},
                                        {"HTTP_HOST", "www.example.org"},
                                        {"HTTP_ACCEPT_LANGUAGE", "de,en"},
                                        {"HTTP_X_REQUEST_ID", "7"}};

inline const std::vector<CgiRow> cgi_ordinary{
    {nginx_fastcgi_get,
     "GET /shop/caf%C3%A9?a=1&b 1.1 close none @www.example.org | Host: www.example.org | Accept-Language: de,en | "
     "X-Request-Id: 7 https ~192.0.2.1:40000"},
    {get({}), "GET / 1.1 close none @"},
    {get({{"SERVER_PROTOCOL", "HTTP/1.0"}}), "GET / 1.0 close none @"},
    {get({{"SERVER_PROTOCOL", "HTTP/2.0"}}), "GET / 1.1 close none @"},
    {get({{"SERVER_PROTOCOL", "HTTP/3"}}), "GET / 1.1 close none @"},
    {get({{"SERVER_PROTOCOL", ""}}), "GET / 1.1 close none @"},
    {get({{"SERVER_PROTOCOL", "HTTP/0.9"}}), "505: SERVER_PROTOCOL is older than HTTP/1.0"},
    {get({{"SERVER_PROTOCOL", "HTTP/1.10"}}), "400: malformed SERVER_PROTOCOL"},
    {get({{"SERVER_PROTOCOL", "INCLUDED"}}), "400: malformed SERVER_PROTOCOL"},
    // methods
    {{{"REQUEST_URI", "/"}}, "400: no REQUEST_METHOD"},
    {{{"REQUEST_METHOD", ""}, {"REQUEST_URI", "/"}}, "400: no REQUEST_METHOD"},
    {{{"REQUEST_METHOD", "HEAD"}, {"REQUEST_URI", "/"}}, "HEAD / 1.1 close none @"},
    {{{"REQUEST_METHOD", "M-SEARCH"}, {"REQUEST_URI", "/"}}, "M-SEARCH / 1.1 close none @"},
    {{{"REQUEST_METHOD", "get"}, {"REQUEST_URI", "/"}}, "501: unknown method"},
    {{{"REQUEST_METHOD", "A12345678901234567890123456789012"}, {"REQUEST_URI", "/"}}, "501: unknown method"},
    {{{"REQUEST_METHOD", "G T"}, {"REQUEST_URI", "/"}}, "400: malformed method"},
    {{{"REQUEST_METHOD", "GET\r"}, {"REQUEST_URI", "/"}}, "400: malformed method"},
    // targets
    {{{"REQUEST_METHOD", "OPTIONS"}, {"REQUEST_URI", "*"}}, "OPTIONS * 1.1 close none @"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "*"}}, "400: target * is for OPTIONS"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "//x/../y?%zz#"}}, "GET //x/../y?%zz# 1.1 close none @"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "http://b/x?y"}, {"HTTP_HOST", "a"}},
     "GET /x?y 1.1 close none @b | Host: a http"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "http://b/"}, {"HTTP_HOST", "a b"}}, "400: malformed Host"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/a b"}}, "400: malformed target"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/a\r\nb"}}, "400: malformed target"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "a"}}, "400: target is neither a path nor a URI"},
    {{{"REQUEST_METHOD", "CONNECT"}, {"REQUEST_URI", "a:443"}}, "501: CONNECT is not implemented"},
    // a target that has to be made
    {{{"REQUEST_METHOD", "GET"}}, "GET / 1.1 close none @"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", ""}, {"PATH_INFO", "/a"}, {"QUERY_STRING", "b?c"}},
     "GET /a?b?c 1.1 close none @"},
    {{{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", "/x y"}, {"PATH_INFO", "/a?%#\r\n\xc3\xa9;="}, {"QUERY_STRING", ""}},
     "GET /x%20y/a%3F%25%23%0D%0A%C3%A9;= 1.1 close none @ ^/x y(6)"},
    {{{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", "/a"}}, "GET /a 1.1 close none @"},
    {{{"REQUEST_METHOD", "GET"}, {"QUERY_STRING", "a b"}}, "400: malformed target"},
    {{{"REQUEST_METHOD", "GET"}, {"PATH_INFO", "a"}}, "400: target is neither a path nor a URI"},
};

inline const std::vector<CgiRow> cgi_hosts_and_schemes{
    {get({{"HTTP_HOST", ""}}), "GET / 1.1 close none @ | Host: "},
    {get({{"HTTP_HOST", "a:80"}, {"SERVER_NAME", "b"}}), "GET / 1.1 close none @a:80 | Host: a:80"},
    {get({{"HTTP_HOST", "a"}, {"HTTP_HOST", "a"}}), "400: more than one Host"},
    {get({{"HTTP_HOST", ""}, {"HTTP_HOST", "a"}}), "400: more than one Host"},
    {get({{"HTTP_HOST", "a,b"}}), "400: malformed Host"},
    {get({{"HTTP_HOST", "u@a"}}), "400: malformed Host"},
    {get({{"SERVER_NAME", "b"}, {"SERVER_PORT", "80"}}), "GET / 1.1 close none @b"},
    {get({{"SERVER_NAME", "b"}, {"SERVER_PORT", "8080"}}), "GET / 1.1 close none @b:8080"},
    {get({{"SERVER_NAME", "b"}, {"SERVER_PORT", "443"}}), "GET / 1.1 close none @b:443"},
    {get({{"SERVER_NAME", "b"}, {"SERVER_PORT", "443"}, {"HTTPS", "on"}}), "GET / 1.1 close none @b https"},
    {get({{"SERVER_NAME", "[::1]"}, {"SERVER_PORT", "x"}}), "GET / 1.1 close none @[::1]"},
    {get({{"SERVER_NAME", "~^www\\."}}), "GET / 1.1 close none @"},
    {get({{"SERVER_NAME", "a\nb"}}), "GET / 1.1 close none @"},
    {get({{"HTTPS", "ON"}}), "GET / 1.1 close none @ https"},
    {get({{"HTTPS", "1"}}), "GET / 1.1 close none @ https"},
    {get({{"HTTPS", "off"}}), "GET / 1.1 close none @ http"},
    {get({{"HTTPS", ""}}), "GET / 1.1 close none @"},
    {get({{"HTTPS", "off"}, {"REQUEST_SCHEME", "HTTPS"}}), "GET / 1.1 close none @ https"},
    {get({{"UWSGI_SCHEME", "https"}}), "GET / 1.1 close none @ https"},
    {get({{"REQUEST_SCHEME", "gopher"}}), "GET / 1.1 close none @ http"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "https://b/"}}, "GET / 1.1 close none @b https"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "https://b/"}, {"REQUEST_SCHEME", "http"}},
     "GET / 1.1 close none @b http"},
};

inline const std::vector<CgiRow> cgi_fields{
    {get({{"HTTP_X", "a\tb \x80\xff"}}), "GET / 1.1 close none @ | X: a\tb \x80\xff"},
    {get({{"HTTP_X", ""}}), "GET / 1.1 close none @ | X: "},
    {get({{"HTTP_X", "1"}, {"HTTP_X", "2"}}), "GET / 1.1 close none @ | X: 1 | X: 2"},
    {get({{"HTTP_X_FORWARDED_FOR_AND_SOME_MORE_9", "1"}}),
     "GET / 1.1 close none @ | X-Forwarded-For-And-Some-More-9: 1"},
    {get({{"HTTP_X-Already-Written", "1"}}), "GET / 1.1 close none @ | X-Already-Written: 1"},
    {get({{"HTTP___A__B_", "1"}}), "GET / 1.1 close none @ | --A--B-: 1"},
    {get({{"HTTP_A!_B#C", "1"}}), "GET / 1.1 close none @ | A!-B#c: 1"},
    {get({{"HTTP_LONGER_THAN_SIXTEEN_BYTES~", "1"}}), "GET / 1.1 close none @ | Longer-Than-Sixteen-Bytes~: 1"},
    {get({{"http_x", "1"}}), "GET / 1.1 close none @"},
    {get({{"HTTP_CONNECTION", "close"}, {"HTTP_TE", "trailers"}, {"HTTP_EXPECT", "100-continue"}}),
     "GET / 1.1 close none @ | Connection: close | Te: trailers | Expect: 100-continue"},
    {get({{"HTTP_PROXY", "http://evil/"}}), "GET / 1.1 close none @"},
    {get({{"HTTP_TRANSFER_ENCODING", "chunked"}}), "GET / 1.1 close none @"},
    {get({{"HTTP_", "1"}}), "400: empty field name"},
    {get({{"", "1"}}), "400: empty variable name"},
    {get({{"HTTP_A B", "1"}}), "400: malformed variable name"},
    {get({{"HTTP_A\r\nB", "1"}}), "400: malformed variable name"},
    {get({{"HTTP_A:", "1"}}), "400: malformed variable name"},
    {get({{"A B", "1"}}), "400: malformed variable name"},
    {get({{"A\n", "1"}}), "400: malformed variable name"},
    {get({{"A=", "1"}}), "400: malformed variable name"},
    {get({{"HTTP_X", "a\r\nSet-Cookie: b"}}), "400: control byte in a field's value"},
    {get({{"HTTP_X", "a value of more than sixteen bytes\r"}}), "400: control byte in a field's value"},
    {get({{"HTTP_X", "\n and a value of more than sixteen bytes"}}), "400: control byte in a field's value"},
    {get({{"HTTP_X", "\x7f"}}), "400: control byte in a field's value"},
    {get({{"CONTENT_TYPE", "text/plain"}}), "GET / 1.1 close none @ | Content-Type: text/plain"},
    {get({{"CONTENT_TYPE", "a\r\nb"}}), "400: control byte in CONTENT_TYPE"},
    {get({{"HTTP_CONTENT_TYPE", "a"}}), "GET / 1.1 close none @ | Content-Type: a"},
    {get({{"HTTP_CONTENT_TYPE", "a"}, {"CONTENT_TYPE", "b"}}), "GET / 1.1 close none @ | Content-Type: b"},
    {get({{"REMOTE_USER", "ann\n"}}), "400: control byte in REMOTE_USER"},
    {get({{"SSL_CLIENT_CERT", "-----BEGIN\n\tabc\n"}}), "GET / 1.1 close none @"},
};

// What cannot be said over SCGI, whose values end at a NUL.
inline const std::vector<CgiRow> cgi_with_nul{
    {get({{"HTTP_X", nul}}), "400: control byte in a field's value"},
    {get({{"HTTP_X" + nul, "1"}}), "400: malformed variable name"},
    {get({{"A" + nul, "1"}}), "400: malformed variable name"},
    {get({{"SSL_CLIENT_CERT", "a" + nul}}), "400: NUL in a variable's value"},
    {get({{"PATH_INFO", "/" + nul}}), "400: NUL in a variable's value"},
};

inline const std::vector<CgiRow> cgi_lengths{
    {get({{"CONTENT_LENGTH", ""}}), "GET / 1.1 close none @"},
    {get({{"CONTENT_LENGTH", "5"}}), "GET / 1.1 close length=5 @ | Content-Length: 5"},
    {get({{"CONTENT_LENGTH", "0"}}), "GET / 1.1 close length=0 @ | Content-Length: 0"},
    {get({{"CONTENT_LENGTH", "9223372036854775807"}}),
     "GET / 1.1 close length=9223372036854775807 @ | Content-Length: 9223372036854775807"},
    {get({{"CONTENT_LENGTH", "9223372036854775808"}}), "400: Content-Length too large"},
    {get({{"CONTENT_LENGTH", "99999999999999999999999"}}), "400: Content-Length too large"},
    {get({{"CONTENT_LENGTH", "+5"}}), "400: malformed Content-Length"},
    {get({{"CONTENT_LENGTH", "-5"}}), "400: malformed Content-Length"},
    {get({{"CONTENT_LENGTH", "5 "}}), "400: malformed Content-Length"},
    {get({{"CONTENT_LENGTH", "0x5"}}), "400: malformed Content-Length"},
    {get({{"CONTENT_LENGTH", "5,5"}}), "400: malformed Content-Length"},
    {get({{"CONTENT_LENGTH", "5"}, {"CONTENT_LENGTH", "5"}}), "GET / 1.1 close length=5 @ | Content-Length: 5"},
    {get({{"CONTENT_LENGTH", "5"}, {"CONTENT_LENGTH", "6"}}), "400: more than one CONTENT_LENGTH"},
    {get({{"CONTENT_LENGTH", ""}, {"CONTENT_LENGTH", "6"}}), "400: more than one CONTENT_LENGTH"},
    {get({{"CONTENT_LENGTH", "5"}, {"HTTP_CONTENT_LENGTH", "5"}}), "GET / 1.1 close length=5 @ | Content-Length: 5"},
    {get({{"CONTENT_LENGTH", "5"}, {"HTTP_CONTENT_LENGTH", "05"}}), "GET / 1.1 close length=5 @ | Content-Length: 5"},
    {get({{"CONTENT_LENGTH", "5"}, {"HTTP_CONTENT_LENGTH", "6"}}),
     "400: HTTP_CONTENT_LENGTH differs from CONTENT_LENGTH"},
    {get({{"HTTP_CONTENT_LENGTH", "x"}, {"CONTENT_LENGTH", "5"}}),
     "400: HTTP_CONTENT_LENGTH differs from CONTENT_LENGTH"},
    {get({{"HTTP_CONTENT_LENGTH", "5"}, {"HTTP_CONTENT_LENGTH", "6"}}), "400: more than one Content-Length"},
    {get({{"HTTP_CONTENT_LENGTH", "5"}}), "GET / 1.1 close none @"},  // of a body that is not passed on
    {get({{"HTTP_CONTENT_LENGTH", "5"}, {"CONTENT_LENGTH", ""}}), "GET / 1.1 close none @"},
    {get({{"HTTP_TRANSFER_ENCODING", "chunked"}, {"CONTENT_LENGTH", "5"}}),
     "GET / 1.1 close length=5 @ | Content-Length: 5"},
};

inline const std::vector<CgiRow> cgi_prefixes_and_clients{
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/app/x?y"}, {"SCRIPT_NAME", "/app"}, {"PATH_INFO", "/x"}},
     "GET /app/x?y 1.1 close none @ ^/app(4)"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/%61pp/x"}, {"SCRIPT_NAME", "/app/"}, {"PATH_INFO", "/x"}},
     "GET /%61pp/x 1.1 close none @ ^/app(6)"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/app/"}, {"SCRIPT_NAME", "/app"}, {"PATH_INFO", "/"}},
     "GET /app/ 1.1 close none @ ^/app(4)"},
    // nginx sends the whole path as SCRIPT_NAME
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/app/x"}, {"SCRIPT_NAME", "/app/x"}}, "GET /app/x 1.1 close none @"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/app/x"}, {"SCRIPT_NAME", "/app/x"}, {"PATH_INFO", ""}},
     "GET /app/x 1.1 close none @"},
    // a path outside of it, or that only begins with the same letters
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/x"}, {"SCRIPT_NAME", "/app"}, {"PATH_INFO", "/x"}},
     "404: SCRIPT_NAME is not a prefix of REQUEST_URI"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/apple"}, {"SCRIPT_NAME", "/app"}, {"PATH_INFO", "le"}},
     "404: SCRIPT_NAME is not a prefix of REQUEST_URI"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/a"}, {"SCRIPT_NAME", "/app"}, {"PATH_INFO", "/"}},
     "404: SCRIPT_NAME is not a prefix of REQUEST_URI"},
    // lighttpd and mod_proxy_uwsgi: these two normalised, the target as the client sent it
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/b/../app/x"}, {"SCRIPT_NAME", "/app"}, {"PATH_INFO", "/x"}},
     "404: SCRIPT_NAME is not a prefix of REQUEST_URI"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/app//x"}, {"SCRIPT_NAME", "/app"}, {"PATH_INFO", "/x"}},
     "GET /app//x 1.1 close none @ ^/app(4)"},
    {{{"REQUEST_METHOD", "OPTIONS"}, {"REQUEST_URI", "*"}, {"SCRIPT_NAME", "/app"}, {"PATH_INFO", "/"}},
     "OPTIONS * 1.1 close none @"},
    // the prefix itself: mod_proxy_uwsgi; nginx with `uwsgi_param SCRIPT_NAME /app`; mod_proxy_uwsgi with nocanon
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/app"}, {"SCRIPT_NAME", "/app"}, {"PATH_INFO", "/"}},
     "GET /app 1.1 close none @ ^/app(4)"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/app"}, {"SCRIPT_NAME", "/app"}, {"PATH_INFO", "/app"}},
     "GET /app 1.1 close none @ ^/app(4)"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/app?x"}, {"SCRIPT_NAME", "/app"}, {"PATH_INFO", "/app?x"}},
     "GET /app?x 1.1 close none @"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/a"}, {"SCRIPT_NAME", "/"}, {"PATH_INFO", "/a"}},
     "GET /a 1.1 close none @"},
    {{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/a%"}, {"SCRIPT_NAME", "/a%"}, {"PATH_INFO", "/"}},
     "GET /a% 1.1 close none @ ^/a%(3)"},
    // the last one counts
    {get({{"SCRIPT_NAME", "/a"}, {"PATH_INFO", "/b"}, {"REQUEST_URI", "/c/b"}, {"SCRIPT_NAME", "/c"}}),
     "GET /c/b 1.1 close none @ ^/c(2)"},
    {get({{"REMOTE_ADDR", "::1"}, {"REMOTE_PORT", "65535"}}),
     "GET / 1.1 close none @ ~0000:0000:0000:0000:0000:0000:0000:0001:65535"},
    {get({{"REMOTE_ADDR", "192.0.2.1"}}), "GET / 1.1 close none @ ~192.0.2.1:0"},
    {get({{"REMOTE_ADDR", "192.0.2.1"}, {"REMOTE_PORT", "65536"}}), "GET / 1.1 close none @ ~192.0.2.1:0"},
    {get({{"REMOTE_ADDR", "192.0.2.1"}, {"REMOTE_PORT", "x"}}), "GET / 1.1 close none @ ~192.0.2.1:0"},
    {get({{"REMOTE_ADDR", "unix:"}, {"REMOTE_PORT", ""}}), "GET / 1.1 close none @"},
    {get({{"REMOTE_ADDR", "192.0.2.1\n"}}), "GET / 1.1 close none @"},
};

inline const std::vector<const std::vector<CgiRow>*> cgi_tables{&cgi_ordinary, &cgi_hosts_and_schemes, &cgi_fields,
                                                                &cgi_lengths, &cgi_prefixes_and_clients};

}  // namespace narwhal::wire
