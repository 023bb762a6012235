// Features: what a server has announced in its answer to EHLO or LHLO. For those who send to it.
#pragma once

#include "lib/smtp/reply.h"

#include <cstdint>
#include <string>
#include <vector>

namespace posthouse::smtp {

class Features {
public:
    Features() = default;
    // Reads a whole EHLO reply; `discarded` keywords are passed over.
    static Features from_ehlo(const Reply& reply, const std::vector<std::string>& discarded);

    bool pipelining = false;
    bool eight_bit = false;
    bool smtputf8 = false;
    bool dsn = false;
    bool size = false;
    uint64_t size_limit = 0; // 0: none told
    std::string xforward;    // attribute names, upper case; empty: not offered

    bool operator==(const Features&) const = default;
};

} // namespace posthouse::smtp
