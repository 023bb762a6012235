// Lists of protocols and ciphers in Postfix's syntax, and the names that clients ask for.
#include "lib/tls/ciphers.h"
#include "lib/tls/protocols.h"
#include "lib/tls/server_name.h"
#include "t/support/catch.h"

using namespace posthouse;
using namespace posthouse::tls;

namespace {

// "1.2 1.3", or what is wrong.
std::string versions(std::string_view list)
{
    auto protocols = Protocols::parse(list);
    if (!protocols)
        return protocols.error().text();
    std::string text;
    for (int version = 0x0300; version <= 0x0304; ++version)
        if (protocols->allows(version))
            text += (text.empty() ? "" : " ") + std::to_string(version - 0x0300);
    return text;
}

std::string extension(std::string_view name, char kind = 0)
{
    std::string inner(1, kind);
    inner += static_cast<char>(name.size() >> 8);
    inner += static_cast<char>(name.size());
    inner += name;
    std::string whole(1, static_cast<char>(inner.size() >> 8));
    whole += static_cast<char>(inner.size());
    return whole + inner;
}

} // namespace

TEST_CASE("protocols are named by bounds, by exclusion, or one by one")
{
    CHECK(versions("") == "0 1 2 3 4");
    CHECK(versions(">=TLSv1.2") == "3 4");
    CHECK(versions(">=TLSv1, <=TLSv1.2") == "1 2 3");
    CHECK(versions("!SSLv2, !SSLv3, !TLSv1, !TLSv1.1") == "3 4");
    CHECK(versions("!SSLv2 !SSLv3") == "1 2 3 4");
    CHECK(versions("TLSv1.2:TLSv1.3") == "3 4");
    CHECK(versions("tlsv1.2") == "3");
    CHECK(versions(">=0303") == "3 4");
    CHECK(versions("TLSv1, TLSv1.2, !TLSv1") == "3");
    CHECK(versions(">=TLSv1, !TLSv1.2") == "1 2 4");
    CHECK(versions("SSLv2") == "0 1 2 3 4"); // nobody speaks it any more: the word says nothing
}

TEST_CASE("a word that is no protocol, or a list that leaves none, is an error that names it")
{
    CHECK(versions(">=TLSv7") == "unknown TLS version \">=TLSv7\"");
    CHECK(versions("TLS") == "unknown TLS version \"TLS\"");
    CHECK(versions("!TLSv1.2.") == "unknown TLS version \"!TLSv1.2.\"");
    CHECK(versions("SSLv3") == "\"SSLv3\" leaves no version of TLS");
    CHECK(versions("<=TLSv1, >=TLSv1.2") == "\"<=TLSv1, >=TLSv1.2\" leaves no version of TLS");
}

TEST_CASE("a cipher grade gives its list and what is excluded from it")
{
    const CipherGrades grades{"HIGH", "HIGH:MEDIUM", "eNULL"};
    CHECK(*cipher_list("high", grades, {}) == "HIGH");
    CHECK(*cipher_list("Medium", grades, {"aNULL", "MD5+RC4"}) == "HIGH:MEDIUM:!aNULL:!MD5+RC4");
    CHECK(*cipher_list("export", grades, {}) == "HIGH:MEDIUM");
    CHECK(*cipher_list("null", grades, {}) == "eNULL");
    CHECK(cipher_list("best", grades, {}).error().text() == "unknown cipher grade \"best\"");
}

TEST_CASE("a name that a client asks for is taken when it is a host's")
{
    CHECK(parse_server_name(extension("mx.example.com")) == "mx.example.com");
    CHECK(parse_server_name(extension("MX.Example.COM")) == "mx.example.com");
    CHECK(parse_server_name(extension("xn--bcher-kva.example")) == "xn--bcher-kva.example");
    CHECK(parse_server_name(extension("_25._tcp.example")) == "_25._tcp.example");
    CHECK(parse_server_name(extension("localhost")) == "localhost");
    CHECK(parse_server_name(extension(std::string(63, 'a') + ".example")));
}

TEST_CASE("a name that could mean something else to a table is not looked up")
{
    for (const std::string name : {"", ".", ".example.com", "example.com.", "a..b", "-x.example", "192.0.2.1", "a/b", "../../x",
                                   "a b", "a\r\nb", "user@example.com", "[192.0.2.1]", "2001:db8::1", "b\xc3\xbc.example"})
        CHECK_FALSE(parse_server_name(extension(name)));
    CHECK_FALSE(parse_server_name(extension(std::string("a\0b.example", 11))));
    CHECK_FALSE(parse_server_name(extension(std::string(64, 'a') + ".example")));
    std::string deep;
    for (int label = 0; label < 127; ++label)
        deep += "a.";
    CHECK(parse_server_name(extension(deep.substr(0, 253))));
    CHECK_FALSE(parse_server_name(extension(deep + "a")));
}

TEST_CASE("an extension that breaks its format holds no name")
{
    const std::string good = extension("mx.example.com");
    for (size_t size = 0; size < good.size(); ++size)
        CHECK_FALSE(parse_server_name(good.substr(0, size)));
    CHECK_FALSE(parse_server_name(good + "x"));
    CHECK_FALSE(parse_server_name(extension("mx.example.com", 1)));
    CHECK_FALSE(parse_server_name(std::string("\0\0", 2)));
}
