"""The corpus, continued: request lines, line ends, field names, Host, and what Expect, Upgrade and Connection can do."""
from entries import CHUNKED, LAST, MARK, NEXT, SMUGGLED, TAIL, chunk, entry, get, head, length

MAIN = b"/main-" + MARK
HOST = b"\r\nHost: t\r\n\r\n"

REQUEST_LINES = {
    "two spaces before the target": ("CVE-2016-8743", b"GET  " + MAIN + b" HTTP/1.1"),
    "two spaces before the version": ("CVE-2016-8743", b"GET " + MAIN + b"  HTTP/1.1"),
    "a tab before the target": ("CVE-2016-8743", b"GET\t" + MAIN + b" HTTP/1.1"),
    "a tab before the version": ("CVE-2016-8743", b"GET " + MAIN + b"\tHTTP/1.1"),
    "vertical tabs": ("CVE-2016-8743", b"GET\x0b" + MAIN + b"\x0bHTTP/1.1"),
    "a form feed": ("CVE-2016-8743", b"GET\x0c" + MAIN + b" HTTP/1.1"),
    "a bare CR for a space": ("CVE-2016-8743", b"GET\r" + MAIN + b" HTTP/1.1"),
    "a bare CR before the version": ("own", b"GET " + MAIN + b" \rHTTP/1.1"),
    "a space after it": ("own", b"GET " + MAIN + b" HTTP/1.1 "),
    "a bare CR after it": ("own", b"GET " + MAIN + b" HTTP/1.1\r"),
    "a space before": ("own", b" GET " + MAIN + b" HTTP/1.1"),
    "a tab before": ("own", b"\tGET " + MAIN + b" HTTP/1.1"),
    "no version": ("CVE-2017-7656", b"GET " + MAIN),
    "no version, a space after it": ("CVE-2017-7656", b"GET " + MAIN + b" "),
    "HTTP/0.9": ("CVE-2017-7656", b"GET " + MAIN + b" HTTP/0.9"),
    "HTTP/1.2": ("own", b"GET " + MAIN + b" HTTP/1.2"),
    "HTTP/1.10": ("own", b"GET " + MAIN + b" HTTP/1.10"),
    "HTTP/1": ("own", b"GET " + MAIN + b" HTTP/1"),
    "HTTP/1.": ("own", b"GET " + MAIN + b" HTTP/1."),
    "HTTP/01.1": ("own", b"GET " + MAIN + b" HTTP/01.1"),
    "HTTP/2.0": ("own", b"GET " + MAIN + b" HTTP/2.0"),
    "HTTP/ 1.1": ("own", b"GET " + MAIN + b" HTTP/ 1.1"),
    "HTTP /1.1": ("own", b"GET " + MAIN + b" HTTP /1.1"),
    "http/1.1": ("own", b"GET " + MAIN + b" http/1.1"),
    "HTTP/1,1": ("own", b"GET " + MAIN + b" HTTP/1,1"),
    "RTSP/1.0": ("own", b"GET " + MAIN + b" RTSP/1.0"),
    "a version twice": ("CVE-2023-25690", b"GET " + MAIN + b" HTTP/1.1 HTTP/1.1"),
    "a space in the target": ("CVE-2023-25690", b"GET " + MAIN + b" /x HTTP/1.1"),
    "a tab in the target": ("CVE-2023-25690", b"GET " + MAIN + b"\t/x HTTP/1.1"),
    "a bare CR in the target": ("CVE-2023-25690", b"GET " + MAIN + b"\r/x HTTP/1.1"),
    "a bare LF in the target": ("CVE-2023-25690", b"GET " + MAIN + b"\n/x HTTP/1.1"),
    "NUL in the target": ("own", b"GET " + MAIN + b"\0 HTTP/1.1"),
    "a fragment with a space": ("CVE-2023-45539", b"GET " + MAIN + b"#x /y HTTP/1.1"),
    "a byte over 127 and DEL": ("own", b"GET " + MAIN + b"\xff\x7f HTTP/1.1"),
    "a byte over 127 for the first space": ("own", b"GET\xa0" + MAIN + b" HTTP/1.1"),
    "a byte over 127 for the last space": ("own", b"GET " + MAIN + b"\xa0HTTP/1.1"),
    "an absolute target, a byte over 127 in its host": ("own", b"GET http://t\xff" + MAIN + b" HTTP/1.1"),
    "a bracket in the method": ("own", b"GE(T " + MAIN + b" HTTP/1.1"),
    "a colon in the method": ("own", b"GET: " + MAIN + b" HTTP/1.1"),
    "an empty method": ("own", b" " + MAIN + b" HTTP/1.1"),
    "a relative target": ("own", b"GET main-" + MARK + b" HTTP/1.1"),
    "a target with @": ("own", b"GET @t" + MAIN + b" HTTP/1.1"),
    "an asterisk": ("own", b"GET * HTTP/1.1"),
    "CONNECT with a path": ("own", b"CONNECT " + MAIN + b" HTTP/1.1"),
    "a preface of HTTP/2": ("own", b"PRI * HTTP/2.0"),
    "an absolute target without a host": ("own", b"GET http://" + MAIN + b" HTTP/1.1"),
    "an absolute target with a user": ("own", b"GET http://u@t" + MAIN + b" HTTP/1.1"),
    "an absolute target, one slash": ("own", b"GET http:/t" + MAIN + b" HTTP/1.1"),
    "an absolute target of ftp": ("own", b"GET ftp://t" + MAIN + b" HTTP/1.1"),
    "an absolute target, a bad port": ("own", b"GET http://t:a" + MAIN + b" HTTP/1.1"),
    "an absolute target with a space": ("own", b"GET http://t /" + MAIN + b" HTTP/1.1"),
}

