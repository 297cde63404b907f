"""The corpus, continued: what is wrong inside a chunked body, and after it."""
from entries import CHUNKED, LAST, NEXT, SMUGGLED, chunk, entry, head

SIZE = len(SMUGGLED)
HEX = b"%x" % SIZE

# Instead of the digits of a chunk's size; the chunk contains the smuggled request.
SIZES = {
    "0x": ("CVE-2022-24801", b"0x" + HEX),
    "plus": ("CVE-2022-24801", b"+" + HEX),
    "minus": ("own", b"-" + HEX),
    "minus nothing": ("own", b"-0"),
    "underscore": ("own", HEX[:1] + b"_" + HEX[1:]),
    "space before": ("own", b" " + HEX),
    "tab before": ("own", b"\t" + HEX),
    "space after it": ("own", HEX + b" "),
    "tab after it": ("own", HEX + b"\t"),
    "space inside": ("own", HEX[:1] + b" " + HEX[1:]),
    "vertical tab after it": ("own", HEX + b"\x0b"),
    "NUL after it": ("own", HEX + b"\0"),
    "a letter after it": ("own", HEX + b"g"),
    "a letter h after it": ("own", HEX + b"h"),
    "nothing": ("own", b""),
    "a semicolon only": ("own", b";"),
    "2^64 and the size": ("CVE-2021-32714", b"1%016x" % SIZE),
    "2^32 and the size": ("CVE-2017-7657", b"1%08x" % SIZE),
    "17 zeros and the size": ("own", b"0" * 17 + HEX),
    "all ones": ("CVE-2002-0392", b"ffffffffffffffff"),
    "the sign bit": ("CVE-2013-2028", b"8000000000000000"),
    "a hundred digits": ("own", b"1" * 100),
    "quoted": ("own", b'"' + HEX + b'"'),
    "a dot": ("own", HEX + b".0"),
    "full-width digits": ("own", "４".encode()),
}
HUGE = {"2^32 and the size"}  # a valid number, so the body continues
# Between a chunk's size and its CRLF. With a bare LF or CR in them, one reader ends the line where another reads on.
EXTENSIONS = {
    "bare LF": ("CVE-2025-55315", b";a\nb"),
    "bare LF at once": ("CVE-2025-22871", b";\n"),
    "bare LF in a quoted value": ("CVE-2025-58056", b';a="\nb"'),
    "bare CR": ("CVE-2025-55315", b";a\rb"),
    "bare CR in a quoted value": ("own", b';a="\rb"'),
    "NUL": ("own", b";a=\0"),
    "CR CR": ("own", b"\r"),
    "a quote that never ends": ("own", b';a="'),
    "a backslash before the end": ("own", b';a="\\'),
    "no name": ("own", b";=b"),
    "no value": ("own", b";a="),
    "a comma": ("own", b",a=b"),
    "a space and a word": ("own", b" a=b"),
    "too long": ("CVE-2024-21647", b";" + b"a" * 20_000),
}
TRAILERS = {
    "Content-Length": ("CVE-2023-46589", b"Content-Length: 40\r\n"),
    "Transfer-Encoding": ("own", b"Transfer-Encoding: chunked\r\n"),
    "Host": ("own", b"Host: evil\r\n"),
    "space before the colon": ("CVE-2023-40175", b"X-T : y\r\n"),
    "no colon": ("own", b"X-T\r\n"),
    "empty name": ("own", b": y\r\n"),
    "folded": ("own", b"X-T: y\r\n z\r\n"),
    "leading space": ("own", b" X-T: y\r\n"),
    "bare LF": ("CVE-2025-53643", b"X-T: y\nX-U: z\r\n"),
    "bare CR": ("own", b"X-T: y\rX-U: z\r\n"),
    "NUL": ("own", b"X-T: \0\r\n"),
    "CR and another byte": ("CVE-2025-23167", b"\rX"),
    "a request": ("CVE-2025-58068", SMUGGLED[:-2]),
    "too long": ("CVE-2023-46589", b"X-T: " + b"a" * 20_000 + b"\r\n"),
    "too many": ("own", b"X-T: y\r\n" * 2000),
}
# Whole bodies.
BODIES = {
    "LF after the size": ("CVE-2025-22871", HEX + b"\n" + SMUGGLED + b"\r\n" + LAST),
    "CR after the size": ("own", HEX + b"\r" + SMUGGLED + b"\r\n" + LAST),
    "LF CR after the size": ("own", HEX + b"\n\r" + SMUGGLED + b"\r\n" + LAST),
    "LF after the data": ("own", HEX + b"\r\n" + SMUGGLED + b"\n" + LAST),
    "CR after the data": ("own", HEX + b"\r\n" + SMUGGLED + b"\r" + LAST),
    "two bytes after the data": ("CVE-2025-43859", HEX + b"\r\n" + SMUGGLED + b"XX" + LAST),
    "CR and a byte after the data": ("CVE-2025-43859", HEX + b"\r\n" + SMUGGLED + b"\rX" + LAST),
    "nothing after the data": ("own", HEX + b"\r\n" + SMUGGLED + LAST),
    "data longer than its size": ("funky chunks 2025", b"5\r\nhello" + SMUGGLED + b"\r\n" + LAST),
    "spill that reads as a chunk": ("funky chunks 2025", b"5\r\nhelloXX\r\n" + HEX + b"\r\n" + SMUGGLED + b"\r\n" + LAST),
    "bare LF in an extension, a request in the chunk": (
        "CVE-2025-55315", b"2;\nxx\r\n" + b"%x\r\n" % (SIZE + 5) + LAST + SMUGGLED + b"\r\n" + LAST),
    "LF after the last size": ("own", b"5\r\nhello\r\n0\n\n" + SMUGGLED),
    "LF for the empty line": ("own", b"5\r\nhello\r\n0\r\n\n" + SMUGGLED),
    "CR and a byte for the empty line": ("CVE-2025-23167", b"5\r\nhello\r\n0\r\n\rX" + SMUGGLED),
    "no empty line": ("own", b"5\r\nhello\r\n0\r\n" + SMUGGLED),
    "no last chunk": ("own", b"5\r\nhello\r\n" + SMUGGLED),
    "no chunk at all": ("own", SMUGGLED),
    "an empty line before the first": ("own", b"\r\n" + chunk(SMUGGLED) + LAST),
    "an empty line between two": ("own", chunk(b"hello") + b"\r\n" + chunk(SMUGGLED) + LAST),
}


