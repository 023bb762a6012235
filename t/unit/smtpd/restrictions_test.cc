// smtpd_*_restrictions: what each rule says, in what order, and which configurations are refused.
#include "t/support/catch.h"
#include "t/unit/smtpd/session_fixture.h"

using namespace posthouse;
using namespace posthouse::test;

namespace {

const std::string ehlo = "EHLO client.example\r\n";
const std::string mail_from = "MAIL FROM:<you@example.net>\r\n";
const std::string rcpt_to = "RCPT TO:<friend@example.org>\r\n";
const std::string message = "Subject: x\r\n\r\nbody\r\n.\r\n";

// The reply to RCPT under these parameters.
std::string rcpt_reply(const std::string& main_cf, const std::string& rcpt = rcpt_to, const std::string& mail = mail_from,
                       const std::string& hello = ehlo)
{
    SmtpdFixture smtpd(main_cf);
    const std::string before = smtpd.talk({hello, mail});
    const std::string all = smtpd.talk({hello, mail, rcpt});
    return all.substr(before.size(), all.size() - before.size() - 2);
}

std::string fault_of(const std::string& main_cf)
{
    try {
        SmtpdFixture smtpd(main_cf);
        for (const Error& fault : smtpd.server->restrictions->faults())
            return fault.full_text();
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "";
}

} // namespace

TEST_CASE("reject and defer speak of what their list is about")
{
    CHECK(rcpt_reply("smtpd_client_restrictions = reject\n")
          == "554 5.7.1 <unknown[198.51.100.7]>: Client host rejected: Access denied");
    CHECK(rcpt_reply("smtpd_helo_restrictions = reject\n") == "554 5.7.1 <client.example>: Helo command rejected: Access denied");
    CHECK(rcpt_reply("smtpd_sender_restrictions = defer\n")
          == "450 4.3.2 <you@example.net>: Sender address rejected: Try again later");
    CHECK(rcpt_reply("smtpd_recipient_restrictions = reject\n")
          == "554 5.7.1 <friend@example.org>: Recipient address rejected: Access denied");
}

TEST_CASE("smtpd_delay_reject = no refuses client, HELO and sender at their own commands")
{
    SmtpdFixture client("smtpd_delay_reject = no\nsmtpd_client_restrictions = reject\n");
    CHECK(codes(client.talk({ehlo, "NOOP\r\n", "QUIT\r\n"})) == "554 503 503 221");
    SmtpdFixture helo("smtpd_delay_reject = no\nsmtpd_helo_restrictions = reject\n");
    CHECK(codes(helo.talk({ehlo})) == "220 554");
    SmtpdFixture sender("smtpd_delay_reject = no\nsmtpd_sender_restrictions = reject\n");
    CHECK(codes(sender.talk({ehlo, mail_from, rcpt_to})) == "220 250 554 503");
}

TEST_CASE("with smtpd_delay_reject = no, what the early lists defer waits for RCPT all the same")
{
    for (const std::string stage : {"client", "helo", "sender"}) {
        CAPTURE(stage);
        SmtpdFixture permit("smtpd_delay_reject = no\nsmtpd_" + stage + "_restrictions = defer_if_permit\n");
        CHECK(codes(permit.talk({ehlo, mail_from, rcpt_to, rcpt_to})) == "220 250 250 450 450");
        SmtpdFixture reject("smtpd_delay_reject = no\nsmtpd_" + stage + "_restrictions = defer_if_reject\n"
                            "smtpd_recipient_restrictions = check_recipient_access inline:{{postmaster@ = REJECT}}\n");
        CHECK(codes(reject.talk({ehlo, mail_from, rcpt_to, "RCPT TO:<postmaster>\r\n"})) == "220 250 250 250 450");
    }
}

TEST_CASE("an enhanced status code about addresses fits what was refused")
{
    const auto dsn = [](const std::string& subject, const std::string& code) {
        return rcpt_reply("smtpd_recipient_restrictions = check_" + subject + "_access static:{550 " + code + " x}\n").substr(4, 5);
    };
    CHECK(dsn("sender", "5.1.1") == "5.1.7");
    CHECK(dsn("sender", "5.1.2") == "5.1.8");
    CHECK(dsn("recipient", "5.1.8") == "5.1.2");
    CHECK(dsn("recipient", "5.1.1") == "5.1.1");
    CHECK(dsn("client", "5.1.1") == "5.0.0");
    CHECK(dsn("client", "5.7.1") == "5.7.1");
    CHECK(dsn("sender", "5.2.1") == "5.2.1");
}

TEST_CASE("restrictions that a table names speak of what the table was asked about")
{
    CHECK(rcpt_reply("smtpd_recipient_restrictions = check_client_access static:{permit_mynetworks reject}\n")
          == "554 5.7.1 <unknown[198.51.100.7]>: Client host rejected: Access denied");
    CHECK(rcpt_reply("smtpd_restriction_classes = a, b\na = check_sender_access static:b\nb = defer\n"
                     "smtpd_recipient_restrictions = check_client_access static:a\n")
          == "450 4.3.2 <you@example.net>: Sender address rejected: Try again later");
}

TEST_CASE("permit ends its own list only")
{
    CHECK(rcpt_reply("smtpd_client_restrictions = permit, reject\nsmtpd_recipient_restrictions = permit_mynetworks, reject\n")
              .substr(0, 3)
          == "554");
}

TEST_CASE("access tables answer by their actions")
{
    struct Row {
        const char* result;
        const char* reply;
    };
    const Row rows[] = {
        {"OK", "250 2.1.5 Ok"},
        {"DUNNO", "250 2.1.5 Ok"},
        {"1234567", "250 2.1.5 Ok"},
        {"REJECT", "554 5.7.1 <you@example.net>: Sender address rejected: Access denied"},
        {"reject not you", "554 5.7.1 <you@example.net>: Sender address rejected: not you"},
        {"REJECT 5.1.8 not you", "554 5.1.8 <you@example.net>: Sender address rejected: not you"},
        {"DEFER later", "450 4.7.1 <you@example.net>: Sender address rejected: later"},
        {"550 no", "550 5.7.1 <you@example.net>: Sender address rejected: no"},
        {"550 5.1.0 no", "550 5.1.0 <you@example.net>: Sender address rejected: no"},
        {"450", "250 2.1.5 Ok"}, // digits alone, as 1234567
        {"450 4.1.0", "450 4.1.0 <you@example.net>: Sender address rejected: Access denied"},
        {"550 5.1.1 who", "550 5.1.7 <you@example.net>: Sender address rejected: who"}, // X.1.1 is a recipient's
        {"5xx no", "451 4.3.5 Server configuration error"},
        {"permit_mynetworks, reject_non_fqdn_sender, reject", "554 5.7.1 <you@example.net>: Sender address rejected: Access denied"},
        {"warn_if_reject reject", "250 2.1.5 Ok"},
        {"reject_rbl_client", "451 4.3.5 Server configuration error"},
        {"check_sender_access static:OK", "451 4.3.5 Server configuration error"},
        {"check_policy_service inet:127.0.0.1:9", "451 4.3.5 Server configuration error"},
        {"DEFER_IF_PERMIT slow", "450 4.7.1 <you@example.net>: Sender address rejected: slow"},
        {"DEFER_IF_REJECT slow", "250 2.1.5 Ok"},
        {"HOLD", "250 2.1.5 Ok"},
        {"DISCARD", "250 2.1.5 Ok"},
        {"WARN look", "250 2.1.5 Ok"},
        {"INFO look", "250 2.1.5 Ok"},
        {"reject_unknown_helo_hostname_x", "451 4.3.5 Server configuration error"},
        {"reject", "554 5.7.1 <you@example.net>: Sender address rejected: Access denied"},
        {"defer", "450 4.7.1 <you@example.net>: Sender address rejected: Access denied"},
    };
    for (const Row& row : rows) {
        INFO(row.result);
        CHECK(rcpt_reply(cat("smtpd_sender_restrictions = check_sender_access inline:{{you@example.net = ", row.result, "}}\n"))
              == row.reply);
    }
}

TEST_CASE("an access table with 421 or 521 ends the session")
{
    SmtpdFixture smtpd("smtpd_recipient_restrictions = check_client_access inline:{{198.51.100.7 = 521 go away}}\n");
    CHECK(codes(smtpd.talk({ehlo, mail_from, rcpt_to, "QUIT\r\n"})) == "220 250 250 521");
}

TEST_CASE("an address is looked up whole, without extension, by domain, parents and user")
{
    for (const char* key : {"you+list@host.example.net", "you@host.example.net", "host.example.net", "example.net", "net",
                            "you+list@", "you@"})
        CHECK(rcpt_reply(cat("recipient_delimiter = +\n"
                             "smtpd_sender_restrictions = check_sender_access inline:{{", key, " = 550 found}}\n"),
                         rcpt_to, "MAIL FROM:<you+list@host.example.net>\r\n")
              == "550 5.7.1 <you+list@host.example.net>: Sender address rejected: found");
    CHECK(rcpt_reply("smtpd_sender_restrictions = check_sender_access inline:{{<> = 550 found}}\n", rcpt_to, "MAIL FROM:<>\r\n")
          == "550 5.7.1 <>: Sender address rejected: found");
    CHECK(rcpt_reply("parent_domain_matches_subdomains =\n"
                     "smtpd_sender_restrictions = check_sender_access inline:{{example.net = 550 found}}\n",
                     rcpt_to, "MAIL FROM:<you@host.example.net>\r\n")
          == "250 2.1.5 Ok");
}

TEST_CASE("a client is looked up by address and its prefixes, HELO by name and parents")
{
    for (const char* key : {"198.51.100.7", "198.51.100", "198.51", "198", "unknown"})
        CHECK(rcpt_reply(cat("smtpd_client_restrictions = check_client_access inline:{{", key, " = REJECT}}\n")).substr(0, 3) == "554");
    CHECK(rcpt_reply("smtpd_client_restrictions = check_client_access cidr:{{198.51.100.0/24 REJECT}}\n").substr(0, 3) == "554");
    for (const char* key : {"client.example", "example"})
        CHECK(rcpt_reply(cat("smtpd_helo_restrictions = check_helo_access inline:{{", key, " = REJECT}}\n")).substr(0, 3) == "554");
    CHECK(rcpt_reply("smtpd_recipient_restrictions = check_recipient_access regexp:{{/^fri/ REJECT}}\n").substr(0, 3) == "554");
}

TEST_CASE("HOLD, REDIRECT, PREPEND, BCC and FILTER change the message")
{
    SmtpdFixture hold("smtpd_recipient_restrictions = check_client_access static:HOLD\n");
    hold.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message});
    REQUIRE(hold.queue.stored.size() == 1);
    CHECK(hold.queue.stored[0].envelope.hold);

    SmtpdFixture redirect("smtpd_recipient_restrictions = check_client_access static:{REDIRECT other@example.com}\n");
    redirect.talk({ehlo, mail_from, rcpt_to, "RCPT TO:<postmaster>\r\n", "DATA\r\n", message});
    REQUIRE(redirect.queue.stored.size() == 1);
    REQUIRE(redirect.queue.stored[0].envelope.recipients.size() == 1);
    CHECK(redirect.queue.stored[0].envelope.recipients[0].address == "other@example.com");

    SmtpdFixture prepend("smtpd_data_restrictions = check_client_access static:{PREPEND X-Seen: yes}\n");
    prepend.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message});
    REQUIRE(prepend.queue.stored.size() == 1);
    CHECK(prepend.queue.stored[0].content.starts_with("X-Seen: yes\r\nReceived: "));

    SmtpdFixture bcc("smtpd_recipient_restrictions = check_client_access static:{BCC spy@example.com}\n");
    bcc.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message});
    REQUIRE(bcc.queue.stored.size() == 1);
    CHECK(bcc.queue.stored[0].envelope.recipients.size() == 2);

    SmtpdFixture filter("smtpd_recipient_restrictions = check_client_access static:{FILTER smtp:[127.0.0.1]:10025}\n");
    filter.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message});
    REQUIRE(filter.queue.stored.size() == 1);
    CHECK(filter.queue.stored[0].envelope.content_filter == "smtp:[127.0.0.1]:10025");
}

