"""What the tests of AUTH share: an instance with the real Dovecot behind it, and a user with a password."""
import base64
import os
import pwd
import ssl
import unittest

import certificates
import dovecot
import harness

MX = certificates.self_signed("mx.test.example")
USER, PASSWORD = "bob", "secret"


def b64(text):
    return base64.b64encode(text.encode()).decode()


PLAIN = b64("\0%s\0%s" % (USER, PASSWORD))
WRONG = b64("\0%s\0no%s" % (USER, PASSWORD))


def trusting_all():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@unittest.skipUnless(dovecot.AVAILABLE, dovecot.WHY_NOT)
class SaslTestCase(harness.TestCase):
    def instance(self, main_cf="", master_cf="", tls=False, dovecot_options=None, start_dovecot=True, **options):
        """An instance in which nobody may relay without a login, and its Dovecot."""
        post = harness.Instance(self, **options)
        main_cf = ("mynetworks = 192.0.2.1\nsmtpd_client_event_limit_exceptions =\nsmtpd_error_sleep_time = 0\n"
                   "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\n" + main_cf)
        if tls:
            post.write("chain.pem", MX)
            main_cf = "smtpd_tls_security_level = may\nsmtpd_tls_chain_files = %s/chain.pem\n" % post.etc + main_cf
        post.configure(main_cf=main_cf, master_cf=master_cf)
        owner = post.user
        if post.drops:
            for path in (post.main_cf_path, post.master_cf_path):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        if post.privileged:
            owner = pwd.getpwnam("mail")
        private = os.path.join(post.spool, "private")
        if not os.path.isdir(private):
            os.makedirs(private)
            os.chown(private, owner.pw_uid, owner.pw_gid)
            os.chmod(private, 0o700)
        self.dovecot = dovecot.Dovecot(self, os.path.join(private, "auth"), owner, **(dovecot_options or {}))
        if start_dovecot:
            self.dovecot.start()
        return post

    def dialogue(self, post, port=None, hello=True, tls=False):
        client = harness.Dialogue(port or post.port)
        self.addCleanup(client.close)
        client.reply()
        if hello:
            client.command("EHLO client.example")
        if tls:
            self.start_tls(client)
        return client

    def start_tls(self, client):
        self.assertEqual(client.command("STARTTLS")[0], 220)
        client.socket = trusting_all().wrap_socket(client.socket)
        client.file = client.socket.makefile("rb")
        client.command("EHLO client.example")

    def offered(self, post, port=None):
        """What EHLO says of AUTH."""
        client = harness.Dialogue(port or post.port)
        client.reply()
        lines = client.command("EHLO client.example")[1]
        client.close() # this may be asked more often than a client may be connected
        return [line for line in lines if line.startswith("AUTH")]

    def assert_no_secrets(self, post):
        for secret in (PASSWORD, PLAIN, WRONG, b64(PASSWORD)):
            self.assertNotIn(secret, post.log())
