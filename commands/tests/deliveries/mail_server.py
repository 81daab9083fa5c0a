"""A mail server on loopback: it speaks SMTP (RFC 5321), and keeps what it is given."""

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Event, Thread

ANSWERS = {"EHLO": "250 mail", "HELO": "250 mail", "DATA": "354 go on", "QUIT": "221 bye"}


class MailServer(ThreadingTCPServer):
    """Answers DATA with the next of `answers`, then with 250; holds back while `go` is not set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.received: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.answers: list[str] = []
        self.go = Event()
        self.go.set()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Session(StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._say("220 mail")
        while line := self.rfile.readline().decode().strip():
            word = line[:4].upper()
            self._say(ANSWERS.get(word, "250 yes"))
            if word == "RCPT":
                self.server.recipients.append(line.partition("<")[2].partition(">")[0])
            if word == "DATA":
                self._take()

    def _take(self) -> None:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line)
        self.server.received.append(message_from_bytes(b"".join(lines), policy=policy.default))
        self.server.go.wait()
        self._say(self.server.answers.pop(0) if self.server.answers else "250 kept")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def serving() -> Iterator[MailServer]:
    server = MailServer()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.go.set()
        server.shutdown()
        server.server_close()
        thread.join()
