#!/usr/bin/env python3
"""TLS and files: certificates that are replaced while smtpd runs, keys that it cannot read itself, tickets that are good at
each of its processes, certificates by name, and certificates of clients."""
import os
import re
import ssl
import threading

import certificates
import harness
from tls_case import MX, RSA, TlsTestCase, trusting_all

OTHER = certificates.self_signed("other.test.example")
AUTHORITY = certificates.Authority()
CLIENT = AUTHORITY.issue("client.test.example")
STRANGER = certificates.self_signed("stranger.test.example")


def replace(post, name, text, mode=None):
    """As renewal programs do it: a new file is renamed over the old one."""
    path = post.write(name + ".new", text)
    if mode:
        os.chmod(path, mode)
    os.rename(path, os.path.join(post.etc, name))


class Shown:
    """Asks for the certificate that is shown now."""

    def __init__(self, test, post):
        self.test, self.post = test, post

    def __call__(self, name=None):
        with harness.Dialogue(self.post.port) as client:
            client.reply()
            client.command("EHLO client.example")
            code, lines = client.command("STARTTLS")
            self.test.assertEqual(code, 220, lines)
            with trusting_all().wrap_socket(client.socket, server_hostname=name) as tls:
                der = tls.getpeercert(binary_form=True)
            return certificates.fingerprint(ssl.DER_cert_to_PEM_cert(der))


