"""Server of one file over HTTP on the loopback address, which can be made to fail in the ways that servers do."""

import http.server
import threading


class FileServer:
    """Context that serves `content` at `address`; its attributes may be changed at any time.

    `ranges`: whether Range is answered. `version`: the ETag, "" for none. `cut_after`: bytes after which each
    connection is closed, for those of `cuts` connections that are left (-1: all). `status`: another one than 200.
    `headers`: more headers, or None instead of a value to leave one out. `requests`: (Range, If-Range) of each request.
    """

    def __init__(self, content: bytes):
        self.content = content
        self.ranges, self.version, self.status = True, '"1"', 200
        self.cut_after, self.cuts = 0, 0
        self.headers: dict[str, str | None] = {}
        self.requests: list[tuple[str | None, str | None]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/weights.pth"

    def __enter__(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.answer(self)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """Answer a GET."""
        asked, version = request.headers.get("Range"), request.headers.get("If-Range")
        self.requests.append((asked, version))
        if self.status != 200:
            request.send_error(self.status)
            return
        start = 0
        if asked and self.ranges and version in (None, self.version):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(self.content):
                request.send_error(416)
                return
        body = self.content[start:]
        headers: dict[str, str | None] = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(len(body)),
            "ETag": self.version or None,
            "Content-Range": f"bytes {start}-{len(self.content) - 1}/{len(self.content)}" if start else None,
            **self.headers,
        }
        request.send_response(206 if start else 200)
        for name, value in headers.items():
            if value is not None:
                request.send_header(name, value)
        request.end_headers()
        if self.cuts:
            self.cuts -= 1
            body = body[: self.cut_after]
        request.wfile.write(body)
