// Restrictions that ask a real name server: DNS lists, the hosts of a domain, backup mail exchangers. The replies are
// those that the original gives in the same cases.
#include "t/unit/smtpd/dns_fixture.h"

using namespace posthouse;
using namespace posthouse::test;

namespace {

const char* const zone = "$TTL 60\n@ SOA ns root 1 60 60 60 5\n@ NS ns\n@ MX 10 a\nns A 127.0.0.1\na A 192.0.2.1\n"
                         "mxless A 192.0.2.9\nnull MX 0 .\ndead MX 10 nowhere\n"
                         "backup MX 10 a\nbackup MX 20 mx.example.org.\nprimary MX 10 mx.example.org.\n"
                         "lost MX 10 host.broken.test.\n"
                         "7.100.51.198.bl A 127.0.0.2\n7.100.51.198.bl A 127.0.0.10\n"
                         "7.100.51.198.bl TXT \"see $rbl_what ${nothing} \\239\\187\\191\"\n"
                         "7.100.51.198.quiet A 127.0.0.3\nexample.net.rhs A 127.0.0.2\nclient.example.rhs A 127.0.0.2\n";

const std::string recipient = "smtpd_recipient_restrictions = ";
const std::string sender = "smtpd_sender_restrictions = ";
const std::string relay = "smtpd_relay_restrictions = ";
const std::string ok = "250 2.1.5 Ok";
const std::string denied = "554 5.7.1 <friend@example.org>: Recipient address rejected: Access denied";

// The reply to RCPT at a server with these lines in main.cf.
struct Names {
    Names() : server(NameServer::start(zone)) {}
    std::string reply(const std::string& main_cf, const std::string& from = "you@example.net",
                      const std::string& to = "friend@example.org", const std::string& helo = "client.example",
                      const std::string& name = "unknown")
    {
        DnsFixture smtpd(*server, main_cf + "\n");
        return smtpd.rcpt_reply(from, to, helo, name);
    }
    std::unique_ptr<NameServer> server;
};

#define SKIP_WITHOUT_SERVER(names)                                                                                     \
    if (!(names).server) {                                                                                             \
        WARN("no name server is installed: skipped");                                                                  \
        return;                                                                                                        \
    }

} // namespace

TEST_CASE("reject_rbl_client refuses who is listed, in the list's words, which stand for themselves")
{
    Names names;
    SKIP_WITHOUT_SERVER(names)
    const std::string blocked = "554 5.7.1 Service unavailable; Client host [198.51.100.7] blocked using bl.example.test; see $rbl_what ${nothing} ";
    CHECK(names.reply(recipient + "reject_rbl_client bl.example.test").starts_with(blocked));
    CHECK(names.reply(recipient + "reject_rbl_client bl.example.test=127.0.0.[9..11]").starts_with(blocked));
    CHECK(names.reply(recipient + "reject_rbl_client bl.example.test=127.0.0.7") == ok);
    CHECK(names.reply(recipient + "reject_rbl_client none.example.test") == ok);
    CHECK(names.reply(recipient + "reject_rbl_client quiet.example.test")
          == "554 5.7.1 Service unavailable; Client host [198.51.100.7] blocked using quiet.example.test");
    CHECK(names.reply(recipient + "reject_rbl_client quiet.example.test\nmaps_rbl_reject_code = 450").starts_with("450 4.7.1 "));
    CHECK(names.reply(recipient + "check_sender_access static:{reject_rbl_client quiet.example.test}").starts_with("554 5.7.1 Serv"));
    // A list that does not answer refuses nobody.
    CHECK(names.reply(recipient + "reject_rbl_client bl.broken.test") == ok);
    CHECK(names.reply(recipient + "reject_rbl_client bl.broken.test, reject") == denied);
}

