"""A record of the trail as one line: names that others chose cannot write to the terminal."""

from __future__ import annotations

from s3al.commands.trail import _line, _verdict

HOSTILE = "k\x1b]0;owned\x07\n\u202eREFUSED\udcff"
ESCAPED = "k\\x1b]0;owned\\x07\\x0a\\u202eREFUSED\\udcff"


def test_names_in_a_record_are_escaped() -> None:
    event = {
        "eventTime": "2026-11-28T00:00:00Z",
        "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt",
        "userIdentity": {"arn": f"arn:aws:sts::111122223333:federated-user/{HOSTILE}"},
        "requestParameters": {"encryptionContext": {HOSTILE: HOSTILE}},
        "resources": [{"ARN": f"arn:aws:s3:::bucket/{HOSTILE}"}],
        "errorCode": HOSTILE,
    }
    line = _line(event)
    assert line.isprintable() and line.encode()
    assert line.count(ESCAPED) == 5


def test_what_a_server_says_of_its_trail_is_escaped() -> None:
    finding = {"what": "record-altered", "where": HOSTILE, "record": 1, "sound_up_to": None}
    found = {"records": 1, "chains": 1, "vouched_number": None, "torn": [HOSTILE], "findings": [finding]}
    lines = _verdict(found)
    assert all(line.isprintable() for line in lines)
    assert sum(ESCAPED in line for line in lines) == 2
