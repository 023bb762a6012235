// The client's side: whom it believes at which level; and contexts that cannot be made, with the reason.
#include "lib/tls/client_context.h"
#include "t/unit/tls/stream_fixture.h"

using namespace posthouse;
using namespace posthouse::test;
using tls::ClientLevel;
using tls::PeerTrust;

namespace {

tls::ClientWish wish(std::vector<std::string> names)
{
    tls::ClientWish wanted;
    wanted.level = ClientLevel::Verify;
    wanted.server_name = "mx.example.com";
    wanted.names = std::move(names);
    return wanted;
}

const TestPair& authority()
{
    static const TestPair made = test::make_pair("Authority");
    return made;
}

// How the client judges a server with this certificate, knowing one authority.
tls::SessionInfo judged(const TestPair& shown, const tls::ClientWish& wanted)
{
    Loop loop;
    Session session(loop, server_context(shown, server_settings()), client_context(authority().certificate), wanted);
    REQUIRE(session.good());
    return session.client->info();
}

std::string context_fault(const tls::ServerSettings& settings, const TestPair& pair)
{
    std::vector<std::string> remarks;
    auto made = tls::ServerContext::create(settings, files_of({{"/chain", pair.pem()}}), nullptr, nullptr, remarks);
    return made ? "" : made.error().full_text();
}

} // namespace

TEST_CASE("a server is verified when a known authority vouches for one of the names that were wanted")
{
    const TestPair good = test::make_pair("mx.example.com", &authority());
    CHECK(judged(good, wish({"mx.example.com"})).trust == PeerTrust::Verified);
    CHECK(judged(good, wish({"other.example", "mx.example.com"})).trust == PeerTrust::Verified);
    CHECK(judged(good, wish({".example.com"})).trust == PeerTrust::Verified);
    CHECK(judged(good, wish({})).trust == PeerTrust::Trusted);
    const tls::SessionInfo other = judged(good, wish({"mx.example.org"}));
    CHECK(other.trust == PeerTrust::Untrusted);
    CHECK(other.trust_fault == "hostname mismatch");
    const TestPair wild = test::make_pair("*.example.com", &authority());
    CHECK(judged(wild, wish({"mx.example.com"})).trust == PeerTrust::Verified);
    CHECK(judged(wild, wish({"example.com"})).trust == PeerTrust::Untrusted);
}

TEST_CASE("a server that nobody vouches for, or whose certificate has ended, is not trusted, and the reason is kept")
{
    const TestPair unknown = test::make_pair("mx.example.com");
    CHECK(judged(unknown, wish({"mx.example.com"})).trust == PeerTrust::Untrusted);
    CHECK(judged(unknown, wish({"mx.example.com"})).trust_fault == "self-signed certificate");
    const TestPair ended = test::make_pair("mx.example.com", &authority(), test::KeyKind::Ec, -7200, -3600);
    const tls::SessionInfo info = judged(ended, wish({"mx.example.com"}));
    CHECK(info.trust == PeerTrust::Untrusted);
    CHECK(info.trust_fault == "certificate has expired");
}

TEST_CASE("the levels below verify take any server, the ones above only a verified one")
{
    tls::SessionInfo info;
    for (const PeerTrust trust : {PeerTrust::Anonymous, PeerTrust::Untrusted, PeerTrust::Trusted, PeerTrust::Verified}) {
        info.trust = trust;
        for (const ClientLevel level : {ClientLevel::None, ClientLevel::May, ClientLevel::Encrypt})
            CHECK(satisfies(level, info));
        for (const ClientLevel level : {ClientLevel::Verify, ClientLevel::Secure})
            CHECK(bool(satisfies(level, info)) == (trust == PeerTrust::Verified));
    }
    info.trust = PeerTrust::Untrusted;
    info.trust_fault = "certificate has expired";
    CHECK(satisfies(ClientLevel::Verify, info).error().text() == "Server certificate not trusted: certificate has expired");
    CHECK(satisfies(ClientLevel::Verify, info).error().dsn() == "4.7.5");
    ClientLevel level;
    CHECK(tls::parse_client_level("Secure", level));
    CHECK(level == ClientLevel::Secure);
    CHECK_FALSE(tls::parse_client_level("maybe", level));
}

TEST_CASE("both sides tell the same session in the same words")
{
    Loop loop;
    const TestPair pair = test::make_pair("mx.example.com", nullptr, test::KeyKind::Rsa);
    Session session(loop, server_context(pair, server_settings()), client_context());
    REQUIRE(session.good());
    const std::string words = "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature "
                              "RSA-PSS (2048 bits) server-digest SHA256";
    CHECK(session.server->info().summary(true, " ") == words);
    CHECK(session.client->info().summary(false, " ") == words);
}

TEST_CASE("what a certificate says of itself is harmless in a log line and in a comment of a header")
{
    const TestPair evil = test::make_pair("a\" (verified OK)\r\n<x> \\ b", &authority());
    const tls::SessionInfo info = judged(evil, wish({}));
    CHECK(info.subject_name == "a? ?verified OK????x? ? b");
    CHECK(info.issuer_name == "Authority");
    CHECK(info.certificate_fingerprint.size() == 95);
}

TEST_CASE("a context that cannot be made names the parameter and the reason")
{
    const TestPair pair = test::make_pair("mx.example.com");
    tls::ServerSettings settings = server_settings();
    CHECK(context_fault(settings, pair).empty());
    settings.chain_files.clear();
    CHECK(context_fault(settings, pair).starts_with("no certificate: smtpd_tls_chain_files"));
    settings = server_settings();
    settings.chain_files.front().value = "/none";
    CHECK(context_fault(settings, pair) == "smtpd_tls_chain_files: /none: not read");
    settings = server_settings();
    settings.ciphers.value = "null";
    settings.exclude_ciphers = tls::Named("smtpd_tls_exclude_ciphers", "eNULL");
    settings.excluded = {"eNULL"};
    CHECK(context_fault(settings, pair).starts_with("smtpd_tls_ciphers = null without smtpd_tls_exclude_ciphers = eNULL: "));
    settings = server_settings();
    settings.library.ticket_cipher = "rot13";
    CHECK(context_fault(settings, pair).empty()); // no keys, no tickets
    settings.fingerprint_digest = tls::Named("smtpd_tls_fingerprint_digest", "crc");
    CHECK(context_fault(settings, pair) == "smtpd_tls_fingerprint_digest = crc: unknown digest");
}