HOSTS = {
    "none": ("own", b""),
    "two": ("own", b"Host: t\r\nHost: evil"),
    "two alike": ("own", b"Host: t\r\nHost: t"),
    "two, the first empty": ("own", b"Host:\r\nHost: t"),
    "a list": ("own", b"Host: t, evil"),
    "a space": ("own", b"Host: t evil"),
    "a tab": ("own", b"Host: t\tevil"),
    "an @": ("own", b"Host: t@evil"),
    "a slash": ("own", b"Host: t/evil"),
    "a backslash": ("own", b"Host: t\\evil"),
    "a question mark": ("own", b"Host: t?evil"),
    "a hash": ("own", b"Host: t#evil"),
    "a scheme": ("own", b"Host: http://t"),
    "a port of letters": ("own", b"Host: t:evil"),
    "two ports": ("own", b"Host: t:80:80"),
    "half an IPv6 address": ("own", b"Host: [::1"),
    "bytes after an IPv6 address": ("own", b"Host: [::1]evil"),
    "NUL": ("own", b"Host: t\0evil"),
    "a quote": ("own", b'Host: "t"'),
    "a byte over 127": ("own", b"Host: t\xff"),
    "a bad escape": ("own", b"Host: t%zz"),
    "space before the colon": ("own", b"Host : t"),
    "folded": ("own", b"Host:\r\n t"),
    "leading space, first": ("CVE-2019-16789", b" Host: evil\r\nHost: t"),
    "leading space, second": ("own", b"Host: t\r\n Host: evil"),
    "bare LF before another": ("own", b"Host: t\nHost: evil"),
    "bare CR before another": ("own", b"Host: t\rHost: evil"),
}

FIELDS = {
    "a NUL in a name": ("own", b"X\0A: y"),
    "a space in a name": ("own", b"X A: y"),
    "an at sign in a name": ("own", b"X@A: y"),
    "a bracket in a name": ("own", b"X(A): y"),
    "a quote in a name": ("own", b'X"A: y'),
    "a byte over 127 in a name": ("own", b"X\xe9: y"),
    "a control byte in a name": ("own", b"X\x01: y"),
    "an empty name": ("CVE-2023-25725", b": y"),
    "only a colon": ("CVE-2023-25725", b":"),
    "no colon": ("CVE-2019-20444", b"X-A"),
    "a NUL in a value": ("own", b"X: a\0b"),
    "a bell in a value": ("own", b"X: a\x07b"),
    "DEL in a value": ("own", b"X: a\x7fb"),
    "a bare CR in a value": ("CVE-2023-30589", b"X: a\rb"),
    "a bare CR at the end of a value": ("own", b"X: a\r"),
    "a bare LF in a value": ("CVE-2019-16785", b"X: a\nb: c"),
    "two bare LF": ("CVE-2019-16785", b"X: a\n\n" + SMUGGLED),
    "two bare CR": ("own", b"X: a\r\r" + SMUGGLED),
    "CR, LF, CR and a request": ("CVE-2025-23167", b"X: a\r\n\r" + SMUGGLED),
    "LF, CR, LF": ("own", b"X: a\n\r\n" + SMUGGLED),
    "LF, CRLF": ("CVE-2022-32214", b"X: a\n\r\nX: b"),
    "folded": ("own", b"X: a\r\n b"),
    "folded with a tab": ("own", b"X: a\r\n\tb"),
    "folded with nothing": ("own", b"X: a\r\n "),
    "folded at once": ("own", b" X: a"),
}