class Replaced(TlsTestCase):
    def test_a_new_certificate_is_shown_without_a_reload_and_nobody_is_turned_away_meanwhile(self):
        with self.instance() as post:
            shown = Shown(self, post)
            self.assertEqual(shown(), certificates.fingerprint(MX))
            before = post.pids("smtpd")
            failures, stop = [], threading.Event()

            def keep_coming():
                while not stop.is_set():
                    try:
                        shown()
                    except Exception as failure:
                        failures.append(failure)

            old = self.open_tls(post)
            visitor = threading.Thread(target=keep_coming)
            visitor.start()
            try:
                replace(post, "chain.pem", OTHER)
                self.wait_until(lambda: shown() == certificates.fingerprint(OTHER), "the new certificate")
            finally:
                stop.set()
                visitor.join()
            self.assertEqual(failures, [])
            self.assertEqual(old.command("EHLO client.example")[0], 250)  # a session that began before goes on
            self.assertEqual(post.pids("smtpd"), before)
            post.wait_log("TLS certificates read again")

    def test_a_key_that_does_not_fit_yet_leaves_the_old_pair_in_use(self):
        key, certificate = certificates.parts(OTHER)
        post = harness.Instance(self)
        old_key, old_certificate = certificates.parts(MX)
        post.write("cert.pem", old_certificate)
        post.write("key.pem", old_key)
        post.configure("smtpd_tls_security_level = may\nsmtpd_tls_cert_file = %s/cert.pem\n"
                       "smtpd_tls_key_file = %s/key.pem\n" % (post.etc, post.etc))
        with post:
            shown = Shown(self, post)
            replace(post, "cert.pem", certificate)
            post.wait_log(r"error: smtpd_tls_key_file = \S+/key.pem: the key is not that of the certificate in "
                          r"smtpd_tls_cert_file = \S+/cert.pem: the certificates from before stay in use")
            self.assertEqual(shown(), certificates.fingerprint(MX))
            replace(post, "key.pem", key)
            self.wait_until(lambda: shown() == certificates.fingerprint(OTHER), "the new certificate")

    def test_links_are_followed_as_renewal_by_certbot_moves_them(self):
        with self.instance() as post:
            for folder in ("archive", "live"):
                os.mkdir(os.path.join(post.etc, folder))
            post.write("archive/chain1.pem", MX)
            os.symlink("../archive/chain1.pem", os.path.join(post.etc, "live/chain.pem"))
            os.remove(os.path.join(post.etc, "chain.pem"))
            os.symlink("live/chain.pem", os.path.join(post.etc, "chain.pem"))
            post.reload()
            shown = Shown(self, post)
            self.assertEqual(shown(), certificates.fingerprint(MX))
            post.write("archive/chain2.pem", OTHER)
            os.symlink("../archive/chain2.pem", os.path.join(post.etc, "live/next"))
            os.rename(os.path.join(post.etc, "live/next"), os.path.join(post.etc, "live/chain.pem"))
            self.wait_until(lambda: shown() == certificates.fingerprint(OTHER), "the new certificate")

    def test_without_a_usable_certificate_mail_comes_in_without_tls_until_there_is_one(self):
        with self.instance(pem="nothing\n") as post:
            post.wait_log(r"error: smtpd_tls_chain_files = \S+/chain.pem: neither a key nor a certificate in it: there is no TLS until this is mended")
            with harness.Dialogue(post.port) as client:
                client.reply()
                self.assertNotIn("STARTTLS", client.command("EHLO client.example")[1])
                self.assertEqual(client.command("STARTTLS")[0], 454)
                self.assertEqual(client.command("MAIL FROM:<you@example.net>")[0], 250)
            replace(post, "chain.pem", MX)
            post.wait_log("TLS certificates read again")
            self.assertEqual(Shown(self, post)(), certificates.fingerprint(MX))

    def test_the_check_names_parameter_file_and_reason(self):
        with self.instance() as post:
            key, certificate = certificates.parts(MX)
            for text, reason in ((key, "the key has no certificate behind it"),
                                 (certificate, "a certificate comes before its key"),
                                 (key + certificates.parts(OTHER)[1], "the key is not that of the certificate"),
                                 (key + certificate.replace("\nMII", "\nAAA"), "cannot read the certificate: "),
                                 (None, r"open \S+/chain.pem: No such file or directory")):
                if text is None:
                    os.remove(os.path.join(post.etc, "chain.pem"))
                else:
                    post.write("chain.pem", text)
                done = post.tool("posthouse", "-c", post.etc, "check", check=False)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr + done.stdout, "smtpd_tls_chain_files.*" + reason)
            for main_cf, reason in (("smtpd_tls_protocols = >=TLSv7\n", 'smtpd_tls_protocols: unknown TLS version ">=TLSv7"'),
                                    ("smtpd_tls_ciphers = best\n", 'smtpd_tls_ciphers: unknown cipher grade "best"'),
                                    ("tls_ssl_options = MAGIC\n", 'tls_ssl_options: unknown option "MAGIC"')):
                with self.subTest(main_cf):
                    post.write("chain.pem", MX)
                    post.configure("smtpd_tls_security_level = may\nsmtpd_tls_chain_files = %s/chain.pem\n%s"
                                   % (post.etc, main_cf))
                    done = post.tool("posthouse", "-c", post.etc, "check", check=False)
                    self.assertIn(reason, done.stderr + done.stdout)


