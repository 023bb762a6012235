"""A real name server (BIND) of a test's own: on a free loopback port, with one zone.

    with bind.NameServer("example.test", "host A 192.0.2.1\\n") as names:
        ... main_cf="dns_servers = %s\\n" % names.address
"""
import os
import shutil
import socket
import subprocess
import tempfile

import harness

PROGRAM = shutil.which("named", path="/usr/sbin:/usr/bin:/usr/local/sbin")
HEAD = "$TTL 60\n@ SOA ns root 1 60 60 60 5\n@ NS ns\nns A 127.0.0.1\n"


class NameServer:
    def __init__(self, domain, records):
        self.folder = tempfile.mkdtemp(prefix="posthouse-named-")
        self.port = harness.free_port()
        self.address = "127.0.0.1:%d" % self.port
        self.write("zone", HEAD + records)
        self.write("broken", "this is no zone\n")
        self.write("named.conf", """
options { directory "%s"; listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; pid-file none;
          session-keyfile none; dnssec-validation no; };
controls { };
zone "%s" { type master; file "zone"; };
zone "broken.test" { type master; file "broken"; };
""" % (self.folder, self.port, domain))

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w") as out:
            out.write(text)

    def __enter__(self):
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = subprocess.Popen([PROGRAM, "-g", "-n", "1", "-c", os.path.join(self.folder, "named.conf")], stderr=log)
        harness.wait_until(self.answers, "the name server answers")
        return self

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
