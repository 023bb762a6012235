// What DNS decides, with a real name server: the client's name, domains and HELO names that do not exist.
#include "t/unit/smtpd/dns_fixture.h"

#include "lib/base/ascii.h"

using namespace posthouse;
using namespace posthouse::test;

namespace {

const char* const zone = "$TTL 60\n@ SOA ns root 1 60 60 60 5\n@ NS ns\n@ MX 10 a\nns A 127.0.0.1\n"
                         "a A 192.0.2.1\nhost A 192.0.2.1\nnull MX 0 .\nempty TXT \"x\"\n";

smtpd::Client client_of(const char* address)
{
    return smtpd::Client(net::SocketAddress(*net::IpAddress::parse(address), 4711));
}

} // namespace

TEST_CASE("a client has the name that leads back to its address, or none")
{
    // 1.2.0.192.in-addr.arpa is Host.example.test, which leads back in the first zone only.
    const std::string other = "$TTL 60\n@ SOA ns root 1 60 60 60 5\n@ NS ns\nns A 127.0.0.1\nhost A 192.0.2.22\n";
    const auto names = NameServer::start(zone);
    const auto other_names = NameServer::start(other);
    if (!names || !other_names) {
        WARN("no name server is installed: skipped");
        return;
    }
    DnsFixture smtpd(*names, "");
    DnsFixture others(*other_names, "");
    const auto look_up = [](DnsFixture& with, const char* address) {
        smtpd::Client client = client_of(address);
        run_task(with.loop, smtpd::look_up_name(client, *with.resolver, Deadline::after(Duration::seconds(20))));
        return client;
    };
    const smtpd::Client found = look_up(smtpd, "192.0.2.1");
    CHECK(ascii::equal(found.name, "host.example.test"));
    CHECK(found.state == smtpd::NameState::Found);
    const smtpd::Client nameless = look_up(smtpd, "192.0.2.99");
    CHECK(nameless.label() == "unknown[192.0.2.99]");
    CHECK(nameless.state == smtpd::NameState::Unknown);
    const smtpd::Client forged = look_up(others, "192.0.2.1");
    CHECK(forged.name == "unknown");
    CHECK(ascii::equal(forged.reverse_name, "host.example.test"));
    CHECK(forged.state == smtpd::NameState::Forged);
    other_names->stop();
    const smtpd::Client unanswered = look_up(others, "192.0.2.2");
    CHECK(unanswered.state == smtpd::NameState::Temporary);
}

TEST_CASE("reject_unknown_sender_domain refuses what is not in DNS, and null MX for good")
{
    const auto names = NameServer::start(zone);
    if (!names) {
        WARN("no name server is installed: skipped");
        return;
    }
    DnsFixture smtpd(*names, "smtpd_sender_restrictions = reject_unknown_sender_domain\n");
    CHECK(smtpd.rcpt_codes("you@example.test") == "220 250 250 250");
    CHECK(smtpd.rcpt_codes("you@a.example.test") == "220 250 250 250");
    CHECK(smtpd.rcpt_codes("") == "220 250 250 250");
    CHECK(smtpd.rcpt_codes("you@[192.0.2.1]") == "220 250 250 250");
    CHECK(smtpd.rcpt_codes("friend@example.org") == "220 250 250 250"); // ours need not be in DNS
    CHECK(smtpd.rcpt_codes("you@nowhere.example.test") == "220 250 250 450");
    CHECK(smtpd.rcpt_codes("you@empty.example.test") == "220 250 250 450");
    CHECK(smtpd.rcpt_codes("you@null.example.test") == "220 250 250 550");
    CHECK(smtpd.rcpt_codes("you@broken.test") == "220 250 250 450");
    names->stop();
    CHECK(smtpd.rcpt_codes("you@other.example.test") == "220 250 250 450");
}

TEST_CASE("a domain that DNS says nothing about is a reason to wait, also with a hard reject code")
{
    const auto names = NameServer::start(zone);
    if (!names) {
        WARN("no name server is installed: skipped");
        return;
    }
    DnsFixture smtpd(*names, "smtpd_sender_restrictions = reject_unknown_sender_domain\nunknown_address_reject_code = 550\n");
    CHECK(smtpd.rcpt_codes("you@nowhere.example.test") == "220 250 250 550");
    CHECK(smtpd.rcpt_codes("you@broken.test") == "220 250 250 450");
    // unknown_address_tempfail_action = defer_if_permit, and defer.
    const std::string refuse = "smtpd_sender_restrictions = reject_unknown_sender_domain\nsmtpd_recipient_restrictions = reject\n";
    DnsFixture later(*names, refuse);
    CHECK(later.rcpt_codes("you@broken.test") == "220 250 250 554");
    DnsFixture now(*names, refuse + "unknown_address_tempfail_action = defer\n");
    CHECK(now.rcpt_reply("you@broken.test") == "450 4.1.8 <you@broken.test>: Sender address rejected: Domain not found");
    DnsFixture helo(*names, "smtpd_helo_restrictions = reject_unknown_helo_hostname\nsmtpd_recipient_restrictions = reject\n"
                            "reject_tempfail_action = defer\n");
    CHECK(helo.rcpt_codes("you@example.test", "host.broken.test") == "220 250 250 450");
}

TEST_CASE("reject_unknown_helo_hostname wants a name with an address or MX")
{
    const auto names = NameServer::start(zone);
    if (!names) {
        WARN("no name server is installed: skipped");
        return;
    }
    DnsFixture smtpd(*names, "smtpd_helo_restrictions = reject_unknown_helo_hostname\n");
    CHECK(smtpd.rcpt_codes("you@example.test", "a.example.test") == "220 250 250 250");
    CHECK(smtpd.rcpt_codes("you@example.test", "example.test") == "220 250 250 250");
    CHECK(smtpd.rcpt_codes("you@example.test", "[192.0.2.1]") == "220 250 250 250");
    CHECK(smtpd.rcpt_codes("you@example.test", "nowhere.example.test") == "220 250 250 450");
}
