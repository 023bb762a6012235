// Limits on users and sender domains, and greylisting: the rules of both, with a clock of the test's.
#include "t/support/catch.h"

#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "smtpd/greylist.h"
#include "smtpd/rate_limits.h"
#include "t/unit/smtpd/session_fixture.h"

#include <filesystem>

using namespace posthouse;
using namespace posthouse::smtpd;
using posthouse::test::SmtpdFixture;

namespace {

constexpr int64_t start = 1'700'000'000;

RateLimit limit(const char* text)
{
    const auto limits = parse_rate_limits(text);
    REQUIRE(limits);
    REQUIRE(limits->size() == 1);
    return limits->front();
}

// How many of `tries` messages, one each `every` seconds, get by.
int accepted(const RateLimit& of, int tries, int64_t every, std::string& record, int64_t& now)
{
    int count = 0;
    for (int i = 0; i < tries; ++i, now += every) {
        RateRecord counted(record, now);
        if (counted.sent(of) + 1 > of.count)
            continue;
        counted.add(of, 1);
        record = counted.bytes();
        ++count;
    }
    return count;
}

} // namespace

TEST_CASE("limits are read as an administrator writes them")
{
    const auto limits = parse_rate_limits("messages:100/1h, recipients:500/1d  Messages:20/90");
    REQUIRE(limits);
    REQUIRE(limits->size() == 3);
    CHECK((*limits)[0].to_text() == "100 messages in 1h");
    CHECK((*limits)[0].seconds == 3600);
    CHECK((*limits)[1].to_text() == "500 recipients in 1d");
    CHECK((*limits)[2].seconds == 90);
    CHECK(parse_rate_limits("")->empty());
    CHECK(parse_rate_limits("none")->empty());
    for (const char* wrong : {"100/1h", "messages:x/1h", "messages:1", "messages:-1/1h", "bytes:1/1h", "messages:1/0", "messages:1/32d",
                              "messages:1/1h none", "messages/1h:3", ":/", "messages:1/h",
                              "messages:1/1 messages:1/2 messages:1/3 messages:1/4 messages:1/5 messages:1/6 messages:1/7 "
                              "messages:1/8 messages:1/9"})
        CHECK_FALSE(parse_rate_limits(wrong));
}

TEST_CASE("no window of the length of a limit holds more than the limit, wherever it begins")
{
    for (const char* text : {"messages:100/1h", "messages:7/1m", "messages:3/5", "messages:1/1", "messages:50/1d", "messages:10/100"}) {
        const RateLimit one = limit(text);
        std::vector<int64_t> times;
        std::string record;
        const int64_t step = std::max<int64_t>(1, one.seconds / 300);
        for (int64_t now = start; now < start + 5 * one.seconds; now += step)
            for (int i = 0; i < 3; ++i)
                if (int64_t at = now; accepted(one, 1, 0, record, at) == 1)
                    times.push_back(now);
        for (size_t i = one.count; i < times.size(); ++i)
            CHECK(times[i] - times[i - one.count] >= one.seconds);
        CHECK(times.size() >= one.count * 3); // and it is not stricter than it says by much
    }
}

TEST_CASE("a record keeps its windows apart, and those that no limit asks for any more until they are over")
{
    RateRecord record("", start);
    record.add(limit("messages:1/1h"), 1);
    record.add(limit("messages:1/1d"), 1);
    record.add(limit("recipients:1/1h"), 5);
    const std::string bytes = record.bytes();
    CHECK(RateRecord(bytes, start).sent(limit("recipients:9/1h")) == 5);
    CHECK(RateRecord(bytes, start).sent(limit("messages:9/1h")) == 1);
    const RateRecord later(bytes, start + 3 * 3600);
    CHECK(later.sent(limit("messages:9/1h")) == 0);
    CHECK(later.sent(limit("messages:9/1d")) == 1);
    CHECK(later.bytes().size() == bytes.size() / 3);
    CHECK(later.forgotten_at() >= start + 86400);
    CHECK(later.forgotten_at() <= start + 2 * 86400);
}

TEST_CASE("junk in a record, and a clock that was set back, make no sender wait for years")
{
    for (int fill : {0, 1, 0x7f, 0xff}) {
        const RateRecord record(std::string(1000, static_cast<char>(fill)), start);
        CHECK(record.sent(limit("messages:1/1h")) == 0);
    }
    RateRecord ahead("", start + 400 * 86400);
    ahead.add(limit("messages:1/1h"), 1);
    CHECK(RateRecord(ahead.bytes(), start).sent(limit("messages:1/1h")) == 0);
}

namespace {

struct GreylistFixture {
    explicit GreylistFixture(const std::string& more = "")
    {
        char name[] = "/tmp/posthouse-greylist-XXXXXX";
        folder = ::mkdtemp(name);
        fixture = std::make_unique<SmtpdFixture>(cat("smtpd_greylist_enable = yes\nsmtpd_greylist_map = lmdb:", folder, "/g\n", more));
        REQUIRE(fixture->server->greylist);
    }
    ~GreylistFixture() { std::filesystem::remove_all(folder); }
    Greylist::Outcome at(int64_t now, const std::string& network = "net", const std::string& triplet = "a b")
    {
        return fixture->server->greylist->decide(network, triplet, start + now).outcome;
    }
    std::string folder;
    std::unique_ptr<SmtpdFixture> fixture;
};
using Outcome = Greylist::Outcome;

} // namespace

TEST_CASE("what comes again after the delay and within the window is taken, and then known")
{
    GreylistFixture grey("smtpd_greylist_auto_allow_count = 0\n");
    CHECK(grey.at(0) == Outcome::New);
    CHECK(grey.at(1) == Outcome::Early);
    CHECK(grey.at(299) == Outcome::Early);
    CHECK(grey.at(300) == Outcome::Returned);
    CHECK(grey.at(301) == Outcome::Known);
    CHECK(grey.at(301, "net", "a c") == Outcome::New);
    CHECK(grey.at(301, "other", "a b") == Outcome::New);
    CHECK(grey.at(300 + 34 * 86400) == Outcome::Known); // and for as long again
    CHECK(grey.at(300 + 68 * 86400) == Outcome::Known);
    CHECK(grey.at(300 + 104 * 86400) == Outcome::New);
}

TEST_CASE("what comes again after the window is new")
{
    GreylistFixture grey;
    CHECK(grey.at(0) == Outcome::New);
    CHECK(grey.at(2 * 86400 + 1) == Outcome::New);
    CHECK(grey.at(2 * 86400 + 2) == Outcome::Early);
}

TEST_CASE("a network that came again for several is not put off any more, for as long as it sends")
{
    GreylistFixture grey("smtpd_greylist_auto_allow_count = 2\n");
    for (const char* triplet : {"a 1", "a 2"}) {
        CHECK(grey.at(0, "net", triplet) == Outcome::New);
        CHECK(grey.at(400, "net", triplet) == Outcome::Returned);
    }
    CHECK(grey.at(401, "net", "new sender") == Outcome::TrustedNetwork);
    CHECK(grey.at(401, "other", "new sender") == Outcome::New);
    CHECK(grey.at(30 * 86400, "net", "x") == Outcome::TrustedNetwork);
    CHECK(grey.at(60 * 86400, "net", "x") == Outcome::TrustedNetwork);
    CHECK(grey.at(96 * 86400, "net", "x") == Outcome::New);
}

TEST_CASE("a key that the memory cannot hold is not put off for ever")
{
    GreylistFixture grey;
    CHECK(grey.at(0, "net", std::string(3000, 'x')) == Outcome::NoMemory);
}
