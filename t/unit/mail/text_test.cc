// xtext, UTF-8, dates and domain names in other scripts.
#include "lib/mail/date.h"
#include "lib/mail/idn.h"
#include "lib/mail/utf8.h"
#include "lib/mail/xtext.h"
#include "t/support/catch.h"

#include <cstdlib>
#include <ctime>

using namespace posthouse;
using namespace posthouse::mail;

TEST_CASE("xtext is decoded strictly and never to NUL, CR or LF")
{
    CHECK(decode_xtext("a+2Bb+3D+20") == "a+b= ");
    CHECK(decode_xtext("") == "");
    for (std::string_view bad : {"a=b", "a b", "+", "+4", "+zz", "a+00", "+0D", "+0a", "\x7f", "\xc3\xa4"})
        CHECK_FALSE(decode_xtext(bad));
    CHECK(encode_xtext("a+b= \xc3\xa4") == "a+2Bb+3D+20+C3+A4");
}

TEST_CASE("ORCPT of type utf-8 takes embedded code points, and goes out in the form that the peer takes")
{
    CHECK(decode_orcpt("utf-8;\\x{E4}@b.example") == "utf-8;\xc3\xa4@b.example");
    CHECK(decode_orcpt("utf-8;\xc3\xa4@b.example") == "utf-8;\xc3\xa4@b.example");
    CHECK(decode_orcpt("rfc822;a+2Bb@c.example") == "rfc822;a+b@c.example");
    for (std::string_view bad : {"a@b", ";a", "rfc822;", "utf-8;\\x{}", "utf-8;\\x{110000}", "utf-8;\\x{D800}", "utf-8;\\x{A}",
                                 "utf-8;\\x{0}", "utf-8;\\x", "utf-8;\xc3", "r f;a"})
        CHECK_FALSE(decode_orcpt(bad));
    CHECK(encode_orcpt("utf-8;\xc3\xa4+\\@b.example", false) == "utf-8;\\x{E4}\\x{2B}\\x{5C}@b.example");
    CHECK(encode_orcpt("utf-8;\xc3\xa4@b.example", true) == "utf-8;\xc3\xa4@b.example");
    CHECK(encode_orcpt("rfc822;a+b@c.example", true) == "rfc822;a+2Bb@c.example");
    for (std::string_view text : {"utf-8;\xc3\xa4 =+\\x{41}@b", "rfc822;a b=c+d@e"})
        CHECK(decode_orcpt(encode_orcpt(text, false)) == text);
}

TEST_CASE("UTF-8 is well formed or it is not UTF-8")
{
    CHECK(is_utf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
    for (std::string_view bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                                 "\xe2\x82", "\xc3", "\xff"})
        CHECK_FALSE(is_utf8(bad));
    std::string out;
    CHECK_FALSE(append_utf8(out, 0xd800));
    CHECK_FALSE(append_utf8(out, 0x110000));
    CHECK(append_utf8(out, 0x1f600));
    CHECK(out == "\xf0\x9f\x98\x80");
}

TEST_CASE("dates are written as RFC 5322 wants them")
{
    setenv("TZ", "UTC", 1);
    tzset();
    CHECK(format_date(1795318681000000) == "Sun, 22 Nov 2026 03:38:01 +0000 (UTC)");
    CHECK(compact_utc_time(1795318681000000) == "20261122033801");
    setenv("TZ", "XYZ3:30", 1);
    tzset();
    CHECK(format_date(1795318681000000) == "Sun, 22 Nov 2026 00:08:01 -0330 (XYZ)");
    setenv("TZ", "UTC", 1);
    tzset();
}

TEST_CASE("domain names go to A-labels and back")
{
    CHECK(domain_to_ascii("b\xc3\xbc" "cher.example") == "xn--bcher-kva.example");
    CHECK(domain_to_ascii("Example.COM") == "example.com");
    CHECK(domain_to_unicode("xn--bcher-kva.example") == "b\xc3\xbc" "cher.example");
    CHECK_FALSE(domain_to_ascii("\xc3.example"));
    CHECK(domain_to_unicode("xn--999999999") == "xn--999999999");
}
