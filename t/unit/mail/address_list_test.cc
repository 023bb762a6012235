// Address lists in header fields.
#include "lib/mail/address_list.h"
#include "t/support/catch.h"

using namespace posthouse;
using mail::addresses_of;
using List = std::vector<std::string>;

TEST_CASE("addresses are found beside names, comments and groups")
{
    CHECK(addresses_of(" John Doe <john@example.com>, jane@example.com (Jane, the other)") ==
          List{"john@example.com", "jane@example.com"});
    CHECK(addresses_of("\"Doe, John\" <\"john doe\"@example.com>") == List{"\"john doe\"@example.com"});
    CHECK(addresses_of("Friends: a@b.example, c@d.example; , e@f.example") == List{"a@b.example", "c@d.example", "e@f.example"});
    CHECK(addresses_of("undisclosed-recipients:;").empty());
    CHECK(addresses_of("user") == List{"user"});
    CHECK(addresses_of("a @ b . example") == List{"a@b.example"});
    CHECK(addresses_of("a@[IPv6:2001:db8::1]") == List{"a@[IPv6:2001:db8::1]"});
    CHECK(addresses_of("<@r.example:a@b.example>") == List{"@r.example:a@b.example"});
    CHECK(addresses_of("John Doe").empty());
    CHECK(addresses_of("<>").empty());
    CHECK(addresses_of("a(x\\)(y))@b.example,\r\n c@d.example") == List{"a@b.example", "c@d.example"});
}

TEST_CASE("an address is replaced in place, and all around it stays")
{
    std::string body = " John (the man) <john> , \r\n\tx: jane (too);";
    auto listed = mail::parse_address_list(body);
    REQUIRE(listed.size() == 2);
    for (size_t i = listed.size(); i-- > 0;)
        body.replace(listed[i].begin, listed[i].end - listed[i].begin, listed[i].address + "@example.com");
    CHECK(body == " John (the man) <john@example.com> , \r\n\tx: jane@example.com (too);");
}

TEST_CASE("hostile lists take linear time and no recursion")
{
    CHECK(addresses_of(std::string(1000000, '(')).empty());
    CHECK(addresses_of(std::string(1000000, '<')).empty());
    CHECK(addresses_of(std::string(1000001, '"')).size() <= 1);
    std::string many;
    for (int i = 0; i < 30000; ++i)
        many += "a@b.example,";
    CHECK(addresses_of(many).size() == mail::most_listed_addresses);
    CHECK(addresses_of("a\\").size() <= 1);
    CHECK(addresses_of("\"a\\").size() <= 1);
}

TEST_CASE("a display name is quoted when it must be")
{
    CHECK(mail::quote_phrase("John Doe") == "John Doe");
    CHECK(mail::quote_phrase("Doe, John") == "\"Doe, John\"");
    CHECK(mail::quote_phrase("a\"b\\\r\n") == "\"a\\\"b\\\\  \"");
}
