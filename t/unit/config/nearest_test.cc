// The known name nearest to a mistyped one.
#include "lib/config/nearest.h"
#include "t/support/catch.h"

using namespace posthouse::config;

TEST_CASE("the distance counts added, dropped, changed and swapped characters")
{
    CHECK(edit_distance("abc", "abc") == 0);
    CHECK(edit_distance("abc", "abxc") == 1);
    CHECK(edit_distance("abc", "ac") == 1);
    CHECK(edit_distance("abc", "axc") == 1);
    CHECK(edit_distance("abc", "acb") == 1);
    CHECK(edit_distance("", "abc") == 3);
}

TEST_CASE("what is too far off is not proposed")
{
    CHECK(nearest_name("relayhots", {"relayhost", "relay_domains"}) == "relayhost");
    CHECK(nearest_name("something_else", {"relayhost", "relay_domains"}).empty());
    CHECK(nearest_name("xy", {"ab"}).empty());
}
