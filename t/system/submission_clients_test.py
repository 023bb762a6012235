#!/usr/bin/env python3
"""Mail programs of users submit by each mechanism that they know, with the real Dovecot behind it; and the submission services
of two popular mail stacks, as those have them in master.cf."""
import http.server
import json
import os
import shutil
import smtplib
import subprocess
import tempfile
import threading
import unittest

import certificates
import dovecot
import harness
from sasl_case import PASSWORD, PLAIN, USER, SaslTestCase, b64, trusting_all

AUTHORITY = certificates.Authority()
MAIL = "From: bob@example.com\nTo: friend@example.com\nSubject: %s\n\nHello.\n"
TOKEN = "mF_9.B5f-4.1JqM"


class TokenService:
    """What an OAuth2 provider is to Dovecot: it says whose token this is."""

    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                good = self.path.endswith("=" + TOKEN)
                body = json.dumps({"email": USER} if good else {"error": "invalid_token"}).encode()
                self.send_response(200 if good else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def settings(self):
        return ("passdb {{{{\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = {{folder}}/oauth2\n}}}}\n"
                ).format()

    def file(self):
        return ("tokeninfo_url = http://127.0.0.1:%d/info?token=\nusername_attribute = email\n"
                % self.server.server_address[1])

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Clients(SaslTestCase):
    MECHANISMS = "plain login cram-md5 scram-sha-1 scram-sha-256 xoauth2 oauthbearer external"
    EXTERNAL = ("auth_ssl_username_from_cert = yes\n"
                "passdb {{\n  driver = static\n  mechanisms = external\n  args = nopassword=y\n}}\n")

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="posthouse-clients-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        tokens = TokenService()
        self.addCleanup(tokens.close)
        self.post = self.instance(tls=True, start_dovecot=False, main_cf=(
            "smtpd_tls_auth_only = yes\nsmtpd_tls_ask_ccert = yes\nsmtpd_tls_CAfile = {etc}/ca.pem\n"
            "smtpd_sasl_mechanism_filter =\n"),
            dovecot_options=dict(mechanisms=self.MECHANISMS, more=tokens.settings() + self.EXTERNAL))
        self.post.write("ca.pem", AUTHORITY.certificate)
        with open(os.path.join(self.dovecot.folder, "oauth2"), "w") as out:
            out.write(tokens.file())
        os.chmod(os.path.join(self.dovecot.folder, "oauth2"), 0o644)
        self.dovecot.start()
        self.post.start()
        self.addCleanup(self.post.close)
        self.sent = 0

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as out:
            out.write(text)
        os.chmod(path, 0o600)
        return path

    def certificate(self):
        key, chain = certificates.parts(AUTHORITY.issue(USER))
        return self.file("key.pem", key), self.file("cert.pem", chain)

    def run_it(self, *words, input=""):
        done = subprocess.run(words, input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                              env=dict(os.environ, HOME=self.folder, LC_ALL="C.UTF-8", TERM="dumb"), cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stdout + self.dovecot.log()[-2000:])

    def assert_submitted(self, mechanism):
        self.sent += 1
        self.post.wait_mail("friend", self.sent)
        last = [line for line in self.post.log().splitlines() if "sasl_method=" in line]
        self.assertEqual(len(last), self.sent)
        self.assertRegex(last[-1], r" client=\S+, sasl_method=%s, sasl_username=%s$" % (mechanism, USER))
        self.assert_no_secrets(self.post)

    @unittest.skipUnless(shutil.which("msmtp"), "msmtp is not installed")
    def test_msmtp(self):
        key, chain = self.certificate()
        for method, more in (("plain", ""), ("login", ""), ("cram-md5", ""), ("scram-sha-1", ""), ("scram-sha-256", ""),
                             ("oauthbearer", "passwordeval echo %s\n" % TOKEN), ("xoauth2", "passwordeval echo %s\n" % TOKEN),
                             ("external", "tls_key_file %s\ntls_cert_file %s\n" % (key, chain))):
            with self.subTest(method):
                path = self.file("msmtprc", (
                    "account default\nhost 127.0.0.1\nport %d\ndomain client.example\nfrom bob@example.com\ntls on\n"
                    "tls_starttls on\ntls_certcheck off\nauth %s\nuser %s\n%s" % (
                        self.post.port, method, USER, more or "password %s\n" % PASSWORD)))
                self.run_it("msmtp", "--file=" + path, "friend@example.com", input=MAIL % method)
                self.assert_submitted(method.upper())

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_curl(self):
        key, chain = self.certificate()
        mail = self.file("mail", MAIL % "curl")
        for method, options in (("PLAIN", ["--user", USER + ":" + PASSWORD]), ("LOGIN", ["--user", USER + ":" + PASSWORD]),
                                ("CRAM-MD5", ["--user", USER + ":" + PASSWORD]),
                                # Which it takes for XOAUTH2 too, where it is offered.
                                ("OAUTHBEARER", ["--user", USER + ":", "--oauth2-bearer", TOKEN]),
                                ("EXTERNAL", ["--user", USER + ":", "--key", key, "--cert", chain])):
            with self.subTest(method):
                self.run_it("curl", "-sS", "--url", "smtp://127.0.0.1:%d/client.example" % self.post.port, "--ssl-reqd", "-k",
                            "--login-options", "AUTH=" + method, "--mail-from", "bob@example.com", "--mail-rcpt",
                            "friend@example.com", "--upload-file", mail, *options)
                self.assert_submitted(method)

    @unittest.skipUnless(shutil.which("neomutt"), "neomutt is not installed")
    def test_neomutt(self):
        for method in ("plain", "login", "oauthbearer", "xoauth2"):
            with self.subTest(method):
                trusted = self.file("trusted.pem", open(os.path.join(self.post.etc, "chain.pem")).read())
                path = self.file("neomuttrc", (
                    "set from=bob@example.com\nset smtp_url=\"smtp://%s@127.0.0.1:%d\"\nset smtp_pass=%s\n"
                    "set smtp_oauth_refresh_command='echo %s'\nset smtp_authenticators=%s\nset ssl_starttls=yes\nset ssl_force_tls=yes\nset ssl_verify_host=no\n"
                    "set certificate_file=%s\nset hostname=client.example\nset copy=no\nset folder=%s\nset record=\n"
                    % (USER, self.post.port, PASSWORD, TOKEN, method, trusted, self.folder)))
                self.run_it("neomutt", "-n", "-F", path, "-s", method, "friend@example.com", input="Hello.\n")
                self.assert_submitted(method.upper())

    def test_python(self):
        for method in ("PLAIN", "LOGIN", "CRAM-MD5"):
            with self.subTest(method), smtplib.SMTP("127.0.0.1", self.post.port, local_hostname="client.example") as client:
                client.starttls(context=trusting_all())
                client.ehlo()
                client.user, client.password = USER, PASSWORD
                client.auth(method, getattr(client, "auth_" + method.lower().replace("-", "_")))
                client.sendmail("bob@example.com", ["friend@example.com"], MAIL % method)
                self.assert_submitted(method)

    @unittest.skipUnless(shutil.which("swaks"), "swaks is not installed")
    def test_swaks(self):
        for method in ("PLAIN", "LOGIN", "CRAM-MD5"):
            with self.subTest(method):
                self.run_it("swaks", "--server", "127.0.0.1", "--port", str(self.post.port), "--from", "bob@example.com",
                            "--to", "friend@example.com", "--helo", "client.example", "--tls", "--auth", method,
                            "--auth-user", USER, "--auth-password", PASSWORD)
                self.assert_submitted(method)

    def test_openssl_s_client(self):
        script = ("EHLO client.example\nAUTH PLAIN %s\nMAIL FROM:<bob@example.com>\nRCPT TO:<friend@example.com>\nDATA\n"
                  "Subject: x\n\nHello.\n.\nQUIT\n" % PLAIN)
        process = subprocess.Popen(["openssl", "s_client", "-quiet", "-nocommands", "-crlf", "-starttls", "smtp", "-connect",
                                    "127.0.0.1:%d" % self.post.port], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(process.stdout.close)
        in_mail = False
        for line in script.splitlines():
            process.stdin.write(line + "\n")
            process.stdin.flush()
            while not in_mail or line == ".":
                reply = process.stdout.readline()
                self.assertRegex(reply, r"^[23]\d\d", line)
                if reply[3:4] == " ":
                    break
            in_mail = line == "DATA" or (in_mail and line != ".")
        process.stdin.close()
        self.assertEqual(process.wait(20), 0)
        self.assert_submitted("PLAIN")


class External(SaslTestCase):
    """A certificate in place of a password: whom it is good for."""

    def instance(self, **options):
        return super().instance(tls=True, dovecot_options=dict(mechanisms="plain external", more=Clients.EXTERNAL),
                                **options)

    def within_tls(self, post, pem=None):
        client = self.dialogue(post)
        self.assertEqual(client.command("STARTTLS")[0], 220)
        context = trusting_all()
        if pem:
            with certificates.Folder() as folder:
                with open(folder("pem"), "w") as out:
                    out.write(pem)
                context.load_cert_chain(folder("pem"))
        client.socket = context.wrap_socket(client.socket)
        client.file = client.socket.makefile("rb")
        offers = [line for line in client.command("EHLO client.example")[1] if line.startswith("AUTH ")]
        return client, offers

    MAIN = "smtpd_tls_ask_ccert = yes\nsmtpd_tls_CAfile = {etc}/ca.pem\nsmtpd_sasl_mechanism_filter =\n"

    def test_external_is_for_who_has_shown_a_certificate_of_a_known_authority(self):
        post = self.instance(main_cf=self.MAIN)
        post.write("ca.pem", AUTHORITY.certificate)
        with post:
            client, offers = self.within_tls(post, AUTHORITY.issue(USER))
            self.assertEqual(offers, ["AUTH PLAIN EXTERNAL"])
            self.assertEqual(client.command("AUTH EXTERNAL =")[0], 235)
            client.command("MAIL FROM:<bob@example.com>")
            self.assertEqual(client.command("RCPT TO:<far@elsewhere.example>")[0], 250)
            for pem in (None, certificates.Authority("Nobody").issue(USER)):
                client, offers = self.within_tls(post, pem)
                self.assertEqual(offers, ["AUTH PLAIN"])
                self.assertEqual(client.command("AUTH EXTERNAL =")[0], 535)

    def test_nobody_becomes_somebody_else_by_a_certificate(self):
        post = self.instance(main_cf=self.MAIN)
        post.write("ca.pem", AUTHORITY.certificate)
        with post:
            client, _ = self.within_tls(post, AUTHORITY.issue("mallory"))
            self.assertEqual(client.command("AUTH EXTERNAL " + b64(USER))[0], 535)

    def test_by_default_it_is_not_offered(self):
        post = self.instance(main_cf=self.MAIN.replace("smtpd_sasl_mechanism_filter =\n", ""))
        post.write("ca.pem", AUTHORITY.certificate)
        with post:
            client, offers = self.within_tls(post, AUTHORITY.issue(USER))
            self.assertEqual(offers, ["AUTH PLAIN"])
            self.assertEqual(client.command("AUTH EXTERNAL =")[0], 535)


class Stacks(SaslTestCase):
    # docker-mailserver's submission and smtps.
    COMMON = ["smtpd_sasl_auth_enable=yes", "smtpd_sasl_type=dovecot", "smtpd_sasl_path=private/auth",
              "smtpd_reject_unlisted_recipient=no", "smtpd_sasl_authenticated_header=yes",
              "smtpd_client_restrictions=permit_sasl_authenticated,reject",
              "smtpd_relay_restrictions=permit_sasl_authenticated,reject", "milter_macro_daemon_name=ORIGINATING"]
    DOCKER_MAILSERVER = (["syslog_name=postfix/submission", "smtpd_tls_security_level=encrypt"] + COMMON,
                         ["syslog_name=postfix/smtps", "smtpd_tls_wrappermode=yes"] + COMMON)
    # mailcow's submission, smtps, and its port 588.
    STRANGERS_OUT = "smtpd_client_restrictions=permit_mynetworks,permit_sasl_authenticated,reject"
    MAILCOW = ([STRANGERS_OUT, "smtpd_enforce_tls=yes", "smtpd_tls_security_level=encrypt", "tls_preempt_cipherlist=yes",
                "cleanup_service_name=smtp_sender_cleanup", "syslog_name=postfix/submission"],
               ["smtpd_tls_wrappermode=yes", STRANGERS_OUT, "tls_preempt_cipherlist=yes",
                "cleanup_service_name=smtp_sender_cleanup", "syslog_name=postfix/smtps"],
               [STRANGERS_OUT, "smtpd_tls_auth_only=no",
                "smtpd_sender_restrictions=check_sasl_access,regexp:{{etc}}/allow.regexp,"
                "reject_authenticated_sender_login_mismatch,permit_mynetworks,permit_sasl_authenticated,"
                "reject_unlisted_sender,reject_unknown_sender_domain"])

    def stack(self, services, main_cf):
        self.ports = [harness.free_port() for _ in services]
        self.sink = harness.SinkServer()
        self.addCleanup(self.sink.close)
        post = self.instance(tls=True, main_cf="relayhost = [127.0.0.1]:%d\n%s" % (self.sink.port, main_cf))
        lines = ""
        for port, options in zip(self.ports, services):
            lines += "127.0.0.1:%d inet n - n - - smtpd\n" % port
            lines += "".join("  -o %s\n" % option.format().format(etc=post.etc) for option in options)
        with open(post.master_cf_path, "a") as master:
            master.write(lines)
        return post

    def login(self, number, tls, user=USER):
        port = self.ports[number]
        if tls == "wrapped":
            client = smtplib.SMTP_SSL("127.0.0.1", port, timeout=30, context=trusting_all(), local_hostname="client.example")
        else:
            client = smtplib.SMTP("127.0.0.1", port, timeout=30, local_hostname="client.example")
            if tls:
                client.starttls(context=trusting_all())
        self.addCleanup(client.close)
        client.ehlo()
        if user:
            client.login(user, PASSWORD)
        return client

    def refusal(self, client, recipient, sender="bob@example.com"):
        client.mail(sender)
        code, text = client.rcpt(recipient)
        client.rset()
        return code, text.decode()

    def test_docker_mailserver(self):
        with self.stack(self.DOCKER_MAILSERVER, "smtpd_sasl_auth_enable = no\n") as post:
            clear = self.login(0, None, user=None)
            self.assertFalse(clear.has_extn("auth"))
            self.assertEqual(clear.mail("bob@example.com")[0], 530)
            for number, tls, name in ((0, "starttls", "submission"), (1, "wrapped", "smtps")):
                stranger = self.login(number, tls, user=None)
                self.assertEqual(self.refusal(stranger, "friend@example.com"), (
                    554, "5.7.1 <unknown[127.0.0.1]>: Client host rejected: Access denied"))
                client = self.login(number, tls)
                client.sendmail("bob@example.com", ["far@elsewhere.example"], MAIL % name)
                post.wait_log(r"postfix/%s/smtpd\[\d+\]: \w+: client=unknown\[127.0.0.1\], sasl_method=\S+, sasl_username=bob$"
                              % name)
            harness.wait_until(lambda: len(self.sink.messages) == 2, "both messages")
            for _, _, text in self.sink.messages:
                self.assertIn("(Authenticated sender: bob)", text)

    def test_mailcow(self):
        owners = "smtpd_sender_login_maps = inline:{{ bob@example.com=bob }}\nsmtpd_relay_restrictions = " \
                 "permit_mynetworks,permit_sasl_authenticated,defer_unauth_destination\nsmtpd_tls_auth_only = yes\n"
        post = self.stack(self.MAILCOW, owners)
        post.write("allow.regexp", "/^bob$/ DUNNO\n/./ REJECT\n")
        with post:
            for number, tls in ((0, "starttls"), (1, "wrapped"), (2, None)):
                stranger = self.login(number, tls, user=None)
                self.assertEqual(self.refusal(stranger, "friend@example.com"), (
                    554, "5.7.1 <unknown[127.0.0.1]>: Client host rejected: Access denied"))
                client = self.login(number, tls)
                client.sendmail("bob@example.com", ["far@elsewhere.example"], MAIL % "x")
            self.assertEqual(self.refusal(self.login(2, None), "far@elsewhere.example", "boss@example.com"), (
                553, "5.7.1 <boss@example.com>: Sender address rejected: not owned by user bob"))
            harness.wait_until(lambda: len(self.sink.messages) == 3, "all messages")


if __name__ == "__main__":
    harness.main()
