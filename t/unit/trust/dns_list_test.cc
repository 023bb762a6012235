#include "lib/trust/dns_list.h"

#include "lib/net/resolver.h"
#include "t/support/catch.h"
#include "t/support/run_task.h"
#include "t/unit/net/name_server.h"

using namespace posthouse;
using namespace posthouse::trust;
using posthouse::test::NameServer;
using posthouse::test::run_task;

namespace {

net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }

bool filter_matches(const char* filter, const char* address)
{
    const auto parsed = AddressFilter::parse(filter);
    REQUIRE(parsed);
    return parsed->matches(ip(address));
}

DnsList list(const char* text)
{
    auto parsed = DnsList::parse_weighted(text);
    REQUIRE(parsed);
    return std::move(*parsed);
}

const char* const zone = "$TTL 60\n@ SOA ns root 1 60 60 60 5\n@ NS ns\nns A 127.0.0.1\n"
                         "2.0.0.127.bl A 127.0.0.2\n2.0.0.127.bl A 127.0.0.10\n"
                         "2.0.0.127.bl TXT \"listed, \" \"see there\"\n"
                         "2.0.0.127.wl A 127.0.5.1\n"
                         "spam.invalid.bl A 127.0.0.4\n"
                         "$ORIGIN bl.example.test.\n"
                         "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2 A 127.0.0.3\n";

struct Fixture {
    Fixture() : server(NameServer::start(zone))
    {
        net::ResolverOptions options;
        options.servers = server ? server->address() : "127.0.0.1:9";
        options.hosts_file = "/dev/null";
        options.query_timeout = Duration::milliseconds(300);
        options.tries = 1;
        auto made = net::Resolver::create(loop, std::move(options));
        REQUIRE(made);
        resolver = std::move(*made);
    }
    Deadline soon() const { return Deadline::after(Duration::seconds(5)); }
    ListAnswer ask(const char* site, const char* address)
    {
        return run_task(loop, ask_list(*resolver, list(site), list_key(ip(address)), soon()));
    }
    Loop loop;
    std::unique_ptr<NameServer> server;
    std::unique_ptr<net::Resolver> resolver;
};

#define SKIP_WITHOUT_SERVER(fixture)                                                                                   \
    if (!(fixture).server) {                                                                                           \
        WARN("no name server is installed: skipped");                                                                  \
        return;                                                                                                        \
    }

} // namespace

TEST_CASE("a filter is four numbers or patterns of numbers and ranges")
{
    CHECK(filter_matches("127.0.0.2", "127.0.0.2"));
    CHECK_FALSE(filter_matches("127.0.0.2", "127.0.0.3"));
    CHECK(filter_matches("127.0.[0..255].[1;3;5..7]", "127.0.9.6"));
    CHECK(filter_matches("127.0.[0..255].[1;3;5..7]", "127.0.0.1"));
    CHECK_FALSE(filter_matches("127.0.[0..255].[1;3;5..7]", "127.0.0.4"));
    CHECK_FALSE(filter_matches("127.0.[0..255].[1;3;5..7]", "127.1.0.1"));
    CHECK_FALSE(filter_matches("[0..255].[0..255].[0..255].[0..255]", "::1"));
}

TEST_CASE("a filter that is none is refused")
{
    for (const char* bad : {"", "127", "127.0.0", "127.0.0.2.1", "127.0.0.256", "127.0.0.", "127.0.0.[2", "127.0.0.[]",
                            "127.0.0.[2;]", "127.0.0.[7..2]", "127.0.0.[1..]", "127.0.0.2x", "127.0.0.[2]x", "a.b.c.d",
                            "127.0.0.[1...3]", "127..0.2", "127.0.0.-1"}) {
        INFO(bad);
        CHECK_FALSE(AddressFilter::parse(bad));
    }
}

TEST_CASE("a list is a domain with filter and weight; the weight may be negative")
{
    CHECK(list("Zen.Example.").domain == "zen.example");
    CHECK(list("zen.example").weight == 1);
    const DnsList both = list("zen.example=127.0.0.[2..4]*-3");
    CHECK(both.domain == "zen.example");
    CHECK(both.weight == -3);
    CHECK(both.counts(ip("127.0.0.3")));
    CHECK_FALSE(both.counts(ip("127.0.0.5")));
    CHECK(list("zen.example*2").weight == 2);
    for (const char* bad : {"", "=127.0.0.2", "a b", "zen.example=", "zen.example*", "zen.example*x", "zen.example*2x",
                            "zen.example*99999999999", "zen..example", "zen.example=127.0.0.2=127.0.0.3"}) {
        INFO(bad);
        CHECK_FALSE(DnsList::parse_weighted(bad));
    }
    CHECK(DnsList::parse("zen.example=127.0.0.2"));
    CHECK_FALSE(DnsList::parse("zen.example=127.0.0.2*2"));
}