class Tickets(TlsTestCase):
    def resumed(self, post, context, session):
        with harness.Dialogue(post.port) as client:
            client.reply()
            client.command("EHLO client.example")
            client.command("STARTTLS")
            with context.wrap_socket(client.socket, session=session, server_hostname="mx.test.example") as tls:
                tls.sendall(b"NOOP\r\n")
                tls.recv(100)  # a ticket of TLS 1.3 comes after the handshake
                return tls.session_reused, tls.session

    def test_a_session_goes_on_at_another_process(self):
        with self.instance() as post:
            with harness.Dialogue(post.port) as guest:  # keeps the first process in being
                guest.reply()
                [first] = post.pids("smtpd")
                for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                    context = trusting_all(minimum_version=version, maximum_version=version)
                    fresh, session = self.resumed(post, context, None)
                    self.assertFalse(fresh)
                    self.assertTrue(self.resumed(post, context, session)[0])
                    if version == ssl.TLSVersion.TLSv1_2:
                        post.reload()  # the first process takes no more guests, another one comes for the next
                        self.wait_until(lambda: post.answers(post.port) and len(post.pids("smtpd")) == 2, "two processes")
                    again, session = self.resumed(post, context, session)
                    self.assertTrue(again, "%s at another process" % version)
                self.assertIn(first, post.pids("smtpd"))
            post.wait_log("Anonymous TLS connection reused from unknown")

    def test_a_session_from_when_no_certificate_was_asked_for_does_not_go_on_without_one(self):
        with self.instance() as post:
            context = trusting_all(maximum_version=ssl.TLSVersion.TLSv1_2)
            session = self.resumed(post, context, None)[1]
            self.assertTrue(self.resumed(post, context, session)[0])
            with open(post.main_cf_path, "a") as out:
                out.write("smtpd_tls_ask_ccert = yes\n")
            [first] = post.pids("smtpd")
            post.reload()
            self.wait_until(lambda: post.answers(post.port) and post.pids("smtpd") not in ([], [first]), "another process")
            self.assertFalse(self.resumed(post, context, session)[0])

    def test_the_chain_of_secrets_is_for_root_alone(self):
        with self.instance() as post:
            [name] = [name for name in os.listdir(os.path.join(post.folder, "data")) if name.startswith("tls_tickets")]
            self.assertEqual(os.stat(os.path.join(post.folder, "data", name)).st_mode & 0o777, 0o600)

    def test_without_a_cipher_there_are_no_tickets(self):
        with self.instance(main_cf="tls_session_ticket_cipher =\n") as post:
            context = trusting_all(maximum_version=ssl.TLSVersion.TLSv1_2)
            session = self.resumed(post, context, None)[1]
            self.assertFalse(session.has_ticket)
            self.assertFalse(self.resumed(post, context, session)[0])


class Names(TlsTestCase):
    def names_instance(self, table, entries, **files):
        post = harness.Instance(self)
        for name, pem in files.items():
            post.write(name, pem)
        post.write("sni", "".join("%s %s/%s\n" % (name, post.etc, file) for name, file in entries))
        post.configure("smtpd_tls_security_level = may\nsmtpd_tls_chain_files = %s/main\nsmtpd_tls_loglevel = 1\n"
                       "tls_server_sni_maps = %s:%s/sni\n" % (post.etc, table, post.etc))
        return post

    def test_each_name_has_its_certificate_and_the_rest_have_the_first(self):
        parent = certificates.self_signed("*.wild.example")
        entries = (("Other.test.example", "other"), (".wild.example", "wild"), ("broken.example", "none"))
        with self.names_instance("texthash", entries, main=MX, other=OTHER, wild=parent) as post:
            shown = Shown(self, post)
            for name, pem in ((None, MX), ("other.test.example", OTHER), ("OTHER.test.example", OTHER), ("a.wild.example", parent),
                              ("b.a.wild.example", parent), ("wild.example", MX), ("broken.example", MX), ("nobody.example", MX)):
                self.assertEqual(shown(name), certificates.fingerprint(pem), name)
            post.wait_log("TLS connection established from unknown.127.0.0.1. to other.test.example: TLSv1.3")
            post.wait_log("warning: tls_server_sni_maps: texthash:.*: broken.example: open .*/none: No such file")
            replace(post, "other", RSA)  # also of these the files are watched
            self.wait_until(lambda: shown("other.test.example") == certificates.fingerprint(RSA), "the new certificate")
            replace(post, "sni", "new.example %s/wild\n" % post.etc)  # and the table itself
            self.wait_until(lambda: shown("new.example") == certificates.fingerprint(parent), "the new table")

    def test_an_indexed_table_holds_what_postmap_has_read(self):
        post = self.names_instance("hash", (("other.test.example", "other"),), main=MX, other=OTHER)
        post.tool("postmap", "-c", post.etc, "-F", "hash:%s/sni" % post.etc)
        with post:
            shown = Shown(self, post)
            self.assertEqual(shown("other.test.example"), certificates.fingerprint(OTHER))
            self.assertEqual(shown("nobody.example"), certificates.fingerprint(MX))