TEST_CASE("an access table's action is taken at every command that has restrictions, and none is lost")
{
    const char* stages[] = {"client", "helo", "sender", "relay", "recipient", "data", "end_of_data"};
    for (const std::string stage : stages) {
        CAPTURE(stage);
        // What is stored under this action.
        const auto stored = [&](const std::string& action, const std::string& more = "") {
            SmtpdFixture smtpd("smtpd_" + stage + "_restrictions = check_sender_access static:{" + action + "}"
                               + (stage == "relay" ? ", reject_unauth_destination\n" : "\n") + more);
            CHECK(codes(smtpd.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message})) == "220 250 250 250 354 250");
            return smtpd.queue.stored;
        };
        const auto held = stored("HOLD");
        REQUIRE(held.size() == 1);
        CHECK(held[0].envelope.hold);

        CHECK(stored("DISCARD").empty());

        const auto filtered = stored("FILTER smtp:[127.0.0.1]:10025", "content_filter = smtp:[127.0.0.1]:10024\n");
        REQUIRE(filtered.size() == 1);
        CHECK(filtered[0].envelope.content_filter == "smtp:[127.0.0.1]:10025");

        const auto redirected = stored("REDIRECT other@example.com");
        REQUIRE(redirected.size() == 1);
        REQUIRE(redirected[0].envelope.recipients.size() == 1);
        CHECK(redirected[0].envelope.recipients[0].address == "other@example.com");
        CHECK(redirected[0].content.find("for <friend@example.org>") != std::string::npos);

        const auto copied = stored("BCC spy@example.com");
        REQUIRE(copied.size() == 1);
        REQUIRE(copied[0].envelope.recipients.size() == 2);
        CHECK(copied[0].envelope.recipients[1].address == "spy@example.com");
        CHECK(copied[0].envelope.recipients[1].notify == mail::NotifyNever);

        // access(5): PREPEND has to come before the content.
        const auto prepended = stored("PREPEND X-Seen: yes");
        REQUIRE(prepended.size() == 1);
        CHECK(prepended[0].content.starts_with("X-Seen: yes\r\n") == (stage != "end_of_data"));
        CHECK((prepended[0].content.find("X-Seen") == std::string::npos) == (stage == "end_of_data"));
    }
}

