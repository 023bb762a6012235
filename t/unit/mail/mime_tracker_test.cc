// MIME structure of a body that arrives in pieces: what is a header field, what a line, and where things end.
#include "lib/base/cat.h"
#include "lib/mail/mime_tracker.h"
#include "t/support/catch.h"
#include "t/support/mime_items.h"

#include <string>
#include <vector>

using namespace posthouse;
using mail::MimeFault;
using mail::MimeLimits;
using test::items_of;

namespace {

const std::string mixed = "multipart/mixed; boundary=outer";
const std::string two_parts = "preamble\r\n--outer\r\nContent-Type: text/plain\r\n\r\nfirst\r\n"
                              "--outer\r\nX-One: a\r\n b\r\n\r\nsecond\r\n--outer--\r\nepilogue\r\n";

MimeLimits checking_lines()
{
    MimeLimits limits;
    limits.checked_body = 1000;
    return limits;
}

} // namespace

TEST_CASE("A body that is no multipart is lines, whatever stands in it")
{
    CHECK(items_of("text/plain", "Subject: x\r\n--outer\r\n", checking_lines()) == "L(Subject: x|)L(--outer|)");
}

TEST_CASE("The header fields of parts are told from their bodies, and boundaries are lines")
{
    CHECK(items_of(mixed, two_parts, checking_lines())
          == "L(preamble|)L(--outer|)P(Content-Type: text/plain|)T(|)L(first|)L(--outer|)P(X-One: a| b|)T(|)L(second|)"
             "L(--outer--|)L(epilogue|)");
}

TEST_CASE("Without a wish for lines bodies go by as text, and the fields are still found")
{
    CHECK(items_of(mixed, two_parts)
          == "T(preamble|--outer|)P(Content-Type: text/plain|)T(|first|--outer|)P(X-One: a| b|)T(|second|--outer--|epilogue|)");
}

TEST_CASE("The fields of an attached message are fields of a message, those of its parts are fields of parts")
{
    const std::string body = "Subject: inner\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\nX-Deep: 1\r\n\r\nx\r\n--q--\r\n";
    CHECK(items_of("message/rfc822", body)
          == "M(Subject: inner|)M(Content-Type: multipart/mixed; boundary=q|)T(|--q|)P(X-Deep: 1|)T(|x|--q--|)");
}

TEST_CASE("A part of a digest is a message when it says nothing")
{
    CHECK(items_of("multipart/digest; boundary=d", "--d\r\n\r\nSubject: first\r\n\r\ntext\r\n--d--\r\n")
          == "T(--d||)M(Subject: first|)T(|text|--d--|)");
}

TEST_CASE("An attached message that is encoded is text: its header cannot be read")
{
    CHECK(items_of("message/rfc822\nbase64", "Subject: x\r\n\r\n") == "T(Subject: x||)");
}

TEST_CASE("An outer boundary ends all parts within")
{
    const std::string body = "--outer\r\nContent-Type: multipart/mixed; boundary=inner\r\n\r\n--inner\r\nX-A: 1\r\n"
                             "--outer\r\nX-B: 2\r\n\r\n--inner\r\nX-C: no field\r\n";
    CHECK(items_of(mixed, body)
          == "T(--outer|)P(Content-Type: multipart/mixed; boundary=inner|)T(|--inner|)P(X-A: 1|)T(--outer|)P(X-B: 2|)"
             "T(|--inner|X-C: no field|)");
}

TEST_CASE("A part's header ends at a line that is no field, without an empty line")
{
    CHECK(items_of(mixed, "--outer\r\nX-A: 1\r\nno field\r\nX-B: 2\r\n--outer--\r\n")
          == "T(--outer|)P(X-A: 1|)T(no field|X-B: 2|--outer--|)");
}

TEST_CASE("A field above the limit is cut, and its rest is marked as such")
{
    MimeLimits limits;
    limits.header_field = 10;
    CHECK(items_of(mixed, "--outer\r\nX-Long: 12345\r\n more\r\n again\r\nX-B: 2\r\n\r\nx", limits)
          == "T(--outer|)P(X-Long: 12345|...)F( more| again|)P(X-B: 2|)T(|x)");
}

TEST_CASE("A long line comes in pieces, and a line end that is left over is no line")
{
    MimeLimits limits = checking_lines();
    limits.line = 4;
    CHECK(items_of("text/plain", "12345678\r\nabcd\r\n", limits) == "L(1234)L(5678)T(|)L(abcd)T(|)");
}

TEST_CASE("Of each part the first bytes come as lines")
{
    MimeLimits limits = checking_lines();
    limits.checked_body = 5;
    CHECK(items_of(mixed, "--outer\r\n\r\n123\r\n456\r\n789\r\n--outer\r\n\r\nabc\r\n", limits)
          == "L(--outer|)T(|)L(123|)T(456|789|--outer||)L(abc|)");
}

TEST_CASE("With structure turned off all is one body")
{
    MimeLimits limits;
    limits.structure = false;
    CHECK(items_of(mixed, two_parts, limits).starts_with("T(preamble|--outer|Content-Type"));
}

TEST_CASE("However the body is cut into pieces, fields and lines are the same")
{
    for (size_t piece : {1, 2, 3, 7, 30}) {
        CHECK(items_of(mixed, two_parts, checking_lines(), piece) == items_of(mixed, two_parts, checking_lines()));
        CHECK(items_of(mixed, two_parts, MimeLimits(), piece) == items_of(mixed, two_parts));
    }
}

TEST_CASE("Nesting beyond the limit is a fault, and the rest is text")
{
    MimeLimits limits;
    limits.nesting = 2;
    std::string body;
    for (int level = 0; level < 4; ++level)
        body += cat("--b", level, "\r\nContent-Type: multipart/mixed; boundary=b", level + 1, "\r\n\r\n");
    MimeFault fault = MimeFault::None;
    const std::string found = items_of("multipart/mixed; boundary=b0", body, limits, std::string::npos, &fault);
    CHECK(fault == MimeFault::Nesting);
    CHECK(found.find("P(Content-Type: multipart/mixed; boundary=b2|)") != std::string::npos);
    CHECK(found.find("P(Content-Type: multipart/mixed; boundary=b3|)") == std::string::npos);
    // Messages within messages count, too.
    std::string messages;
    for (int level = 0; level < 4; ++level)
        messages += "Content-Type: message/rfc822\r\n\r\n";
    fault = MimeFault::None;
    (void)items_of("message/rfc822", messages, limits, std::string::npos, &fault);
    CHECK(fault == MimeFault::Nesting);
}

TEST_CASE("A multipart that says it is encoded is a fault, and is read all the same")
{
    MimeFault fault = MimeFault::None;
    const std::string found = items_of(mixed + "\nbase64", two_parts, MimeLimits(), std::string::npos, &fault);
    CHECK(fault == MimeFault::EncodingDomain);
    CHECK(found.find("P(X-One") != std::string::npos);
}

TEST_CASE("Boundaries that differ behind the limit are one")
{
    MimeLimits limits;
    limits.boundary = 3;
    CHECK(items_of("multipart/mixed; boundary=abcd", "--abcx\r\nX-A: 1\r\n\r\n", limits) == "T(--abcx|)P(X-A: 1|)T(|)");
}

TEST_CASE("A line of many megabytes is read in linear time and not held")
{
    const std::string line(4 << 20, '-');
    CHECK(items_of(mixed, line, MimeLimits(), 1000).size() > line.size());
}
