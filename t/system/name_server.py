"""A real name server (BIND) for a test: its own zones, a free loopback port, ended with the test.

    names = name_server.NameServer(self, {"dnsbl.test": "1.2.0.192 A 127.0.0.2\\n"})
    main_cf = "dns_servers = %s\\n" % names.address
"""
import os
import shutil
import socket
import subprocess
import tempfile

import harness

PROGRAM = shutil.which("named", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
HEAD = "$TTL 60\n@ SOA ns root 1 60 60 60 5\n@ NS ns\nns A 127.0.0.1\n"


class NameServer:
    def __init__(self, test, zones):
        if not PROGRAM:
            test.skipTest("no name server")
        self.folder = tempfile.mkdtemp(prefix="posthouse-named-")
        self.port = harness.free_port()
        self.address = "127.0.0.1:%d" % self.port
        lines = ['options { directory "%s"; listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; '
                 "pid-file none; session-keyfile none; dnssec-validation no; };\ncontrols { };\n" % (self.folder, self.port)]
        for name, records in zones.items():
            with open(os.path.join(self.folder, name), "w") as zone:
                zone.write(HEAD + records)
            lines.append('zone "%s" { type master; file "%s"; };\n' % (name, name))
        with open(os.path.join(self.folder, "named.conf"), "w") as config:
            config.writelines(lines)
        self.process = subprocess.Popen([PROGRAM, "-g", "-n", "1", "-c", os.path.join(self.folder, "named.conf")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder)
        test.addCleanup(self.close)
        harness.wait_until(self.listens, "the name server listens")

    def listens(self):
        if self.process.poll() is not None:
            raise AssertionError("the name server has ended")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self):
        self.process.kill()
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)