class ClientCertificates(TlsTestCase):
    def context(self, pem):
        context = trusting_all()
        if pem:
            with certificates.Folder() as folder:
                with open(folder("pem"), "w") as out:
                    out.write(pem)
                context.load_cert_chain(folder("pem"))
        return context

    def start(self, main_cf="", **options):
        post = self.instance(main_cf="smtpd_tls_received_header = yes\nsmtpd_tls_CAfile = {etc}/ca.pem\n"
                                     "smtpd_tls_fingerprint_digest = sha256\n" + main_cf, **options)
        post.write("ca.pem", AUTHORITY.certificate)
        return post

    def instance(self, main_cf="", **options):
        post = super().instance(**options)
        with open(post.main_cf_path, "a") as out:
            out.write(main_cf.format(etc=post.etc))
        return post

    def send(self, post, pem, sender="you@example.net"):
        with post.smtp() as client:
            client.starttls(context=self.context(pem))
            client.sendmail(sender, ["friend@example.com"], "Subject: x\r\n\r\nhello\r\n")

    def test_who_has_shown_what_stands_in_log_and_header(self):
        with self.start("smtpd_tls_ask_ccert = yes\nsmtpd_tls_loglevel = 2\n") as post:
            for number, (pem, word, header) in enumerate((
                    (None, "Anonymous", r"\(Client did not present a certificate\)"),
                    (CLIENT, "Trusted", r'\(Client CN "client.test.example", Issuer "Test Authority" \(verified OK\)\)'),
                    (STRANGER, "Untrusted",
                     r'\(Client CN "stranger.test.example", Issuer "stranger.test.example" \(not verified\)\)')), 1):
                self.send(post, pem)
                post.wait_mail("friend", number)
                self.assertTrue(any(re.search(header, mail) for mail in post.mail("friend")), header)
                post.wait_log(word + " TLS connection established from unknown")
            post.wait_log(r"unknown\[127.0.0.1\]: subject_CN=client.test.example, issuer_CN=Test Authority, fingerprint=%s, "
                          r"pkey_fingerprint=[0-9A-F:]{95}$" % certificates.fingerprint(CLIENT))
            post.wait_log("certificate verification failed for unknown.127.0.0.1.: self-signed certificate")
            self.assertEqual(sum("client-signature ECDSA" in mail for mail in post.mail("friend")), 2)

    def test_a_folder_of_authorities_may_be_empty_and_be_added_to(self):
        post = self.instance(main_cf="smtpd_tls_ask_ccert = yes\nsmtpd_tls_CApath = {etc}/authorities\n")
        os.mkdir(os.path.join(post.etc, "authorities"), 0o755)
        post.write("authorities/README", "here go the authorities\n")
        with post:
            self.open_tls(post, self.context(CLIENT))
            post.wait_log("Untrusted TLS connection established")
            post.write("authorities/b.pem", AUTHORITY.certificate)
            post.wait_log("TLS certificates read again")
            self.open_tls(post, self.context(CLIENT))
            post.wait_log("Trusted TLS connection established")

    def test_a_known_certificate_may_relay_and_a_strange_one_may_not(self):
        rules = ("smtpd_tls_ask_ccert = yes\nmynetworks = 192.0.2.1\nvirtual_mailbox_domains = elsewhere.example\n"
                 "relay_clientcerts = inline:{{ %s=known }}\n"
                 "smtpd_relay_restrictions = %s, reject\n")
        for pem, restriction, good in ((STRANGER, "permit_tls_clientcerts", True), (CLIENT, "permit_tls_clientcerts", False),
                                       (None, "permit_tls_clientcerts", False), (CLIENT, "permit_tls_all_clientcerts", True),
                                       (STRANGER, "permit_tls_all_clientcerts", False),
                                       (STRANGER, "check_ccert_access inline:{{ %s=OK }}"
                                        % certificates.fingerprint(STRANGER), True)):
            with self.subTest(restriction, good=good), \
                    self.start(rules % (certificates.fingerprint(STRANGER), restriction)) as post:
                client = self.open_tls(post, self.context(pem))
                client.command("EHLO client.example")
                client.command("MAIL FROM:<you@example.net>")
                self.assertEqual(client.command("RCPT TO:<friend@far.example>")[0], 250 if good else 554)

    def test_where_a_certificate_is_required_an_unknown_authority_ends_the_session(self):
        with self.start("smtpd_tls_req_ccert = yes\n", level="encrypt") as post:
            client = self.open_tls(post, self.context(CLIENT))
            self.assertEqual(client.command("EHLO client.example")[0], 250)
            client = self.open_tls(post, self.context(STRANGER))
            self.assertEqual(client.reply(), (554, ["5.7.1 post.test.example Error: Client certificate not trusted"]))
            post.wait_log("NOQUEUE: abort: TLS from unknown.127.0.0.1.: Client certificate not trusted")
            with self.assertRaises((ssl.SSLError, ConnectionError, AssertionError)):
                client = self.open_tls(post, self.context(None))
                self.assertEqual(client.command("EHLO client.example")[0], 250)
            post.wait_log("TLS library problem: .*:peer did not return a certificate:")


