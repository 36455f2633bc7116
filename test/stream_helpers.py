"""Server of a motion-JPEG stream over HTTP on the loopback address, which can stop and come back."""

import http.server
import threading
import time

import cv2


class MotionJpegServer:
    """Context that serves frames at http://127.0.0.1:<port>/ to any number of clients; `stop` and `start` at any time.

    `frame(index)` returns the image of a frame; indices go on after a restart.
    """

    def __init__(self, frame, fps=50):
        self.frame, self.fps, self.index = frame, fps, 0
        self._server = None
        self._port = 0

    @property
    def address(self):
        return f"http://127.0.0.1:{self._port}/"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                while owner._running.is_set():
                    data = cv2.imencode(".jpg", owner.frame(owner.index))[1].tobytes()
                    owner.index += 1
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                    try:
                        self.wfile.write(head.encode() + data + b"\r\n")
                    except OSError:
                        return
                    time.sleep(1 / owner.fps)

            def log_message(self, *_):
                pass

        self._running = threading.Event()
        self._running.set()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        """End the stream and refuse connections."""
        if self._server is not None:
            self._running.clear()
            self._server.shutdown()
            self._server.server_close()
            self._server = None
