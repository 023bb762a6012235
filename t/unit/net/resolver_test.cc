#include "lib/net/resolver.h"

#include "t/support/catch.h"
#include "t/support/run_task.h"
#include "t/unit/net/name_server.h"

#include <fstream>

using namespace posthouse;
using namespace posthouse::net;
using posthouse::test::NameServer;
using posthouse::test::run_task;

namespace {

const char* const zone_head = "$TTL 60\n@ SOA ns root 1 60 60 60 5\n@ NS ns\nns A 127.0.0.1\n";

std::string zone()
{
    std::string text = zone_head;
    text += "@ MX 20 b\n@ MX 10 a\nnull MX 0 .\na A 192.0.2.1\na AAAA 2001:db8::1\nb A 192.0.2.2\n"
            "only4 A 192.0.2.3\nalias CNAME a\ntext TXT \"one \" \"two\"\n_25._tcp.a TLSA 3 1 1 00ff\n";
    for (int i = 0; i < 30; ++i)
        text += "long TXT \"" + std::to_string(i) + std::string(200, 'x') + "\"\n";
    return text;
}

struct Fixture {
    Fixture() : server(NameServer::start(zone())) {}
    std::unique_ptr<Resolver> resolver(size_t cache_size = 100)
    {
        ResolverOptions options;
        options.servers = server->address();
        options.hosts_file = "/dev/null";
        options.cache_size = cache_size;
        options.query_timeout = Duration::milliseconds(300);
        options.tries = 2;
        auto made = Resolver::create(loop, std::move(options));
        REQUIRE(made);
        return std::move(*made);
    }
    Deadline soon() const { return Deadline::after(Duration::seconds(5)); }
    Loop loop;
    std::unique_ptr<NameServer> server;
};

#define SKIP_WITHOUT_SERVER(fixture)                                                                                   \
    if (!(fixture).server) {                                                                                           \
        WARN("no name server is installed: skipped");                                                                  \
        return;                                                                                                        \
    }

} // namespace

TEST_CASE("the resolver finds what a real name server says of each type")
{
    Fixture f;
    SKIP_WITHOUT_SERVER(f)
    auto resolver = f.resolver();

    const auto mx = run_task(f.loop, resolver->mx("Example.test.", f.soon()));
    REQUIRE(mx.found());
    REQUIRE(mx.records.size() == 2);
    CHECK(mx.records[0] == MxRecord(10, "a.example.test"));
    CHECK_FALSE(mx.authenticated);

    const auto null_mx = run_task(f.loop, resolver->mx("null.example.test", f.soon()));
    REQUIRE(null_mx.records.size() == 1);
    CHECK(null_mx.records[0].host.empty());

    const auto both = run_task(f.loop, resolver->addresses("a.example.test", Family::Any, f.soon()));
    REQUIRE(both.addresses.size() == 2);
    CHECK(both.addresses[0].to_text() == "2001:db8::1");
    CHECK(both.addresses[1].to_text() == "192.0.2.1");
    CHECK(run_task(f.loop, resolver->addresses("only4.example.test", Family::Any, f.soon())).addresses.size() == 1);
    CHECK(run_task(f.loop, resolver->addresses("only4.example.test", Family::V6, f.soon())).state == Answer::State::NoData);

    const auto alias = run_task(f.loop, resolver->addresses("alias.example.test", Family::V4, f.soon()));
    CHECK(alias.found());
    CHECK(alias.name == "a.example.test");

    CHECK(run_task(f.loop, resolver->txt("text.example.test", f.soon())).texts.at(0) == "one two");
    CHECK(run_task(f.loop, resolver->ptr(*IpAddress::parse("192.0.2.1"), f.soon())).names.at(0) == "host.example.test");
    CHECK(run_task(f.loop, resolver->ns("Example.test", f.soon())).names.at(0) == "ns.example.test");
    CHECK(run_task(f.loop, resolver->ns("a.example.test", f.soon())).state == Answer::State::NoData);
    const auto tlsa = run_task(f.loop, resolver->tlsa("_25._tcp.a.example.test", f.soon()));
    REQUIRE(tlsa.records.size() == 1);
    CHECK(tlsa.records[0].usage == 3);
    CHECK(tlsa.records[0].data == std::string("\0\xff", 2));
}

TEST_CASE("a long answer comes over TCP")
{
    Fixture f;
    SKIP_WITHOUT_SERVER(f)
    auto resolver = f.resolver();
    const auto answer = run_task(f.loop, resolver->txt("long.example.test", f.soon()));
    CHECK(answer.texts.size() == 30);
}