@harness.unittest.skipUnless(os.geteuid() == 0, "needs root to see privileges dropped")
class Privileges(TlsTestCase):
    def start(self):
        post = self.instance(privileged=True)
        os.chmod(os.path.join(post.etc, "chain.pem"), 0o600)
        return post

    def test_a_key_that_only_root_can_read_is_replaced_before_the_eyes_of_an_smtpd_in_its_chroot(self):
        with self.start() as post:
            [pid] = post.pids("smtpd")
            self.assertNotEqual(self.uid_of(pid), 0)
            self.assertEqual(os.readlink("/proc/%d/root" % pid), post.spool)
            shown = Shown(self, post)
            replace(post, "chain.pem", OTHER, mode=0o600)
            self.wait_until(lambda: shown() == certificates.fingerprint(OTHER), "the new certificate")

    @staticmethod
    def uid_of(pid):
        with open("/proc/%d/status" % pid) as status:
            return int(re.search(r"^Uid:\s+\d+\s+(\d+)", status.read(), re.M)[1])

    def test_the_courier_can_read_and_do_nothing_else_and_goes_with_its_smtpd(self):
        with self.start() as post:
            [courier] = post.pids("file-courier")
            with open("/proc/%d/status" % courier) as status:
                text = status.read()
            self.assertRegex(text, r"CapEff:\s+0000000000000004\n")  # CAP_DAC_READ_SEARCH
            self.assertRegex(text, r"CapPrm:\s+0000000000000004\n")
            self.assertRegex(text, r"NoNewPrivs:\s+1\n")
            if not harness.SANITIZED:
                self.assertRegex(text, r"Seccomp:\s+2\n")
            # Its socket, what it waits for, and what it was started with.
            names = [os.readlink("/proc/%d/fd/%s" % (courier, fd)) for fd in os.listdir("/proc/%d/fd" % courier) if int(fd) > 2]
            self.assertEqual(sorted(name.split(":")[0] for name in names), ["anon_inode", "socket"])
            post.kill("smtpd")
            self.wait_until(lambda: not harness.alive(courier), "the courier has gone")

    def test_the_secrets_of_tickets_cannot_be_read_by_the_mail_owner(self):
        with self.start() as post:
            folder = os.path.join(post.folder, "data")
            [name] = [name for name in os.listdir(folder) if name.startswith("tls_tickets")]
            status = os.stat(os.path.join(folder, name))
            self.assertEqual((status.st_uid, status.st_mode & 0o777), (0, 0o600))


if __name__ == "__main__":
    harness.main()
