"""The corpus, continued: an application that answers without having read the body. The rest of it is not a request."""
from entries import CHUNKED, LAST, MARK, NEXT, SMUGGLED, chunk, entry, head, length

MAIN = b"/main-" + MARK


def unread():
    """Each main request is answered; whether the connection then lives on, for /next, is the server's choice."""
    def post(*fields, query=b"?noread=1", method=b"POST"):
        return head(*fields, line=method + b" " + MAIN + query + b" HTTP/1.1")
    large = SMUGGLED * 2000  # more than any buffer on the path, and more than a server drains before it closes
    for name, query in {"": b"?noread=1", ", half read": b"?readn=9", ", 204": b"?noread=1&status=204&size=0"}.items():
        yield entry(f"unread{name}", "Kettle 2022", post(length(SMUGGLED), query=query) + SMUGGLED + NEXT, "main next")
        yield entry(f"unread, later{name}", "Kettle 2022",
                    (post(length(SMUGGLED), query=query), SMUGGLED + NEXT), "main next")
        yield entry(f"unread, chunked{name}", "Kettle 2022",
                    post(CHUNKED, query=query) + chunk(SMUGGLED) + LAST + NEXT, "main next")
        yield entry(f"unread, chunked, later{name}", "Kettle 2022",
                    (post(CHUNKED, query=query), chunk(SMUGGLED), LAST + NEXT), "main next")
    for method in (b"GET", b"HEAD", b"DELETE"):
        yield entry(f"unread {method.decode()}", "Kettle 2022",
                    post(length(SMUGGLED), method=method) + SMUGGLED + NEXT, "main next")
    yield entry("unread, Expect, sent all the same", "Kettle 2025",
                (post(b"Expect: 100-continue", length(SMUGGLED)), SMUGGLED + NEXT), "main next")
    yield entry("unread, bad chunks", "own", post(CHUNKED) + b"0x5\r\nhello\r\n" + LAST + SMUGGLED, "main")
    yield entry("unread, large", "own", post(length(large)) + large, "main")
    yield entry("unread, large, chunked", "own", post(CHUNKED) + chunk(large) + LAST, "main")
    yield entry("unread, large, in many chunks", "own", post(CHUNKED) + chunk(SMUGGLED) * 2000 + LAST, "main")
