"""SCRAM-SHA-256 (RFC 5802, RFC 7677) as a client of smtplib, which has none of its own."""
import base64
import hashlib
import hmac
import os
import smtplib


def login(client, user, password):
    """Logs in or raises SMTPAuthenticationError. The server's signature is checked: it knows the password, too."""
    nonce = base64.b64encode(os.urandom(18)).decode()
    first_bare = "n=%s,r=%s" % (user, nonce)
    first = "n,," + first_bare
    code, text = client.docmd("AUTH", "SCRAM-SHA-256 " + base64.b64encode(first.encode()).decode())
    if code != 334:
        raise smtplib.SMTPAuthenticationError(code, text)
    server_first = base64.b64decode(text).decode()
    fields = dict(part.split("=", 1) for part in server_first.split(","))
    if not fields["r"].startswith(nonce):
        raise AssertionError("the server's nonce does not begin with ours")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
    without_proof = "c=%s,r=%s" % (base64.b64encode(b"n,,").decode(), fields["r"])
    message = ",".join((first_bare, server_first, without_proof)).encode()
    key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
    code, text = client.docmd(base64.b64encode((without_proof + ",p=" + proof).encode()).decode())
    if code != 334:
        raise smtplib.SMTPAuthenticationError(code, text)
    expected = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
    if base64.b64decode(text) != b"v=" + base64.b64encode(expected):
        raise AssertionError("the server does not know the password")
    code, text = client.docmd("")
    if code != 235:
        raise smtplib.SMTPAuthenticationError(code, text)
