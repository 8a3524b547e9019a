"""An HTTP server that does, by path, all that can go wrong. python3 server.py LOG [CERT KEY [CLIENT_CA]]

Prints "port N", which is TIDE_TEST_PORT where that is set. Appends each request to LOG as a line of JSON when it was read whole, before it is answered.

  /ok            200                          /hang          reads, and says nothing
  /status/N      N                            /drop          reads, and ends the connection
  /first/N/C     N for the first C requests   /half          ends the connection in the middle of its answer
  /wait/S        429 with Retry-After: S, first only         /slow/MS       200 after that time
  /redirect      307                          /bad           422 for a body that holds "bad"
  /audit         200 mostly; 422 with the header x-refuse; now and then 503, or an end without an answer
"""

import json
import os
import socket
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.Lock()
seen = {}
log = open(sys.argv[1], "a")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def take(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.split("?")[0]
        with lock:
            seen[path] = count = seen.get(path, 0) + 1
            verdict = self.verdict(path.split("/")[1:], count, body)
            record = {"method": self.command, "path": self.path, "status": verdict if isinstance(verdict, int) else 0,
                      "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body.decode()}
            log.write(json.dumps(record) + "\n")
            log.flush()
        if verdict == "hang":
            time.sleep(60)
        elif verdict == "drop":
            self.end()
        elif verdict == "half":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            self.end()
        else:
            self.answer(verdict, path)

    def verdict(self, parts, count, body):
        kind, *rest = parts
        if kind == "status":
            return int(rest[0])
        if kind == "first":
            return int(rest[0]) if count <= int(rest[1]) else 200
        if kind == "wait":
            return 429 if count == 1 else 200
        if kind == "redirect":
            return 307
        if kind == "bad":
            return 422 if b"bad" in body else 200
        if kind == "audit":
            if self.headers.get("x-refuse"):
                return 422
            return 503 if count % 211 == 0 else "drop" if count % 307 == 0 else 200
        return kind if kind in ("hang", "drop", "half") else 200

    def answer(self, status, path):
        text = b"told: no" if status >= 300 else b"ok"
        more = ""
        if status == 307:
            more = "Location: /ok?token=hidden\r\n"
        if path.startswith("/wait/") and status == 429:
            more = f"Retry-After: {path.split('/')[2]}\r\n"
        if path.startswith("/slow/"):
            time.sleep(int(path.split("/")[2]) / 1000)
        self.wfile.write(f"HTTP/1.1 {status} X\r\n{more}Content-Length: {len(text)}\r\n\r\n".encode() + text)

    def end(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    do_POST = do_PUT = do_PATCH = do_GET = take

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass

    # The handshake belongs to the connection's thread: one that is slow holds up no other.
    def finish_request(self, request, client_address):
        if context:
            request = context.wrap_socket(request, server_side=True)
        self.RequestHandlerClass(request, client_address, self)
        if context:
            request.close()


context = None
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    if len(sys.argv) > 4:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(sys.argv[4])
server = Server(("127.0.0.1", int(os.environ.get("TIDE_TEST_PORT", 0))), Handler)
print("port", server.server_address[1], flush=True)
server.serve_forever()
