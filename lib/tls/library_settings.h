// The parameters that all uses of TLS share (tls_*), as plain values.
#pragma once

#include "lib/tls/ciphers.h"

#include <cstdint>
#include <string>
#include <vector>

namespace posthouse::config {
class Config;
}

namespace posthouse::tls {

// A value and the parameter it comes from, for messages.
class Named {
public:
    Named() = default;
    Named(std::string its_parameter, std::string its_value)
        : parameter(std::move(its_parameter)), value(std::move(its_value))
    {
    }
    std::string parameter;
    std::string value;
    bool empty() const { return value.empty(); }
    std::string text() const { return parameter + " = " + value; }
};

struct LibrarySettings {
    LibrarySettings() = default; // the defaults of the table of parameters, for tests
    explicit LibrarySettings(const config::Config& config);

    CipherGrades grades{"aNULL:-aNULL:HIGH:@STRENGTH", "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH", "eNULL:!aNULL"};
    std::vector<std::string> curves{"X25519", "prime256v1"};
    std::vector<std::string> groups{"ffdhe2048"}; // for plain Diffie-Hellman
    std::vector<std::string> options;             // tls_ssl_options
    bool server_preference = false;               // tls_preempt_cipherlist
    std::string ticket_cipher = "aes-256-cbc";    // empty: no tickets
};

} // namespace posthouse::tls