def chunks():
    for name, (source, size) in SIZES.items():
        yield entry(f"chunk size, {name}", source, head(CHUNKED) + chunk(SMUGGLED, size=size) + LAST + SMUGGLED,
                    "unfinished" if name in HUGE else ())
    for name, (source, extension) in EXTENSIONS.items():
        yield entry(f"chunk extension, {name}", source,
                    head(CHUNKED) + chunk(SMUGGLED, extension=extension) + LAST + SMUGGLED)
    for name, (source, trailers) in TRAILERS.items():
        yield entry(f"trailer, {name}", source,
                    head(CHUNKED) + chunk(b"hello") + b"0\r\n" + trailers + b"\r\n" + SMUGGLED)
    for name, (source, body) in BODIES.items():
        yield entry(f"chunks, {name}", source, head(CHUNKED) + body)
    right = {
        "leading zeros": chunk(SMUGGLED, size=b"000" + HEX), "upper case digits": chunk(b"a" * 11, size=b"B"),
        "an extension": chunk(SMUGGLED, extension=b";a"), "two extensions": chunk(SMUGGLED, extension=b";a=b;c=d"),
        "a quoted extension": chunk(SMUGGLED, extension=b';a="b;\\"c"'),
        "one byte each": b"".join(chunk(bytes([byte])) for byte in SMUGGLED),
        "a last chunk in the data": chunk(LAST + SMUGGLED),
    }
    for name, body in right.items():
        yield entry(f"chunks, right, {name}", "own", head(CHUNKED) + body + LAST + NEXT, "main next")
    yield entry("chunks, right, an empty body", "own", head(CHUNKED) + LAST + NEXT, "main next")
    yield entry("chunks, right, a trailer", "own", head(CHUNKED) + chunk(SMUGGLED) + b"0\r\nX-T: y\r\n\r\n" + NEXT,
                "main next")
    yield entry("chunks, right, many zeros at the end", "own", head(CHUNKED) + chunk(b"hello") + b"0" * 16 + b"\r\n\r\n" + NEXT,
                "main next")
