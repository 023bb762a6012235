"""Keys and certificates for the tests of TLS, made by openssl in a folder of their own.

    authority = certificates.Authority()
    chain = authority.issue("mx.example.com")            # PEM text: key, certificate
    other = certificates.self_signed("mx.example.com", kind="rsa")
"""
import os
import shutil
import subprocess
import tempfile

KINDS = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], "rsa": ["-newkey", "rsa:2048"]}


def openssl(*arguments, input=None):
    return subprocess.run(["openssl", *arguments], input=input, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True).stdout


def read(path):
    with open(path) as file:
        return file.read()


class Folder:
    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="posthouse-certificates-")

    def __call__(self, name):
        return os.path.join(self.path, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)


def self_signed(name, kind="ec", days="3"):
    """PEM text: the key, then the certificate."""
    with Folder() as folder:
        openssl("req", "-x509", *KINDS[kind], "-nodes", "-days", days, "-subj", "/CN=" + name,
                "-addext", "subjectAltName=DNS:" + name, "-keyout", folder("key"), "-out", folder("cert"))
        return read(folder("key")) + read(folder("cert"))


class Authority:
    def __init__(self, name="Test Authority"):
        pem = self_signed(name)
        self.certificate = pem[pem.index("-----BEGIN CERTIFICATE"):]
        self.key = pem[:pem.index("-----BEGIN CERTIFICATE")]

    def issue(self, name, kind="ec"):
        """PEM text: the key, then the certificate."""
        with Folder() as folder:
            for file, text in (("ca.key", self.key), ("ca.crt", self.certificate), ("ext", "subjectAltName=DNS:" + name)):
                with open(folder(file), "w") as out:
                    out.write(text)
            openssl("req", *KINDS[kind], "-nodes", "-subj", "/CN=" + name, "-keyout", folder("key"), "-out", folder("csr"))
            openssl("x509", "-req", "-in", folder("csr"), "-CA", folder("ca.crt"), "-CAkey", folder("ca.key"),
                    "-CAcreateserial", "-days", "3", "-extfile", folder("ext"), "-out", folder("cert"))
            return read(folder("key")) + read(folder("cert"))


def parts(pem):
    """(key, certificates) of such a text."""
    at = pem.index("-----BEGIN CERTIFICATE")
    return pem[:at], pem[at:]


def fingerprint(pem, digest="sha256"):
    text = openssl("x509", "-noout", "-fingerprint", "-" + digest, input=parts(pem)[1])
    return text.split("=", 1)[1].strip()
