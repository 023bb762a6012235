// Sessions whose resolver asks a real name server of the test.
#pragma once

#include "lib/net/resolver.h"
#include "t/support/catch.h"
#include "t/unit/net/name_server.h"
#include "t/unit/smtpd/session_fixture.h"

namespace posthouse::test {

struct DnsFixture : SmtpdFixture {
    explicit DnsFixture(NameServer& names, const std::string& more) : SmtpdFixture(more + "smtpd_dns_timeout = 60s\n")
    {
        net::ResolverOptions options;
        options.servers = names.address();
        options.hosts_file = "/dev/null";
        // A server that has ended is noticed at once; one that is there may be slow on a busy machine.
        options.query_timeout = Duration::seconds(20);
        options.tries = 1;
        auto made = net::Resolver::create(loop, std::move(options));
        REQUIRE(made);
        resolver = std::move(*made);
        server->ask_resolver = [this]() -> net::Resolver& { return *resolver; };
    }
    std::string rcpt_codes(const std::string& sender, const std::string& helo = "client.example")
    {
        return codes(talk({"EHLO " + helo + "\r\n", "MAIL FROM:<" + sender + ">\r\n", "RCPT TO:<friend@example.org>\r\n"}));
    }
    // The reply to RCPT.
    std::string rcpt_reply(const std::string& sender = "you@example.net", const std::string& recipient = "friend@example.org",
                           const std::string& helo = "client.example", const std::string& name = "unknown")
    {
        ScriptedClient stream(loop, {"EHLO " + helo + "\r\n", "MAIL FROM:<" + sender + ">\r\n", "RCPT TO:<" + recipient + ">\r\n"},
                              SIZE_MAX);
        smtpd::Client client(net::SocketAddress(*net::IpAddress::parse(client_address), 4711));
        client.name = client.reverse_name = name;
        run_task(loop, serve(*server, stream, std::move(client)), Duration::seconds(60));
        const std::string& all = stream.written;
        const size_t last = all.rfind('\n', all.size() - 2) + 1;
        return all.substr(last, all.size() - last - 2);
    }
    std::unique_ptr<net::Resolver> resolver;
};

} // namespace posthouse::test