TEST_CASE("a chunked message is filtered too when END-OF-MESSAGE asks for it")
{
    SmtpdFixture smtpd("smtpd_end_of_data_restrictions = check_sender_access static:{FILTER smtp:[127.0.0.1]:10025}\n");
    smtpd.talk({ehlo, mail_from, rcpt_to, "BDAT 5\r\na\r\nb\n", "BDAT 2 LAST\r\nc\n"});
    REQUIRE(smtpd.queue.stored.size() == 1);
    CHECK(smtpd.queue.stored[0].envelope.content_filter == "smtp:[127.0.0.1]:10025");
}

TEST_CASE("content_filter takes a message without an action, and REDIRECT goes past filters and copies")
{
    const std::string filter = "content_filter = smtp:[127.0.0.1]:10024\n";
    SmtpdFixture plain(filter);
    plain.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message});
    REQUIRE(plain.queue.stored.size() == 1);
    CHECK(plain.queue.stored[0].envelope.content_filter == "smtp:[127.0.0.1]:10024");

    SmtpdFixture redirect(filter
                          + "smtpd_data_restrictions = check_client_access static:{BCC spy@example.com}\n"
                            "smtpd_end_of_data_restrictions = check_client_access static:{FILTER smtp:[127.0.0.1]:10025},"
                            " check_sender_access static:{REDIRECT other@example.com}\n");
    redirect.talk({ehlo, mail_from, rcpt_to, "RCPT TO:<postmaster>\r\n", "DATA\r\n", message});
    REQUIRE(redirect.queue.stored.size() == 1);
    const mail::Envelope& envelope = redirect.queue.stored[0].envelope;
    REQUIRE(envelope.recipients.size() == 1);
    CHECK(envelope.recipients[0].address == "other@example.com");
    CHECK(envelope.content_filter.empty());
}