TEST_CASE("absent names, absent data and a server's failure are three different states with Postfix's words")
{
    Fixture f;
    SKIP_WITHOUT_SERVER(f)
    auto resolver = f.resolver();
    const auto absent = run_task(f.loop, resolver->mx("none.example.test", f.soon()));
    CHECK(absent.state == Answer::State::NoDomain);
    CHECK(absent.detail == "Name service error for name=none.example.test type=MX: Host not found");
    const auto no_data = run_task(f.loop, resolver->mx("a.example.test", f.soon()));
    CHECK(no_data.state == Answer::State::NoData);
    CHECK(no_data.detail.find("Host found but no data record of requested type") != std::string::npos);
    const auto failed = run_task(f.loop, resolver->mx("broken.test", f.soon()));
    CHECK(failed.state == Answer::State::Temporary);
    CHECK(failed.detail.find("Host not found, try again") != std::string::npos);
    CHECK(run_task(f.loop, resolver->mx("not a name", f.soon())).state == Answer::State::NoDomain);
}

TEST_CASE("answers, also negative ones, are kept as long as they live; a dead server is a temporary error")
{
    Fixture f;
    SKIP_WITHOUT_SERVER(f)
    auto resolver = f.resolver();
    run_task(f.loop, resolver->mx("example.test", f.soon()));
    run_task(f.loop, resolver->mx("none.example.test", f.soon()));
    f.server->stop();
    CHECK(run_task(f.loop, resolver->mx("example.test", f.soon())).found());
    CHECK(run_task(f.loop, resolver->mx("none.example.test", f.soon())).state == Answer::State::NoDomain);
    CHECK(run_task(f.loop, resolver->mx("other.example.test", f.soon())).state == Answer::State::Temporary);
}

TEST_CASE("the cache holds no more answers than it may")
{
    Fixture f;
    SKIP_WITHOUT_SERVER(f)
    auto resolver = f.resolver(1);
    run_task(f.loop, resolver->mx("example.test", f.soon()));
    run_task(f.loop, resolver->txt("text.example.test", f.soon()));
    f.server->stop();
    CHECK(run_task(f.loop, resolver->txt("text.example.test", f.soon())).found());
    CHECK(run_task(f.loop, resolver->mx("example.test", f.soon())).temporary());
}

TEST_CASE("a deadline ends the wait, and a resolver can end with questions under way")
{
    Fixture f;
    SKIP_WITHOUT_SERVER(f)
    auto resolver = f.resolver();
    f.server->stop();
    const Instant start = Instant::now();
    const auto answer =
        run_task(f.loop, resolver->mx("example.test", Deadline::after(Duration::milliseconds(100))));
    CHECK(answer.temporary());
    CHECK(Instant::now() - start < Duration::seconds(2));
    {
        TaskGroup group(f.loop);
        std::optional<AddressAnswer> never;
        group.spawn(test::store_result(resolver->addresses("x.example.test", Family::Any, Deadline::never()), never));
        f.loop.run_once(Duration::milliseconds(1));
    }
    resolver.reset();
    CHECK(task_detail::live_frames == 0);
}

TEST_CASE("the hosts file comes before the name server, and an address literal needs neither")
{
    Loop loop;
    const std::string path = "/tmp/posthouse-hosts-" + std::to_string(::getpid());
    std::ofstream(path) << "192.0.2.9 here.example.test\n";
    ResolverOptions options;
    options.servers = "127.0.0.1:9";
    options.hosts_file = path;
    auto resolver = Resolver::create(loop, options);
    ::unlink(path.c_str());
    REQUIRE(resolver);
    const Deadline soon = Deadline::after(Duration::seconds(1));
    CHECK(run_task(loop, (*resolver)->addresses("HERE.example.test", Family::Any, soon)).addresses.at(0).to_text() == "192.0.2.9");
    CHECK(run_task(loop, (*resolver)->addresses("::1", Family::Any, soon)).addresses.size() == 1);
    CHECK(run_task(loop, (*resolver)->ptr(*IpAddress::parse("192.0.2.9"), soon)).names.at(0) == "here.example.test");
    ResolverOptions two;
    two.servers = "127.0.0.1:9, [::1]:9";
    CHECK(Resolver::create(loop, two));
    CHECK_FALSE(Resolver::create(loop, [] { ResolverOptions bad; bad.servers = "nonsense"; return bad; }()));
}
