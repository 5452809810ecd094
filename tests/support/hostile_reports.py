"""The worst reports that can be mailed to the bounce address, as large as one may be."""

from tests.support.configurations import LONGEST_BODY

SIZE = LONGEST_BODY

HEAD = b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n"
FIELDS = b"\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n"
"""The beginning of a report, up to its recipients."""

RECIPIENT = b"Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"


def filled(before, part, after=b""):
    return before + part * ((SIZE - len(before) - len(after)) // len(part)) + after


def nested(depth):
    opened = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number) for number in range(depth)
    )
    return filled(opened, b"--c\r\n")


TEXT = b"From: MAILER-DAEMON\r\nReturn-Path: <>\r\n\r\n"
"""The beginning of a bounce in free text."""

HOSTILE = {
    "text of blank lines": filled(TEXT, b"\r\n"),
    "text of signs": filled(TEXT, b"- - -\r\n"),
    "text of one line of signs": filled(TEXT, b"-"),
    "text of replies": filled(TEXT, b">>> RCPT TO:<a@b.example>\r\n<<< 550 user\r\n"),
    "text of codes": filled(TEXT, b"550-5.1.1 "),
    "text of one word": filled(TEXT, b"user "),
    "text of one letter": filled(TEXT, b"a"),
    "text of addresses": filled(TEXT, b"a/a=a@a."),
    "text of fields": filled(TEXT + b"Action: failed\r\nStatus: 5.0.0\r\n", b"Final-Recipient: a\r\n\r\n"),
    "text of tags": filled(TEXT.replace(b"\r\n\r\n", b"\r\nContent-Type: text/html\r\n\r\n"), b"<"),
    "a subject": filled(TEXT[:-2] + b"Subject: x", b"could not be ", b"\r\n\r\n"),
    "blanks in a field": filled(HEAD + FIELDS + RECIPIENT[:-2] + b"x", b" ", b"x\r\n--b--"),
    "blanks in a header": filled(HEAD + b"Message-ID: x", b" ", b"x\r\n" + FIELDS + RECIPIENT + b"--b--"),
    "folds": filled(HEAD + b"Message-ID: x", b"\r\n ", b"\r\n" + FIELDS + RECIPIENT + b"--b--"),
    "recipients": filled(HEAD + FIELDS, RECIPIENT + b"\r\n", b"--b--"),
    "words": filled(HEAD + FIELDS + RECIPIENT + b"Diagnostic-Code: smtp; 550 ", b"user mailbox is over ", b"\r\n--b--"),
    "parts within each other": nested(900),
    "parts beside each other": filled(HEAD + b"\r\n", b"--b\r\n\r\n"),
    "headers": filled(HEAD, b"a: b\r\n"),
    "semicolons": filled(b'Content-Type: multipart/report; x="', b";", b"\r\n\r\n"),
    "semicolons in a fold": filled(HEAD + b"\r\n--b\r\nContent-Type: x/y\r\n", b' ;"', b"\r\n\r\n--b--"),
    "codes": filled(HEAD + FIELDS + RECIPIENT[:-7] + b"Status: ", b"5.1.1", b"\r\n--b--"),
    "lines": filled(HEAD + b"\r\n", b"\n"),
    "returns": filled(HEAD + b"\r\n", b"\r"),
}
