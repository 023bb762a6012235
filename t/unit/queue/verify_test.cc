// What is known of addresses, and the sender of the probes that find it out.
#include "lib/queue/verify_cache.h"
#include "lib/queue/verify_sender.h"

#include "lib/base/cat.h"
#include "t/support/catch.h"
#include "t/support/temp_queue.h"

using namespace posthouse;
using namespace posthouse::queue;

namespace {

std::unique_ptr<config::Config> configured(const std::string& main_cf)
{
    std::vector<config::Fault> faults;
    auto config = config::Config::parse(main_cf, config::Overrides(), faults);
    REQUIRE(config);
    return std::move(*config);
}

class Known {
public:
    explicit Known(const std::string& settings = "")
        : config(configured(cat("data_directory = ", folder.path(), "\n", settings))), cache(*VerifyCache::open(*config))
    {
    }
    void note(DeliveryStatus status, int64_t now_s) { cache->note("a@example.com", VerifiedAddress(status, "5.1.1", "it says so"), now_s); }
    DeliveryStatus at(int64_t now_s) { return cache->find("a@example.com", now_s)->status; }
    bool due(int64_t now_s) { return cache->refresh_due(*cache->find("a@example.com", now_s), now_s); }

    test::TempDirectory folder;
    std::unique_ptr<config::Config> config;
    std::unique_ptr<VerifyCache> cache;
};

constexpr int64_t day = 86400, start = 20000 * day;

} // namespace

TEST_CASE("What is kept of an address is read again; anything else is nothing")
{
    VerifiedAddress address(DeliveryStatus::Failed, "5.1.1", "host said: 550 no  such user");
    address.updated_s = 12;
    address.probed_s = 34;
    CHECK(decode_verified_address(encode(address)) == address);
    for (const char* text : {"", "1", "9 1 1 5.1.1 x", "0 1 1 5.1.1 x", "1 x 1 2.0.0 ok", "1 1 x 2.0.0 ok", "-1 1 1 2.0.0 ok"})
        CHECK_FALSE(decode_verified_address(text));
    CHECK(decode_verified_address("1 1 1")->text.empty());
}

TEST_CASE("A success holds 31 days and is asked for anew after 7, and no failure takes it away before")
{
    Known known;
    known.note(DeliveryStatus::Delivered, start);
    CHECK_FALSE(known.due(start + 7 * day - 1));
    CHECK(known.due(start + 7 * day));
    known.note(DeliveryStatus::Failed, start + 7 * day);
    CHECK(known.at(start + 7 * day) == DeliveryStatus::Delivered);
    CHECK_FALSE(known.due(start + 7 * day + 10)); // it was just tried
    CHECK(known.due(start + 8 * day));
    CHECK(known.at(start + 31 * day - 1) == DeliveryStatus::Delivered);
    CHECK_FALSE(known.cache->find("a@example.com", start + 31 * day));
}

TEST_CASE("A failure holds 3 days and is asked for anew after 3 hours; a temporary one after a first retry's time")
{
    Known known;
    known.note(DeliveryStatus::Failed, start);
    CHECK_FALSE(known.due(start + 3 * 3600 - 1));
    CHECK(known.due(start + 3 * 3600));
    CHECK_FALSE(known.cache->find("a@example.com", start + 3 * day));
    known.note(DeliveryStatus::Deferred, start);
    CHECK_FALSE(known.due(start + 299));
    CHECK(known.due(start + 300));
    known.note(DeliveryStatus::Delivered, start + 300);
    CHECK(known.at(start + 300) == DeliveryStatus::Delivered);
}

TEST_CASE("Without a negative cache only successes are kept")
{
    Known known("address_verify_negative_cache = no\n");
    known.note(DeliveryStatus::Failed, start);
    CHECK_FALSE(known.cache->find("a@example.com", start));
    known.note(DeliveryStatus::Delivered, start);
    CHECK(known.at(start) == DeliveryStatus::Delivered);
}

TEST_CASE("Probes come from one address, or from another in each time, and the one before is still known")
{
    const VerifySender usual(*configured("myorigin = example.org\n"));
    CHECK(usual.address(start) == "double-bounce@example.org");
    CHECK(usual.is("Double-Bounce@EXAMPLE.org", start));
    CHECK_FALSE(usual.is("double-bounce@example.com", start));
    CHECK_FALSE(usual.is("", start));
    const VerifySender changing(*configured("address_verify_sender = probe@example.com\naddress_verify_sender_ttl = 1h\n"));
    const std::string address = changing.address(start);
    CHECK(address == cat("probe", start / 3600, "@example.com"));
    CHECK(changing.is(address, start));
    CHECK(changing.is(address, start + 3600));
    CHECK_FALSE(changing.is(address, start + 7200));
    CHECK_FALSE(changing.is("probe@example.com", start));
    const VerifySender null(*configured("address_verify_sender =\n"));
    CHECK(null.address(start).empty());
    CHECK_FALSE(null.is("", start));
}
