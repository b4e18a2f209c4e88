"""multipart/form-data of a browser's upload: the fields, then the file as a stream. Sans-IO.

What lives here: `Form`, fed with the body's bytes. What does not: what the fields mean (auth.post_policy,
s3.post).

Laws: field names are case-insensitive; fields before the file are bounded together; the file is the last
field that counts, and there is exactly one; what follows it is ignored.

Sources: RFC 7578; S3 API Reference, "POST Object".
"""

from __future__ import annotations

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from s3al.errors import RequestError

FIELDS_MAX_BYTES = 20 * 1024
_FILE = "file"


class Form:
    """One form. After `file_begun`, `fields` is complete and `feed` returns the file's bytes as they come.

    fields: lower-case name -> value (UTF-8). file_name: as the client says. file_ended: the whole file has
    been returned.
    """

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind.lower() != b"multipart/form-data" or not boundary:
            raise RequestError("RequestIsNotMultiPartContent")
        self.fields: dict[str, str] = {}
        self.file_name = ""
        self.file_begun = False
        self.file_ended = False
        self._ended = False
        self._field_bytes = 0
        self._header_name = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._value = bytearray()
        self._pieces: list[bytes] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )

    def feed(self, data: bytes) -> list[bytes]:
        """Bytes of the file among `data`. Raises MalformedPOSTRequest or
        MaxPostPreDataLengthExceededError."""
        try:
            self._parser.write(data)
        except FormParserError:
            raise RequestError("MalformedPOSTRequest") from None
        pieces, self._pieces = self._pieces, []
        return pieces

    def finish(self) -> None:
        """The body has ended. Raises unless the form was whole and held a file."""
        if not self._ended:
            raise RequestError("MalformedPOSTRequest")
        if not self.file_begun:
            raise RequestError("IncorrectNumberOfFilesInPostRequest")

    def _count(self, size: int) -> None:
        self._field_bytes += size
        if self._field_bytes > FIELDS_MAX_BYTES:
            raise RequestError("MaxPostPreDataLengthExceededError")

    def _on_part_begin(self) -> None:
        self._headers, self._value = {}, bytearray()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        try:
            self._name = options[b"name"].decode().lower()
        except (KeyError, UnicodeDecodeError):
            raise RequestError("MalformedPOSTRequest") from None
        if self._name == _FILE and not self.file_begun:
            self.file_begun = True
            self.file_name = options.get(b"filename", b"").decode(errors="replace").rpartition("/")[2]

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self.file_begun:
            if not self.file_ended:
                self._pieces.append(bytes(data[start:end]))
            return
        self._count(end - start + len(self._name))
        self._value += data[start:end]

    def _on_part_end(self) -> None:
        if self.file_begun:
            self.file_ended = True
            return
        try:
            self.fields[self._name] = self._value.decode()
        except UnicodeDecodeError:
            raise RequestError("MalformedPOSTRequest") from None

    def _on_end(self) -> None:
        self._ended = True
