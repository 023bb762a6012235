// Which versions of TLS, from Postfix's lists: ">=TLSv1.2", "!SSLv2, !SSLv3", "TLSv1.2 TLSv1.3", "<=TLSv1.2". Pure.
#pragma once

#include "lib/base/result.h"

#include <cstdint>
#include <string_view>

namespace posthouse::tls {

class Protocols {
public:
    // Words between commas, colons and white space. An Error names the word that is unknown, or says that the list
    // leaves nothing.
    static Result<Protocols> parse(std::string_view list);

    // By the numbers of the wire: 0x0301 is TLSv1, 0x0304 TLSv1.3.
    bool allows(int version) const;
    int lowest() const;
    int highest() const;

    friend bool operator==(const Protocols&, const Protocols&) = default;

private:
    uint32_t allowed_ = 0; // a bit for each row of the table in protocols.cc
};

} // namespace posthouse::tls
