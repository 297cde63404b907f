"""The corpus: Transfer-Encoding and Content-Length, alone, together, and in every disguise."""
from entries import CHUNKED, LAST, MARK, NEXT, SMUGGLED, chunk, entry, get, head, length

# What may be mistaken for, or is, "Transfer-Encoding: chunked": each must be refused, at least together with a length.
CODINGS = {
    "plain": ("CVE-2005-2088", CHUNKED),
    "lower case": ("own", b"transfer-encoding: chunked"),
    "upper case value": ("own", b"Transfer-Encoding: CHUNKED"),
    "mixed case": ("own", b"tRANSFER-eNCODING: cHuNkEd"),
    "space before the colon": ("CVE-2019-16869", b"Transfer-Encoding : chunked"),
    "tab before the colon": ("CVE-2019-16276", b"Transfer-Encoding\t: chunked"),
    "space and tab before the colon": ("own", b"Transfer-Encoding \t : chunked"),
    "no space after the colon": ("own", b"Transfer-Encoding:chunked"),
    "tab after the colon": ("Kettle 2019", b"Transfer-Encoding:\tchunked"),
    "trailing space": ("own", b"Transfer-Encoding: chunked "),
    "trailing tab": ("own", b"Transfer-Encoding: chunked\t"),
    "vertical tab before the value": ("CVE-2019-18277", b"Transfer-Encoding: \x0bchunked"),
    "vertical tab without space": ("CVE-2019-18277", b"Transfer-Encoding:\x0bchunked"),
    "vertical tab after the value": ("CVE-2019-16789", b"Transfer-Encoding: chunked\x0b"),
    "form feed": ("CVE-2019-16789", b"Transfer-Encoding: \x0cchunked"),
    "file separator": ("CVE-2024-6827", b"Transfer-Encoding: \x1cchunked\x1f"),
    "next line as space": ("gunicorn issue 3364", b"Transfer-Encoding: \x85chunked\xa0"),
    "hard space before the colon": ("gunicorn issue 3091", b"Transfer-Encoding\xa0: chunked"),
    "next line before the colon": ("gunicorn issue 3091", b"Transfer-Encoding\x85: chunked"),
    "NUL before the value": ("own", b"Transfer-Encoding: \0chunked"),
    "NUL after the value": ("own", b"Transfer-Encoding: chunked\0"),
    "NUL after the name": ("own", b"Transfer-Encoding\0: chunked"),
    "a byte over 127 in the value": ("own", b"Transfer-Encoding: chunked\xff"),
    "double quoted": ("own", b'Transfer-Encoding: "chunked"'),
    "single quoted": ("own", b"Transfer-Encoding: 'chunked'"),
    "xchunked": ("Kettle 2019", b"Transfer-Encoding: xchunked"),
    "chunkedx": ("own", b"Transfer-Encoding: chunkedx"),
    "chunk": ("own", b"Transfer-Encoding: chunk"),
    "identity": ("CVE-2021-33037", b"Transfer-Encoding: identity"),
    "identity, chunked": ("CVE-2021-33037", b"Transfer-Encoding: identity, chunked"),
    "chunked, identity": ("CVE-2022-1705", b"Transfer-Encoding: chunked, identity"),
    "gzip, chunked": ("CVE-2019-16786", b"Transfer-Encoding: gzip, chunked"),
    "chunked, gzip": ("CVE-2024-1135", b"Transfer-Encoding: chunked, gzip"),
    "chunked, chunked": ("own", b"Transfer-Encoding: chunked, chunked"),
    "chunked and an empty member": ("own", b"Transfer-Encoding: chunked,"),
    "an empty member and chunked": ("own", b"Transfer-Encoding: ,chunked"),
    "chunked with a parameter": ("own", b"Transfer-Encoding: chunked;q=1"),
    "chunked in brackets": ("Kettle 2019", b"Transfer-Encoding: [chunked]"),
    "two values with a space": ("CVE-2020-25613", b"Transfer-Encoding: x chunked"),
    "empty": ("own", b"Transfer-Encoding:"),
    "two fields, chunked first": ("CVE-2020-8287", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x"),
    "two fields, chunked last": ("CVE-2020-8287", b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked"),
    "two fields, identity first": ("own", b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"),
    "two fields alike": ("own", b"Transfer-Encoding: chunked\r\nTransfer-encoding: chunked"),
    "folded": ("CVE-2022-32215", b"Transfer-Encoding:\r\n chunked"),
    "folded with a tab": ("CVE-2022-32215", b"Transfer-Encoding:\r\n\tchunked"),
    "folded after chunked": ("CVE-2022-32213", b"Transfer-Encoding: chunked\r\n , identity"),
    "folded into another field": ("own", b"X: y\r\n Transfer-Encoding: chunked"),
    "folded empty line": ("own", b"Transfer-Encoding: \r\n \r\n chunked"),
    "name folded": ("Kettle 2019", b"Transfer-Encoding\r\n : chunked"),
    "leading space": ("CVE-2020-7238", b" Transfer-Encoding: chunked"),
    "leading tab": ("CVE-2016-8743", b"\tTransfer-Encoding: chunked"),
    "bare LF before it": ("CVE-2021-37147", b"X: y\nTransfer-Encoding: chunked"),
    "bare CR before it": ("CVE-2023-30589", b"X: y\rTransfer-Encoding: chunked"),
    "bare CR in an empty value": ("CVE-2023-30589", b"X: \rxTransfer-Encoding: chunked"),
    "bare LF after it": ("CVE-2019-16785", b"Transfer-Encoding: chunked\nX: y"),
    "bare CR after it": ("own", b"Transfer-Encoding: chunked\rX: y"),
    "CR CR LF after it": ("own", b"Transfer-Encoding: chunked\r\r\nX: y"),
    "an empty name before it": ("CVE-2023-25725", b": y\r\nTransfer-Encoding: chunked"),
    "a line without colon before it": ("CVE-2019-20444", b"X\r\nTransfer-Encoding: chunked"),
    "a name of 270 bytes before it": ("CVE-2021-40346", b"Content-Length0" + b"a" * 255 + b":\r\nTransfer-Encoding: chunked"),
    "two colons": ("own", b"Transfer-Encoding:: chunked"),
    "equals sign": ("own", b"Transfer-Encoding=chunked"),
    "nominated by Connection": ("own", b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked"),
}
# For a strict server these are other names: only the length counts.
OTHER_NAMES = {
    "an underscore": ("own", b"Transfer_Encoding: chunked"),
    "a letter more": ("own", b"XTransfer-Encoding: chunked"),
    "a letter less": ("own", b"Transfer-Encodin: chunked"),
    "an apostrophe": ("own", b"Transfer-Encoding': chunked"),
    "a dot": ("own", b"Transfer.Encoding: chunked"),
    "TE": ("own", b"TE: chunked"),
    "Content-Encoding": ("own", b"Content-Encoding: chunked"),
    "Proxy-Transfer-Encoding": ("own", b"Proxy-Transfer-Encoding: chunked"),
    "in a value": ("own", b"X: y, Transfer-Encoding: chunked"),
}
# Only spelt differently, and valid: without a length they mean chunked.
RIGHT_CODINGS = {"plain", "lower case", "upper case value", "mixed case", "no space after the colon",
                 "tab after the colon", "trailing space", "trailing tab", "nominated by Connection", "a name of 270 bytes before it"}


def codings():
    rest = LAST + SMUGGLED
    inside = chunk(SMUGGLED)
    for name, (source, field) in CODINGS.items():
        yield entry(f"CL.TE, {name}", source, head(length(rest), field) + rest)
        yield entry(f"TE.CL, {name}", source, head(field, b"Content-Length: 4") + inside + LAST)
        if name not in RIGHT_CODINGS:
            yield entry(f"TE.0, {name}", source, head(field) + inside + LAST)
    for name in sorted(RIGHT_CODINGS):
        yield entry(f"chunked, {name}", "own", head(CODINGS[name][1]) + inside + LAST + NEXT, "main next")
    for name, (source, field) in OTHER_NAMES.items():
        yield entry(f"not Transfer-Encoding: {name}", source, head(length(rest), field) + rest + NEXT, "main next")


# ---- Content-Length alone ----
SIZE = len(SMUGGLED)
LENGTHS = {
    "plus": ("CVE-2023-40167", b"Content-Length: +%d" % SIZE),
    "minus": ("CVE-2022-24761", b"Content-Length: -%d" % SIZE),
    "minus nothing": ("own", b"Content-Length: -0"),
    "hexadecimal": ("own", b"Content-Length: 0x%x" % SIZE),
    "octal": ("own", b"Content-Length: 0o%o" % SIZE),
    "underscore": ("CVE-2023-47627", b"Content-Length: %d_%d" % divmod(SIZE, 10)),
    "a space inside": ("CVE-2018-7159", b"Content-Length: %d %d" % divmod(SIZE, 10)),
    "a dot": ("own", b"Content-Length: %d.0" % SIZE),
    "an exponent": ("own", b"Content-Length: %de0" % SIZE),
    "letters after it": ("own", b"Content-Length: %dabc" % SIZE),
    "letters before": ("own", b"Content-Length: abc%d" % SIZE),
    "quoted": ("CVE-2021-32565", b'Content-Length: "%d"' % SIZE),
    "vertical tab": ("CVE-2019-16789", b"Content-Length: \x0b%d" % SIZE),
    "form feed after it": ("own", b"Content-Length: %d\x0c" % SIZE),
    "hard space after it": ("own", b"Content-Length: %d\xa0" % SIZE),
    "NUL after it": ("own", b"Content-Length: %d\0" % SIZE),
    "digits of another script": ("CVE-2023-47627", b"Content-Length: \xd9\xa4"),
    "superscript digit": ("own", b"Content-Length: \xb2"),
    "empty": ("CVE-2023-40225", b"Content-Length:"),
    "a space only": ("CVE-2023-40225", b"Content-Length:  "),
    "a comma only": ("own", b"Content-Length: ,"),
    "empty, then a number": ("CVE-2023-40225", b"Content-Length:\r\nContent-Length: %d" % SIZE),
    "a number, then empty": ("CVE-2023-40225", b"Content-Length: %d\r\nContent-Length:" % SIZE),
    "a list of two": ("CVE-2017-7658", b"Content-Length: 0, %d" % SIZE),
    "a list of two alike": ("own", b"Content-Length: %d, %d" % (SIZE, SIZE)),
    "a list with an empty member": ("own", b"Content-Length: %d," % SIZE),
    "two, the first is 0": ("CVE-2017-7658", b"Content-Length: 0\r\nContent-Length: %d" % SIZE),
    "two, the last is 0": ("CVE-2020-10108", b"Content-Length: %d\r\nContent-Length: 0" % SIZE),
    "two alike": ("CVE-2019-16792", b"Content-Length: %d\r\nContent-Length: %d" % (SIZE, SIZE)),
    "two alike but for zeros": ("own", b"Content-Length: %d\r\nContent-Length: 0%d" % (SIZE, SIZE)),
    "over 2^63": ("own", b"Content-Length: 9223372036854775808"),
    "2^64 and the length": ("own", b"Content-Length: %d" % (2**64 + SIZE)),
    "2^32 times 2^64 and the length": ("own", b"Content-Length: %d" % (2**96 + SIZE)),
    "five hundred digits": ("own", b"Content-Length: " + b"9" * 500),
    "space before the colon": ("CVE-2021-22959", b"Content-Length : %d" % SIZE),
    "tab before the colon": ("CVE-2019-16276", b"Content-Length\t: %d" % SIZE),
    "hard space before the colon": ("gunicorn issue 3091", b"Content-Length\xa0: %d" % SIZE),
    "leading space": ("CVE-2024-27982", b" Content-Length: %d" % SIZE),
    "leading space after a field": ("own", b"X: y\r\n Content-Length: %d" % SIZE),
    "folded": ("CVE-2025-32094", b"Content-Length:\r\n %d" % SIZE),
    "folded after 0": ("own", b"Content-Length: 0\r\n %d" % SIZE),
    "bare CR before it": ("CVE-2025-23167", b"X: y\rContent-Length: %d" % SIZE),
    "bare LF before it": ("CVE-2019-16785", b"X: y\nContent-Length: %d" % SIZE),
    "bare LF after it": ("own", b"Content-Length: %d\nX: y" % SIZE),
    "NUL in the name": ("own", b"Content\0-Length: %d" % SIZE),
    "a space in the name": ("own", b"Content Length: %d" % SIZE),
    "a space for the dash, folded": ("own", b"Content-\r\n Length: %d" % SIZE),
    "an empty name before it": ("CVE-2023-25725", b":\r\nContent-Length: %d" % SIZE),
    "no colon": ("own", b"Content-Length %d" % SIZE),
    "equals sign": ("own", b"Content-Length=%d" % SIZE),
    "two colons": ("own", b"Content-Length:: %d" % SIZE),
}


def lengths():
    for name, (source, field) in LENGTHS.items():
        yield entry(f"CL, {name}", source, head(field) + SMUGGLED)
        if name in ("plus", "empty", "underscore", "space before the colon", "two, the first is 0", "a list of two"):
            yield entry(f"CL on GET, {name}", source, get(field) + SMUGGLED)
    for name, field in {
        "zeros before": b"Content-Length: 000%d" % SIZE, "tabs around": b"Content-Length:\t%d\t" % SIZE,
        "no space": b"Content-Length:%d" % SIZE, "lower case": b"content-length: %d" % SIZE,
        "nominated by Connection": b"Connection: Content-Length\r\nContent-Length: %d" % SIZE,
        "after one with an underscore": b"Content_Length: 0\r\nContent-Length: %d" % SIZE,
        "before one with an underscore": b"Content-Length: %d\r\nContent_Length: 0" % SIZE,
    }.items():
        yield entry(f"CL, right, {name}", "own", head(field) + SMUGGLED + NEXT, "main next")
    for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"PUT", b"PATCH", b"TRACE", b"PROPFIND"):
        line = method + b" /main-" + MARK + b" HTTP/1.1"
        yield entry(f"CL.0, {method.decode()}", "Kettle 2022", head(length(SMUGGLED), line=line) + SMUGGLED + NEXT,
                    "main next")
        yield entry(f"TE.0, {method.decode()}", "Kettle 2022",
                    head(CHUNKED, line=line) + chunk(SMUGGLED) + LAST + NEXT, "main next")
    yield entry("CL.0, nothing announced", "own", head() + NEXT, "main next")
    yield entry("a body longer than announced", "own", head(b"Content-Length: 3") + b"abc" + SMUGGLED[:-2] + b"X", "main")
