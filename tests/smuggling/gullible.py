"""An application server that assumes a GET has no body, as some do (CL.0): the trial must detect it."""
import json
import re
import socketserver
import threading


class Gullible:
    """Takes the place of the real server: a port, and what its application has answered."""

    def __init__(self):
        self.marks = []
        outer = self

        class Connection(socketserver.StreamRequestHandler):
            def handle(self):
                outer.serve(self.rfile, self.wfile)

        class Threads(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.listener = Threads(("127.0.0.1", 0), Connection)
        self.port = self.listener.server_address[1]
        self.thread = threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def serve(self, reader, writer):
        while line := reader.readline():
            method, _, rest = line.decode("latin-1").partition(" ")
            target = rest.split(" ")[0].strip()
            fields = []
            while (field := reader.readline()).strip():
                fields.append([part.strip() for part in field.decode("latin-1").partition(":")[::2]])
            size = next((int(value) for name, value in fields if name.lower() == "content-length"), 0)
            if method != "GET":
                reader.read(size)
            self.marks += re.findall(r"/(main|smuggled|next|innocent|barrier)-(\d{6})", target)
            body = json.dumps({"method": method, "uri": target, "headers": fields, "body_len": 0}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def answered(self):
        return list(self.marks)

    def stop(self):
        self.listener.shutdown()
        self.listener.server_close()
        self.thread.join()