def lines():
    for name, (source, line) in REQUEST_LINES.items():
        yield entry(f"request line, {name}", source, line + HOST + SMUGGLED)
    for name, prefix in {"a line of spaces": b"  \r\n", "LF before": b"\n", "CR before": b"\r", "NUL before": b"\0",
                         "a hundred empty lines": b"\r\n" * 100, "a byte order mark": b"\xef\xbb\xbf"}.items():
        yield entry(f"request line, {name}", "own", prefix + b"GET " + MAIN + TAIL + SMUGGLED)
    yield entry("LF for every line end", "CVE-2019-16785", b"GET " + MAIN + b" HTTP/1.1\nHost: t\n\n" + SMUGGLED)
    yield entry("CR for every line end", "own", b"GET " + MAIN + b" HTTP/1.1\rHost: t\r\r" + SMUGGLED)
    yield entry("LF CR for every line end", "own", b"GET " + MAIN + b" HTTP/1.1\n\rHost: t\n\r\n\r" + SMUGGLED)
    yield entry("HTTP/0.9 with an empty line", "CVE-2017-7656", b"GET " + MAIN + b"\r\n\r\n" + SMUGGLED)
    yield entry("HTTP/0.9 with LF", "CVE-2017-7656", b"GET " + MAIN + b"\n" + SMUGGLED)
    yield entry("a head without end before a request", "own", b"GET " + MAIN + b" HTTP/1.1\r\nHost: t\r\n" + SMUGGLED)
    one = b"\r\n" + b"GET " + MAIN + TAIL
    yield entry("one empty line before", "own", one + NEXT, "main next")
    yield entry("an empty line between", "own", b"GET " + MAIN + TAIL + b"\r\n" + NEXT, "main next")
    yield entry("absolute target, another Host", "own",
                b"GET http://evil" + MAIN + b" HTTP/1.1" + HOST + NEXT, "main next")
    yield entry("absolute target, no Host", "own", b"GET http://t" + MAIN + b" HTTP/1.1\r\n\r\n" + SMUGGLED)
    yield entry("a request in the query", "CVE-2023-25690",
                b"GET " + MAIN + b"?x=%0d%0a%0d%0aGET%20/y%20HTTP/1.1 HTTP/1.1" + HOST + NEXT, "main next")
    # In the target as they are, these end neither it nor the line.
    for name, byte in {"a fragment": b"#x", "a byte over 127": b"\xff", "NEL of Latin-1": b"\x85", "NBSP": b"\xa0",
                       "a line end of UTF-16": b"\x8d\x8a", "an overlong space": b"\xc0\xa0",
                       "an overlong CR LF": b"\xc0\x8d\xc0\x8a", "a line separator": b"\xe2\x80\xa8"}.items():
        yield entry(f"request line, {name}", "CVE-2023-45539" if byte == b"#x" else "own",
                    b"GET " + MAIN + byte + b"HTTP/1.1?" + byte + b" HTTP/1.1" + HOST + NEXT, "main next")
    yield entry("a request in the path, escaped", "CVE-2019-20372",
                b"GET " + MAIN + b"%20HTTP/1.1%0d%0aHost:%20t%0d%0a%0d%0a" + b" HTTP/1.1" + HOST + NEXT, "main next")


def fields():
    for name, (source, field) in HOSTS.items():
        yield entry(f"Host, {name}", source, get(*([field] if field else []), host=None) + SMUGGLED)
        if name in ("two", "none", "a list", "an @"):
            yield entry(f"Host, {name}, absolute target", source,
                        head(*([field] if field else []), host=None, line=b"GET http://t" + MAIN + b" HTTP/1.1") + SMUGGLED)
    for name, (source, field) in FIELDS.items():
        yield entry(f"field, {name}", source, get(field) + SMUGGLED)
        yield entry(f"field with a body, {name}", source, head(field, length(SMUGGLED)) + SMUGGLED)
    yield entry("a field too large", "own", get(b"X: " + b"a" * 100_000) + SMUGGLED)
    yield entry("too many fields", "own", get(*[b"X: y"] * 5000) + SMUGGLED)


