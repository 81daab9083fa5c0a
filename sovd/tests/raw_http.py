"""Requests written byte by byte."""


def request(line: str, *headers: bytes, body: bytes = b"") -> bytes:
    lines = [f"{line} HTTP/1.1".encode(), b"Host: 127.0.0.1", b"Connection: close", *headers]
    return b"\r\n".join([*lines, b"", body])
