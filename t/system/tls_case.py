"""What the tests of TLS share: certificates, a client that trusts everybody, an instance with a certificate."""
import os
import ssl
import subprocess
import time

import certificates
import harness

MX = certificates.self_signed("mx.test.example")
RSA = certificates.self_signed("mx.test.example", kind="rsa")


def trusting_all(**options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    for name, value in options.items():
        setattr(context, name, value)
    return context


class TlsTestCase(harness.TestCase):
    def instance(self, main_cf="", pem=MX, level="may", **options):
        """An instance with a certificate."""
        post = harness.Instance(self, **options)
        post.write("chain.pem", pem)
        post.configure(main_cf="smtpd_tls_security_level = %s\nsmtpd_tls_chain_files = %s/chain.pem\n"
                               "smtpd_tls_loglevel = 1\n%s" % (level, post.etc, main_cf),
                       master_cf=options.get("master_cf", ""))
        if post.drops:
            os.chown(post.main_cf_path, post.user.pw_uid, post.user.pw_gid)
        return post

    def open_tls(self, post, context=None, name=None):
        """A Dialogue within TLS, after EHLO and STARTTLS."""
        client = harness.Dialogue(post.port)
        self.addCleanup(client.close)
        client.reply()
        self.assertEqual(client.command("EHLO client.example")[0], 250)
        self.assertEqual(client.command("STARTTLS"), (220, ["2.0.0 Ready to start TLS"]))
        client.socket = (context or trusting_all()).wrap_socket(client.socket, server_hostname=name)
        client.file = client.socket.makefile("rb")
        return client

    def assert_left_after_a_second(self, client):
        begun = time.monotonic()
        self.assertEqual(client.line(), "")
        self.assertGreater(time.monotonic() - begun, 0.9)
        self.assertLess(time.monotonic() - begun, 5)

    def s_client(self, port, *arguments, input="QUIT\r\n", starttls=True):
        return subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % port]
                              + (["-starttls", "smtp"] if starttls else []) + list(arguments),
                              input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30,
                              errors="replace").stdout