TEST_CASE("DISCARD takes the message and keeps nothing")
{
    SmtpdFixture smtpd("smtpd_recipient_restrictions = check_client_access static:DISCARD\n");
    CHECK(codes(smtpd.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message})) == "220 250 250 250 354 250");
    CHECK(smtpd.queue.stored.empty());
}

TEST_CASE("an action belongs to its own mail")
{
    SmtpdFixture smtpd("smtpd_recipient_restrictions = check_sender_access inline:{{you@example.net = HOLD}}\n");
    smtpd.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message, "MAIL FROM:<me@example.net>\r\n", rcpt_to, "DATA\r\n", message});
    REQUIRE(smtpd.queue.stored.size() == 2);
    CHECK(smtpd.queue.stored[0].envelope.hold);
    CHECK_FALSE(smtpd.queue.stored[1].envelope.hold);
}

TEST_CASE("warn_if_reject lets one rule pass and no later one")
{
    CHECK(rcpt_reply("smtpd_recipient_restrictions = warn_if_reject reject\n") == "250 2.1.5 Ok");
    CHECK(rcpt_reply("smtpd_recipient_restrictions = warn_if_reject reject, defer\n").substr(0, 3) == "450");
    CHECK(rcpt_reply("smtpd_recipient_restrictions = warn_if_reject check_sender_access static:DEFER_IF_PERMIT\n") == "250 2.1.5 Ok");
}

