// DNS lists: name servers that say of an address or a domain whether it is known for something, good or bad
// (RFC 5782). Whoever asks: the screening of clients by weight, reject_rbl_client and its kin one by one.
//
// A list that could not be asked is neither "listed" nor "unlisted"; what that means is the caller's decision.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/event/task.h"
#include "lib/net/address.h"

#include <bitset>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse {
class Loop;
}
namespace posthouse::net {
class Resolver;
}

namespace posthouse::trust {

// Which of a list's A records count: "127.0.0.2", "127.0.[0..255].[1;3;5..7]".
class AddressFilter {
public:
    static Result<AddressFilter> parse(std::string_view text);
    bool matches(const net::IpAddress& address) const;

private:
    AddressFilter() = default; // by parse() alone
    std::bitset<256> bytes_[4];
};

class DnsList {
public:
    // "domain", "domain=filter": as reject_rbl_client has it.
    static Result<DnsList> parse(std::string_view text);
    // The same, with "*weight" behind it, which may be negative: as postscreen_dnsbl_sites has it.
    static Result<DnsList> parse_weighted(std::string_view text);

    bool counts(const net::IpAddress& answer) const { return !filter_ || filter_->matches(answer); }

    std::string domain; // lower case, without final dot
    int weight = 1;

private:
    DnsList() = default;                         // by the parsers alone
    std::shared_ptr<const AddressFilter> filter_; // null: any answer. Owners: the copies of this list
};

enum class ListState : unsigned char { Unlisted, Listed, Unknown };

class ListAnswer {
public:
    ListAnswer() = default;
    ListState state = ListState::Unknown;
    std::vector<net::IpAddress> addresses; // the A records that counted; empty unless Listed
    std::string detail;                    // when Unknown: what went wrong, for the log
};

// The name below which every list knows this address; a domain is its own.
std::string list_key(const net::IpAddress& address);

// Is `key` in the list? Unknown when no answer came until the deadline.
Task<ListAnswer> ask_list(net::Resolver& resolver, DnsList list, std::string key, Deadline deadline);

// The same for several at a time, answers in the lists' order. Lists of one domain (with different filters) share a
// query. Resolver and loop outlive the task.
Task<std::vector<ListAnswer>> ask_lists(Loop& loop, net::Resolver& resolver, std::vector<DnsList> lists, std::string key,
                                        Deadline deadline);

// The sum of the weights of those that list it.
int total_weight(const std::vector<DnsList>& lists, const std::vector<ListAnswer>& answers);

// Why it is listed, in the list's own words (its TXT records, joined by " / " and clipped; bytes as they came: to be
// made printable by the caller). "" when it does not say. To be asked after a hit.
Task<std::string> list_reason(net::Resolver& resolver, DnsList list, std::string key, Deadline deadline);

} // namespace posthouse::trust
