// The stored form of an envelope.
#include "lib/mail/envelope.h"
#include "t/support/catch.h"

using namespace posthouse;
using namespace posthouse::mail;

namespace {
Envelope sample()
{
    Envelope envelope;
    envelope.id = "4Wxyz";
    envelope.arrival_us = 1795318681123456;
    envelope.sender = "a@b.example";
    envelope.envid = "QQ";
    envelope.ret = Return::Headers;
    envelope.smtputf8 = true;
    envelope.hold = true;
    envelope.trace = TraceVerify;
    envelope.client_address = "192.0.2.1";
    envelope.verp_delimiters = "+=";
    Recipient recipient("c@d.example");
    recipient.original = "x@d.example";
    recipient.orcpt = "rfc822;x@d.example";
    recipient.notify = NotifySuccess | NotifyDelay;
    envelope.recipients = {recipient, Recipient("e@f.example")};
    return envelope;
}
std::string encoded(const Envelope& envelope)
{
    std::string out;
    encode(envelope, out);
    return out;
}
} // namespace

TEST_CASE("an envelope survives being stored")
{
    auto back = decode_envelope(encoded(sample()));
    REQUIRE(back);
    CHECK(*back == sample());
}

TEST_CASE("an envelope cut anywhere, or with more behind it, is refused")
{
    const std::string whole = encoded(sample());
    for (size_t size = 0; size < whole.size(); ++size)
        CHECK_FALSE(decode_envelope(std::string_view(whole).substr(0, size)));
    CHECK_FALSE(decode_envelope(whole + "x"));
    CHECK_FALSE(decode_envelope("\x02" + whole.substr(1)));
}

TEST_CASE("what is said of TLS survives being stored, in a form that older readers refuse; all else keeps the older form")
{
    for (const bool required : {true, false}) {
        Envelope envelope = sample();
        (required ? envelope.requiretls : envelope.tls_optional) = true;
        const std::string bytes = encoded(envelope);
        CHECK(bytes.front() == 2);
        auto back = decode_envelope(bytes);
        REQUIRE(back);
        CHECK(*back == envelope);
        CHECK_FALSE(decode_envelope("\x01" + bytes.substr(1))); // flags that version 1 does not have
    }
    CHECK(encoded(sample()).front() == 1);
}

TEST_CASE("NUL, CR and LF in a field are refused")
{
    for (char bad : {'\0', '\r', '\n'}) {
        Envelope envelope = sample();
        envelope.recipients[1].address.push_back(bad);
        CHECK_FALSE(decode_envelope(encoded(envelope)));
        envelope = sample();
        envelope.helo = std::string(1, bad);
        CHECK_FALSE(decode_envelope(encoded(envelope)));
    }
}

TEST_CASE("what an envelope's reader would refuse is known before it is written")
{
    const auto size = encoded_size(sample());
    REQUIRE(size);
    CHECK(*size == encoded(sample()).size());
    EnvelopeLimits limits;
    limits.recipients = 1;
    REQUIRE_FALSE(encoded_size(sample(), limits));
    CHECK(encoded_size(sample(), limits).error().dsn() == "5.5.3");
    limits = EnvelopeLimits();
    limits.text = 3;
    REQUIRE_FALSE(encoded_size(sample(), limits));
    CHECK(encoded_size(sample(), limits).error().kind() == ErrorKind::Permanent);
    Envelope broken = sample();
    broken.recipients[1].orcpt = "a\nb";
    CHECK_FALSE(encoded_size(broken));
}

TEST_CASE("limits of an envelope hold before memory is taken")
{
    EnvelopeLimits limits;
    limits.recipients = 1;
    CHECK_FALSE(decode_envelope(encoded(sample()), limits));
    limits = EnvelopeLimits();
    limits.text = 3;
    CHECK_FALSE(decode_envelope(encoded(sample()), limits));
    Envelope none;
    std::string bytes = encoded(none);
    bytes.replace(bytes.size() - 4, 4, "\xff\xff\xff\xff", 4);
    CHECK_FALSE(decode_envelope(bytes));
}
