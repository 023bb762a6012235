#include "lib/smtp/content_facts.h"

#include "lib/smtp/data_reader.h"
#include "t/support/catch.h"

#include <string>

using namespace posthouse;
using smtp::facts_of_content;

TEST_CASE("8-bit characters count for the part that they are in")
{
    CHECK(facts_of_content("Subject: x\r\n\r\nplain\r\n") == smtp::ContentFacts::from_stored(0, 10));
    const auto header = facts_of_content("Subject: \xc3\xbc\r\n\r\nplain\r\n");
    CHECK(header.has_8bit_header);
    CHECK_FALSE(header.has_8bit_body);
    const auto body = facts_of_content("Subject: x\r\n\r\n\xc3\xbc\r\n");
    CHECK_FALSE(body.has_8bit_header);
    CHECK(body.has_8bit_body);
    const auto as_header = smtp::facts_of_header("A: x\r\n\r\n\xc3\xbc\r\n");
    CHECK(as_header.has_8bit_header);
    CHECK_FALSE(as_header.has_8bit_body);
}

TEST_CASE("leading dots and the longest line are those of the whole message")
{
    const auto facts = facts_of_content("A: x\r\n\r\n.dot\r\n" + std::string(998, 'y') + "\r\nz\r\n");
    CHECK(facts.has_leading_dot);
    CHECK(facts.longest_line == 998);
    CHECK_FALSE(facts.has_bare);
    CHECK(facts_of_content("A: x\r\n\r\n" + std::string(70, 'y')).longest_line == 70); // an end without a line end
    CHECK(facts_of_content("") == smtp::ContentFacts());
}

TEST_CASE("the facts of a message are the same whether it was received or made here")
{
    const std::string content = "Subject: \xc3\xbc\r\n\r\n.a\r\n\xc3\xbc and more\r\n";
    smtp::DataReader reader;
    std::string rest = "Subject: \xc3\xbc\r\n\r\n..a\r\n\xc3\xbc and more\r\n.\r\n";
    while (!rest.empty()) {
        const auto step = reader.scan(rest);
        rest.erase(0, step.consumed);
        if (step.finished)
            break;
    }
    CHECK(facts_of_content(content) == reader.facts());
}