TEST_CASE("default_rbl_reply and rbl_reply_maps make the text, with what smtpd_expansion_filter lets through")
{
    Names names;
    SKIP_WITHOUT_SERVER(names)
    const std::string rule = recipient + "reject_rbl_client quiet.example.test=127.0.0.3\n";
    CHECK(names.reply(rule + "default_rbl_reply = $rbl_code 5.7.9 $rbl_class|$rbl_what|$rbl_domain|$rbl_reason|$client|$client_address|"
                             "$client_name|$client_port|$reverse_client_name|$helo_name|$sender|$sender_domain|$sender_name|"
                             "$recipient|$recipient_domain|$recipient_name|${rbl_reason?yes}${rbl_reason:no}")
          == "554 5.7.9 Client host|198.51.100.7|quiet.example.test||unknown[198.51.100.7]|198.51.100.7|unknown|4711|unknown|"
             "client.example|you@example.net|example.net|you|friend@example.org|example.org|friend|no");
    CHECK(names.reply(rule + "default_rbl_reply = 451 go away, ${sender}", "") == "451 4.7.1 go away, <>");
    CHECK(names.reply(rule + "default_rbl_reply = no code") == "450 4.7.1 Service unavailable");
    CHECK(names.reply(rule + "default_rbl_reply = 554 ${rbl") == "450 4.7.1 Service unavailable");
    CHECK(names.reply(rule + "smtpd_expansion_filter = \\61908.5-7test4\ndefault_rbl_reply = 554 $rbl_what $rbl_domain")
          == "554 5.7.1 198.51.100.7 ___et.e_____e.test"); // \61 is '1'
    CHECK(names.reply(rule + "rbl_reply_maps = inline:{{quiet.example.test = 554 5.7.8 by domain $$rbl_what}}")
          == "554 5.7.8 by domain 198.51.100.7");
    CHECK(names.reply(rule + "rbl_reply_maps = fail:later").starts_with("451 4.3.0 "));
}

TEST_CASE("reject_rhsbl_* ask about domains, and pass over what is none")
{
    Names names;
    SKIP_WITHOUT_SERVER(names)
    const auto blocked = [](const std::string& what) {
        return "554 5.7.1 Service unavailable; " + what + " blocked using rhs.example.test";
    };
    CHECK(names.reply(recipient + "reject_rhsbl_sender rhs.example.test") == blocked("Sender address [you@example.net]"));
    CHECK(names.reply(recipient + "reject_rhsbl_helo rhs.example.test") == blocked("Helo command [client.example]"));
    CHECK(names.reply(recipient + "reject_rhsbl_client rhs.example.test", "x@y.example", "friend@example.org", "h.example", "example.net")
          == blocked("Client host [example.net]"));
    CHECK(names.reply(recipient + "reject_rhsbl_reverse_client rhs.example.test", "x@y.example", "friend@example.org", "h.example", "example.net")
          == blocked("Unverified Client host [example.net]"));
    CHECK(names.reply(recipient + "reject_rhsbl_recipient rhs.example.test") == ok);
    CHECK(names.reply(recipient + "reject_rhsbl_sender rhs.example.test", "") == ok);
    CHECK(names.reply(recipient + "reject_rhsbl_sender rhs.example.test", "you@[192.0.2.1]") == ok);
    CHECK(names.reply(recipient + "reject_rhsbl_client rhs.example.test") == ok);
}

TEST_CASE("permit_dnswl_client and permit_rhswl_client let in who is listed, and never open a relay")
{
    Names names;
    SKIP_WITHOUT_SERVER(names)
    CHECK(names.reply(recipient + "permit_dnswl_client quiet.example.test, reject") == ok);
    CHECK(names.reply(recipient + "permit_dnswl_client quiet.example.test=127.0.0.9, reject") == denied);
    CHECK(names.reply(recipient + "permit_rhswl_client rhs.example.test, reject", "x@y.example", "friend@example.org", "h.example", "example.net") == ok);
    CHECK(names.reply(relay + "permit_dnswl_client quiet.example.test, reject_unauth_destination", "you@example.net", "x@far.example")
          == "554 5.7.1 <x@far.example>: Relay access denied");
    // No answer: whoever would be refused now is told to come back.
    CHECK(names.reply(recipient + "permit_dnswl_client wl.broken.test, reject")
          == "450 4.7.1 <198.51.100.7>: Client host rejected: Service unavailable");
    CHECK(names.reply(recipient + "permit_dnswl_client wl.broken.test") == ok);
}

