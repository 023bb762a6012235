// Keys and certificates from PEM text, and what is said of those that cannot be used.
#include "lib/tls/chain.h"
#include "t/support/catch.h"
#include "t/unit/tls/certificates.h"

using namespace posthouse;
using namespace posthouse::tls;
using posthouse::test::make_pair;
using posthouse::test::TestPair;

namespace {

std::string fault_of(const std::vector<PemText>& texts)
{
    auto chains = Chain::parse(texts);
    return chains ? "" : chains.error().full_text();
}

} // namespace

TEST_CASE("a chain file holds a key and the certificates behind it, and several may follow each other")
{
    const TestPair authority = make_pair("Authority");
    const TestPair one = make_pair("one.example", &authority);
    const TestPair two = make_pair("two.example", nullptr, test::KeyKind::Rsa);
    const std::string first = one.pem() + authority.certificate;
    CHECK(Chain::parse({PemText{"a", first}})->size() == 1);
    const std::string both = first + two.pem();
    CHECK(Chain::parse({PemText{"a", both}})->size() == 2);
    CHECK(Chain::parse({PemText{"key", one.key}, PemText{"certificate", one.certificate}})->size() == 1);
}

TEST_CASE("a fault in a chain file names the file and what is wrong")
{
    const TestPair one = make_pair("one.example");
    const TestPair two = make_pair("two.example");
    const std::string mixed = one.key + two.certificate;
    CHECK(fault_of({PemText{"x", ""}}) == "x: neither a key nor a certificate in it");
    CHECK(fault_of({PemText{"x", one.key}}) == "x: the key has no certificate behind it");
    CHECK(fault_of({PemText{"x", one.certificate}}) == "x: a certificate comes before its key");
    CHECK(fault_of({PemText{"x", mixed}}) == "x: the key is not that of the certificate");
    CHECK(fault_of({PemText{"k", one.key}, PemText{"c", two.certificate}})
          == "k: the key is not that of the certificate in c");
    const std::string cut = one.pem().substr(0, one.pem().size() - 40);
    CHECK(fault_of({PemText{"x", cut}}).starts_with("x: this is not PEM: "));
    std::string damaged = one.pem();
    damaged[damaged.find("CERTIFICATE-----\n") + 20] ^= 1;
    CHECK_FALSE(fault_of({PemText{"x", damaged}}).empty());
    const std::string locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    CHECK(fault_of({PemText{"x", locked}}).find("pass phrase") != std::string::npos);
    CHECK(ERR_peek_error() == 0);
}

TEST_CASE("certificate and key may stand in two files or in one")
{
    const TestPair one = make_pair("one.example");
    const std::string both = one.pem();
    CHECK(Chain::pair(PemText{"c", one.certificate}, PemText{"k", one.key}));
    CHECK(Chain::pair(PemText{"c", both}, PemText{"c", both}));
    CHECK(Chain::pair(PemText{"c", one.key}, PemText{"k", one.key}).error().text() == "c: no certificate in it");
    CHECK(Chain::pair(PemText{"c", one.certificate}, PemText{"k", one.certificate}).error().text() == "k: no key in it");
    CHECK(Chain::pair(PemText{"c", "rubbish"}, PemText{"k", "rubbish"}).error().full_text() == "c: no certificate in it");
}

TEST_CASE("a certificate that is out of its time is used, and warned of")
{
    const TestPair ended = make_pair("one.example", nullptr, test::KeyKind::Ec, -7200, -3600);
    const TestPair future = make_pair("one.example", nullptr, test::KeyKind::Ec, 3600, 7200);
    const TestPair good = make_pair("one.example");
    CHECK(Chain::pair(PemText{"c", ended.certificate}, PemText{"k", ended.key})->warning()
          == "c: the certificate is no longer valid");
    CHECK(Chain::pair(PemText{"c", future.certificate}, PemText{"k", future.key})->warning()
          == "c: the certificate is not valid yet");
    CHECK(Chain::pair(PemText{"c", good.certificate}, PemText{"k", good.key})->warning().empty());
}