TEST_CASE("defer_if_permit bites only when nothing refuses, defer_if_reject only when something does")
{
    CHECK(rcpt_reply("smtpd_client_restrictions = defer_if_permit\n").substr(0, 9) == "450 4.7.0");
    CHECK(rcpt_reply("smtpd_client_restrictions = defer_if_permit\nsmtpd_recipient_restrictions = reject\n").substr(0, 3) == "554");
    CHECK(rcpt_reply("smtpd_client_restrictions = defer_if_permit, permit\n").substr(0, 3) == "450");
    CHECK(rcpt_reply("smtpd_client_restrictions = defer_if_reject\n") == "250 2.1.5 Ok");
    CHECK(rcpt_reply("smtpd_client_restrictions = defer_if_reject\nsmtpd_recipient_restrictions = reject\n").substr(0, 3) == "450");
    CHECK(rcpt_reply("smtpd_client_restrictions = defer_if_reject\n", "RCPT TO:<nobody@example.org>\r\n").substr(0, 3) == "450");
}

TEST_CASE("names that should be complete are asked for")
{
    CHECK(rcpt_reply("smtpd_helo_restrictions = reject_non_fqdn_helo_hostname\n", rcpt_to, mail_from, "EHLO client\r\n")
          == "504 5.5.2 <client>: Helo command rejected: need fully-qualified hostname");
    CHECK(rcpt_reply("smtpd_helo_restrictions = reject_non_fqdn_helo_hostname\n", rcpt_to, mail_from, "EHLO [198.51.100.7]\r\n")
          == "250 2.1.5 Ok");
    CHECK(rcpt_reply("smtpd_helo_restrictions = reject_invalid_helo_hostname\n", rcpt_to, mail_from, "EHLO a..b\r\n")
          == "501 5.5.2 <a..b>: Helo command rejected: Invalid name");
    CHECK(rcpt_reply("smtpd_sender_restrictions = reject_non_fqdn_sender\n", rcpt_to, "MAIL FROM:<you@host>\r\n")
          == "504 5.5.2 <you@host>: Sender address rejected: need fully-qualified address");
    CHECK(rcpt_reply("smtpd_sender_restrictions = reject_non_fqdn_sender\n", rcpt_to, "MAIL FROM:<>\r\n") == "250 2.1.5 Ok");
    CHECK(rcpt_reply("smtpd_recipient_restrictions = reject_non_fqdn_recipient\n", "RCPT TO:<friend>\r\n").substr(0, 3) == "504");
    CHECK(rcpt_reply("smtpd_recipient_restrictions = reject_non_fqdn_recipient\n", "RCPT TO:<postmaster>\r\n") == "250 2.1.5 Ok");
}

TEST_CASE("a client without a name can be refused, and a bounce with two recipients at DATA")
{
    CHECK(rcpt_reply("smtpd_client_restrictions = reject_unknown_client_hostname\n")
          == "450 4.7.25 Client host rejected: cannot find your hostname, [198.51.100.7]");
    SmtpdFixture smtpd("smtpd_data_restrictions = reject_multi_recipient_bounce\n");
    CHECK(codes(smtpd.talk({ehlo, "MAIL FROM:<>\r\n", rcpt_to, "DATA\r\n", message, "MAIL FROM:<>\r\n", rcpt_to,
                            "RCPT TO:<postmaster>\r\n", "DATA\r\n"}))
          == "220 250 250 250 354 250 250 250 250 550");
}

TEST_CASE("end of data restrictions have the last word")
{
    SmtpdFixture smtpd("smtpd_end_of_data_restrictions = check_sender_access inline:{{you@example.net = REJECT}}\n");
    CHECK(codes(smtpd.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message})) == "220 250 250 250 354 554");
    CHECK(smtpd.queue.stored.empty());
}