TEST_CASE("check_*_{a,mx,ns}_access look at the names and addresses of a domain's hosts")
{
    Names names;
    SKIP_WITHOUT_SERVER(names)
    const std::string table = " inline:{{a.example.test = REJECT name}, {192.0.2 = REJECT address}, {ns.example.test = REJECT ns}}";
    struct Row {
        const char* kind;
        const char* found;
    };
    for (const Row& row : {Row{"mx", "name"}, Row{"ns", "ns"}}) {
        CAPTURE(row.kind);
        const std::string more = "\nsmtpd_reject_unlisted_recipient = no\nrelay_domains = example.test\n";
        const auto reply = [&](const std::string& subject) {
            return names.reply(recipient + "check_" + subject + "_" + row.kind + "_access" + table + more, "you@example.test",
                               "me@example.test", "example.test", "example.test");
        };
        CHECK(reply("client") == std::string("554 5.7.1 <example.test[198.51.100.7]>: Client host rejected: ") + row.found);
        CHECK(reply("reverse_client_hostname").ends_with(std::string("Client host rejected: ") + row.found));
        CHECK(reply("helo") == std::string("554 5.7.1 <example.test>: Helo command rejected: ") + row.found);
        CHECK(reply("sender") == std::string("554 5.7.1 <you@example.test>: Sender address rejected: ") + row.found);
        CHECK(reply("recipient") == std::string("554 5.7.1 <me@example.test>: Recipient address rejected: ") + row.found);
    }
    const auto mx = [&](const std::string& value, const std::string& from) {
        return names.reply(sender + "check_sender_mx_access " + value, from);
    };
    const std::string rejected = "Sender address rejected: Access denied";
    CHECK(mx("cidr:{{192.0.2.0/24 REJECT}}", "you@example.test").ends_with(rejected));
    CHECK(mx("inline:{{192.0.2.9 = REJECT}}", "you@mxless.example.test").ends_with(rejected)); // its own host then
    CHECK(mx("inline:{{192.0.2.9 = REJECT}}", "you@[192.0.2.9]").ends_with(rejected));
    CHECK(mx("inline:{{nowhere.example.test = REJECT}}", "you@dead.example.test").ends_with(rejected));
    CHECK(mx("inline:{{a.example.test = DUNNO}, {192.0.2.1 = REJECT}}", "you@example.test") == ok); // the first decides
    CHECK(mx("static:REJECT", "you@null.example.test") == ok);
    CHECK(mx("static:REJECT", "you@broken.test") == ok); // no answer is no reason
    CHECK(mx("static:REJECT", "") == ok);
    CHECK(mx("static:OK", "you@example.test") == "451 4.3.5 Server configuration error");
    CHECK(names.reply(sender + "check_sender_a_access inline:{{192.0.2.9 = REJECT}}", "you@mxless.example.test").ends_with(rejected));
    CHECK(names.reply(sender + "check_sender_ns_access inline:{{ns.example.test = REJECT}}", "you@x.y.example.test").ends_with(rejected));
}

TEST_CASE("permit_mx_backup relays for domains that name us as a later mail exchanger")
{
    Names names;
    SKIP_WITHOUT_SERVER(names)
    const std::string rule = relay + "permit_mx_backup, reject_unauth_destination\n";
    const auto reply = [&](const std::string& main_cf, const std::string& domain) {
        return names.reply(main_cf, "you@example.net", "x@" + domain).substr(0, 9);
    };
    CHECK(reply(rule, "backup.example.test") == "250 2.1.5");
    CHECK(reply(rule, "primary.example.test") == "554 5.7.1");
    CHECK(reply(rule, "example.test") == "554 5.7.1");
    CHECK(reply(rule, "none.example.test") == "554 5.7.1");
    CHECK(reply(rule + "permit_mx_backup_networks = 192.0.2.0/24\n", "backup.example.test") == "250 2.1.5");
    CHECK(reply(rule + "permit_mx_backup_networks = 203.0.113.0/24\n", "backup.example.test") == "554 5.7.1");
    CHECK(reply(rule, "broken.test") == "450 4.4.4");
    CHECK(reply(rule, "lost.example.test") == "450 4.4.4");
    CHECK(names.reply(relay + "permit_mx_backup, reject") == ok);
    CHECK(names.reply(rule, "you@example.net", "x%far.example@backup.example.test").substr(0, 3) == "554");
}