TEST_CASE("a real name server says who is listed, with which addresses, and why")
{
    Fixture f;
    SKIP_WITHOUT_SERVER(f)
    const ListAnswer any = f.ask("bl.example.test", "127.0.0.2");
    CHECK(any.state == ListState::Listed);
    CHECK(any.addresses.size() == 2);
    const ListAnswer one = f.ask("bl.example.test=127.0.0.[9..11]", "127.0.0.2");
    CHECK(one.state == ListState::Listed);
    REQUIRE(one.addresses.size() == 1);
    CHECK(one.addresses[0].to_text() == "127.0.0.10");
    CHECK(f.ask("bl.example.test=127.0.0.7", "127.0.0.2").state == ListState::Unlisted);
    CHECK(f.ask("bl.example.test", "127.0.0.3").state == ListState::Unlisted);
    CHECK(f.ask("bl.example.test", "2001:db8::1").state == ListState::Listed);
    CHECK(f.ask("bl.example.test", "::ffff:127.0.0.2").state == ListState::Listed);
    CHECK(run_task(f.loop, ask_list(*f.resolver, list("bl.example.test"), "spam.invalid", f.soon())).state
          == ListState::Listed);

    const std::string key = list_key(ip("127.0.0.2"));
    CHECK(run_task(f.loop, list_reason(*f.resolver, list("bl.example.test"), key, f.soon())) == "listed, see there");
    CHECK(run_task(f.loop, list_reason(*f.resolver, list("wl.example.test"), key, f.soon())).empty());
}

TEST_CASE("a list whose server fails or is silent is neither listed nor unlisted")
{
    Fixture f;
    SKIP_WITHOUT_SERVER(f)
    const ListAnswer failed = f.ask("bl.broken.test", "127.0.0.2");
    CHECK(failed.state == ListState::Unknown);
    CHECK(failed.detail.find("try again") != std::string::npos);
    f.server->stop();
    CHECK(f.ask("bl.example.test", "127.0.0.2").state == ListState::Unknown);
}

TEST_CASE("several lists are asked at the same time, and their weights add up")
{
    Fixture f;
    SKIP_WITHOUT_SERVER(f)
    std::vector<DnsList> lists;
    for (const char* site : {"bl.example.test=127.0.0.2*3", "bl.example.test=127.0.0.10*2", "bl.example.test=127.0.0.9*50",
                             "wl.example.test*-4", "none.example.test*100", "bl.broken.test*1000"})
        lists.push_back(list(site));
    const auto answers =
        run_task(f.loop, ask_lists(f.loop, *f.resolver, lists, list_key(ip("127.0.0.2")), f.soon()));
    REQUIRE(answers.size() == lists.size());
    CHECK(answers[2].state == ListState::Unlisted);
    CHECK(answers[5].state == ListState::Unknown);
    CHECK(total_weight(lists, answers) == 1);

    f.server->stop(); // one silent server costs one deadline, not one for each list
    const Instant start = Instant::now();
    const auto late = run_task(f.loop, ask_lists(f.loop, *f.resolver, lists, list_key(ip("127.0.0.99")),
                                                 Deadline::after(Duration::milliseconds(200))));
    CHECK(late[0].state == ListState::Unknown);
    CHECK(Instant::now() - start < Duration::milliseconds(900));
}

TEST_CASE("a question to the lists can be cancelled at any moment")
{
    Fixture f;
    SKIP_WITHOUT_SERVER(f)
    f.server->stop();
    {
        TaskGroup group(f.loop);
        std::optional<std::vector<ListAnswer>> never;
        std::vector<DnsList> lists(2, list("bl.example.test"));
        group.spawn(test::store_result(ask_lists(f.loop, *f.resolver, lists, "x", Deadline::never()), never));
        f.loop.run_once(Duration::milliseconds(1));
    }
    f.resolver.reset();
    CHECK(task_detail::live_frames == 0);
}
