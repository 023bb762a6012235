// Address lists in header fields (RFC 5322 section 3.4, obsolete forms included): finds the addresses and
// where they stand, so that a rewriter replaces them in place and keeps names, comments, groups and folds.
// Tolerant: what is no address is passed over. Linear in its input, no recursion.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::mail {

class ListedAddress {
public:
    ListedAddress(std::string its_address, size_t begin_at, size_t end_at)
        : address(std::move(its_address)), begin(begin_at), end(end_at)
    {
    }
    std::string address; // without comments and blanks, quotes kept: "\"a b\"@example.com"
    size_t begin;        // text[begin, end) is to be replaced, angle brackets not included
    size_t end;
};

constexpr size_t most_listed_addresses = 20000;

// `body`: what follows the colon of a field, folded or not. More than `limit` addresses are left out.
std::vector<ListedAddress> parse_address_list(std::string_view body, size_t limit = most_listed_addresses);
std::vector<std::string> addresses_of(std::string_view body, size_t limit = most_listed_addresses);

// A display name as it may stand before "<address>": quoted when it must be.
std::string quote_phrase(std::string_view phrase);

} // namespace posthouse::mail