TEST_CASE("unlisted senders of ours are refused when asked for")
{
    CHECK(rcpt_reply("smtpd_reject_unlisted_sender = yes\n", rcpt_to, "MAIL FROM:<nobody@example.org>\r\n")
          == "550 5.1.0 <nobody@example.org>: Sender address rejected: User unknown in local recipient table");
    CHECK(rcpt_reply("smtpd_reject_unlisted_sender = yes\n") == "250 2.1.5 Ok");
    CHECK(rcpt_reply("smtpd_reject_unlisted_recipient = no\n", "RCPT TO:<nobody@example.org>\r\n") == "250 2.1.5 Ok");
    CHECK(rcpt_reply("smtpd_reject_unlisted_recipient = no\nsmtpd_recipient_restrictions = reject_unlisted_recipient, permit\n",
                     "RCPT TO:<nobody@example.org>\r\n")
              .substr(0, 3)
          == "550");
}

TEST_CASE("restriction classes are lists by name, in lists and in access tables")
{
    const std::string classes = "smtpd_restriction_classes = strict, loose\nstrict = reject_non_fqdn_sender, reject\nloose = permit\n";
    CHECK(rcpt_reply(classes + "smtpd_recipient_restrictions = strict\n").substr(0, 3) == "554");
    CHECK(rcpt_reply(classes + "smtpd_recipient_restrictions = loose, reject\n") == "250 2.1.5 Ok");
    CHECK(rcpt_reply(classes + "smtpd_recipient_restrictions = check_client_access inline:{{198.51.100.7 = strict}}\n").substr(0, 3)
          == "554");
    CHECK(rcpt_reply("smtpd_restriction_classes = round\nround = round\nsmtpd_recipient_restrictions = round\n").substr(0, 3) == "451");
}

TEST_CASE("what cannot be a restriction is said at start, with parameter and word")
{
    CHECK(fault_of("smtpd_client_restrictions = permit_everybody\n") == "smtpd_client_restrictions: unknown restriction: permit_everybody");
    CHECK(fault_of("smtpd_recipient_restrictions = reject_unverified_sender\n")
          == "smtpd_recipient_restrictions: reject_unverified_sender comes with a later version");
    CHECK(fault_of("smtpd_recipient_restrictions = reject_rbl_client zen.example=127.0.0.300\n").find("bad DNS list filter") != std::string::npos);
    CHECK(fault_of("smtpd_recipient_restrictions = check_policy_service inet:nowhere\n").find("no port") != std::string::npos);
    CHECK(fault_of("smtpd_recipient_restrictions = check_policy_service { inet:127.0.0.1:9, timeouts=1s }\n").find("unknown setting timeouts")
          != std::string::npos);
    CHECK(fault_of("smtpd_recipient_restrictions = check_policy_service { inet:127.0.0.1:9, timeout=soon }\n").find("timeout: ")
          != std::string::npos);
    CHECK(fault_of("smtpd_sender_restrictions = check_sender_access\n") == "smtpd_sender_restrictions: check_sender_access needs an argument");
    CHECK(fault_of("smtpd_sender_restrictions = hash:/etc/x\n") == "smtpd_sender_restrictions: write check_..._access before the table hash:/etc/x");
    CHECK(fault_of("smtpd_sender_restrictions = warn_if_reject\n").find("needs a restriction after it") != std::string::npos);
    CHECK(fault_of("smtpd_restriction_classes = nothing\n") == "smtpd_restriction_classes: no parameter named nothing");
}

TEST_CASE("a word that is no restriction puts clients off, and all such words are known at once")
{
    const std::string put_off = "451 4.3.5 Server configuration error";
    CHECK(rcpt_reply("smtpd_recipient_restrictions = permit_mynetwork, reject_unauth_destination\n") == put_off);
    CHECK(rcpt_reply("smtpd_relay_restrictions = reject_unauth_destinatio\n") == put_off);
    CHECK(rcpt_reply("smtpd_recipient_restrictions = permit, permit_mynetwork\n") == "250 2.1.5 Ok");
    CHECK(rcpt_reply("smtpd_recipient_restrictions = reject_unverified_sender, permit\n") == put_off);
    SmtpdFixture smtpd("smtpd_client_restrictions = one\nsmtpd_recipient_restrictions = permit_mynetworks, two, three\n");
    CHECK(smtpd.server->restrictions->faults().size() == 3);
}

TEST_CASE("a configuration that would make an open relay does not start")
{
    CHECK(fault_of("smtpd_relay_restrictions =\n").find("smtpd_relay_restrictions") == 0);
    CHECK(fault_of("smtpd_relay_restrictions = permit_mynetworks\nsmtpd_recipient_restrictions = permit\n") != "");
    CHECK(fault_of("smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination\n") == "");
}
