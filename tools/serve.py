"""Serve the built book on this machine until it is interrupted."""

import contextlib
import functools
import http.server
import sys
import threading
from collections.abc import Iterator

from tools.book import HTML

PORT = 8000


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serve files without a line for each request."""

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """A server that does not mind a browser which breaks off."""

    def handle_error(self, request, client_address) -> None:
        """Print what went wrong, unless it is only that the other side has gone."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def server(port: int = PORT, folder=HTML, kind: type[Quiet] = Quiet) -> Server:
    """Return a server for ``folder`` on ``port``, or on any free port if that one is taken."""
    handler = functools.partial(kind, directory=str(folder))
    try:
        return Server(("127.0.0.1", port), handler)
    except OSError:
        return Server(("127.0.0.1", 0), handler)


@contextlib.contextmanager
def beside(folder, kind: type[Quiet] = Quiet) -> Iterator[str]:
    """Serve ``folder`` while other work is done, and give its address; an error in the work ends the server too."""
    with server(0, folder, kind) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}/"
        finally:
            running.shutdown()
            thread.join()


def main() -> int:
    """Serve the book and print its address."""
    with server() as running:
        print(f"The book is at http://127.0.0.1:{running.server_port}/ (Ctrl-C stops the server)", flush=True)
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
