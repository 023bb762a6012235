// Queue ids in Postfix's long form.
#include "lib/queue/queue_id.h"
#include "t/support/catch.h"

using namespace posthouse::queue;

TEST_CASE("A queue id gives back its time and its slot's number")
{
    for (const int64_t us : {int64_t{0}, int64_t{1}, int64_t{1763780000123456}, int64_t{1763780000999999}}) {
        for (const uint64_t number : {uint64_t{0}, uint64_t{50}, uint64_t{51}, uint64_t{298}, UINT64_MAX}) {
            const std::string id = make_id(us, number);
            CHECK(id.size() <= longest_queue_id);
            CHECK(number_of(id) == number);
            CHECK(time_of(id) == us);
        }
    }
}

TEST_CASE("A queue id has the shape of Postfix's long ids")
{
    const std::string id = make_id(1763780000123456, 298);
    CHECK(id.find_first_not_of("0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz") == std::string::npos);
    CHECK(id.rfind('z') >= 10);
    CHECK(make_id(1763780000123456, 0).ends_with("z0"));
}

TEST_CASE("Later ids of a slot sort behind earlier ones")
{
    CHECK(make_id(1763780000123456, 7) < make_id(1763780000123457, 7));
    CHECK(make_id(1763780000999999, 7) < make_id(1763780001000000, 7));
}

TEST_CASE("Text that is no queue id is refused")
{
    for (const char* text : {"", "z", "abc", "4Wxyz", "../../etc/passwd", "0000000000z", "0000000000zA", "0000000000zz0",
                             "00000000000z1", "0000000000z01", "4WxYz!bcdfz9", "0000009999z1", "ALL"})
        CHECK_FALSE(number_of(text).has_value());
    CHECK_FALSE(number_of(std::string(100, '1') + "z1").has_value());
}