def versions_1_0():
    line = b"POST " + MAIN + b" HTTP/1.0"
    keep = b"Connection: keep-alive"
    for name, wanted in {"": (), ", kept alive": (keep,)}.items():
        yield entry(f"1.0, chunked{name}", "CVE-2021-33037", head(CHUNKED, *wanted, line=line) + LAST + SMUGGLED)
        yield entry(f"1.0, chunked and a length{name}", "CVE-2021-33037",
                    head(CHUNKED, length(LAST + SMUGGLED), *wanted, line=line) + LAST + SMUGGLED)
    yield entry("1.0, nothing said", "own", head(length(b"abc"), line=line) + b"abc" + SMUGGLED, "main")
    yield entry("1.0, kept alive", "own", head(length(SMUGGLED), keep, line=line) + SMUGGLED + NEXT, "main next")
    yield entry("1.0, keep-alive and close", "own",
                head(length(b"abc"), b"Connection: keep-alive, close", line=line) + b"abc" + SMUGGLED, "main")
    yield entry("1.0, Proxy-Connection", "own",
                head(length(b"abc"), b"Proxy-Connection: keep-alive", line=line) + b"abc" + SMUGGLED, "main")
    yield entry("1.0, two Hosts", "own", head(b"Host: evil", keep, line=b"GET " + MAIN + b" HTTP/1.0") + SMUGGLED)


def connections():
    expect = b"Expect: 100-continue"
    body = SMUGGLED
    for name, field in {"Host": b"Connection: Host", "Content-Length": b"Connection: Content-Length",
                        "Expect": b"Connection: Expect", "X-Forwarded-For": b"Connection: X-Forwarded-For, close-not",
                        "nothing": b"Connection: ,,"}.items():
        yield entry(f"Connection nominates {name}", "CVE-2022-31813", head(field, length(body)) + body + NEXT, "main next")
    yield entry("Connection: close, and a request after it", "own", get(b"Connection: close") + SMUGGLED, "main")
    yield entry("Connection: close, tab after it", "own", get(b"Connection: close\t") + SMUGGLED, "main")
    yield entry("Connection: close in a second field", "own",
                get(b"Connection: keep-alive", b"Connection: close") + SMUGGLED, "main")

    yield entry("Expect, the body at once", "own", head(expect, length(body)) + body + NEXT, "main next")
    yield entry("Expect, the body later", "Kettle 2025", (head(expect, length(body)), body + NEXT), "main next")
    yield entry("Expect, chunked, later", "Kettle 2025", (head(expect, CHUNKED), chunk(body) + LAST + NEXT), "main next")
    yield entry("Expect on GET", "Kettle 2025",
                (get(expect, length(body)), body + NEXT), "main next")
    yield entry("Expect without a body", "own", get(expect) + NEXT, "main next")
    yield entry("Expect, length 0", "own", head(expect, b"Content-Length: 0") + NEXT, "main next")
    for name, field in {"unknown": b"Expect: 200-ok", "y 100-continue": b"Expect: y 100-continue",
                        "folded": b"Expect:\r\n 100-continue"}.items():
        yield entry(f"Expect, {name}", "Kettle 2025", (head(field, length(body)), body))
    yield entry("a pause before the body", "Kettle 2022", (head(length(body)), body + NEXT), "main next")
    yield entry("a pause inside the body", "Kettle 2022", (head(length(body)) + body[:9], body[9:] + NEXT), "main next")
    yield entry("a pause inside a chunk's size", "own",
                (head(CHUNKED) + b"%x" % len(body), b"\r\n" + body + b"\r\n" + LAST + NEXT), "main next")
    yield entry("a pause inside the last CRLF", "own", (head(CHUNKED) + chunk(body) + LAST[:-1], b"\n" + NEXT), "main next")
    yield entry("a body cut short", "own", head(b"Content-Length: %d" % (len(body) + 50)) + body, "unfinished")
    yield entry("chunks cut short", "own", head(CHUNKED) + chunk(body, size=b"%x" % (len(body) + 50)),
                "unfinished")

    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 777")
    yield entry("Upgrade to an unknown version of websocket", "websocket smuggling 2019", get(*upgrade) + NEXT, "main next")
    yield entry("Upgrade with a body", "own", head(*upgrade, length(body)) + body + NEXT, "main next")
    yield entry("Upgrade with chunks", "own", head(*upgrade, CHUNKED) + chunk(body) + LAST + NEXT, "main next")
    h2c = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAA")
    yield entry("Upgrade to h2c", "h2c smuggling 2020", get(*h2c) + NEXT, "main next")
    yield entry("Sec-WebSocket-Key1", "own", get(b"Sec-WebSocket-Key1: x") + NEXT, "main next")
