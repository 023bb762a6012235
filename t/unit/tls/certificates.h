// Keys and certificates for unit tests, made by the TLS library on the spot.
#pragma once

#include <string>

namespace posthouse::test {

struct TestPair {
    std::string key;         // PEM
    std::string certificate; // PEM
    std::string pem() const { return key + certificate; }
};

enum class KeyKind { Ec, Rsa };

// Valid from `from` to `until`, in seconds from now. Signed by `issuer`, or by itself.
TestPair make_pair(const std::string& name, const TestPair* issuer = nullptr, KeyKind kind = KeyKind::Ec, long from = -60,
                   long until = 3600);

} // namespace posthouse::test
