// A name server's answer, taken apart. Pure: bytes in, records out, everything bounded; fuzzed by
// t/fuzz/fuzz_dns_answer.cc. RFC 1035 section 4, RFC 2181 (TTL), RFC 2308 (negative answers).
#pragma once

#include "lib/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::net {

enum class DnsType : uint16_t { A = 1, Ns = 2, Cname = 5, Soa = 6, Ptr = 12, Mx = 15, Txt = 16, Aaaa = 28, Tlsa = 52 };
std::string_view to_text(DnsType type);

class DnsRecord {
public:
    DnsRecord() = default;
    uint16_t preference = 0; // MX
    std::string name;        // MX, NS, PTR: lower case, without final dot; "" is the root
    std::string data;        // A, AAAA: bytes; TXT: its strings joined; TLSA: as on the wire
};

class DnsAnswer {
public:
    enum class State : unsigned char { Found, NoData, NoDomain, Failed };
    DnsAnswer() = default;

    State state = State::Failed;
    unsigned rcode = 2;
    bool authenticated = false; // the AD bit as it came
    uint32_t ttl = 0;           // seconds, of all records that were used; for negative answers from the SOA
    bool has_ttl = false;       // false: a negative answer without SOA
    std::string name;           // the end of the CNAME chain
    std::vector<DnsRecord> records;
};

constexpr size_t most_dns_records = 100;  // of one answer; the rest is dropped
constexpr size_t most_dns_aliases = 8;    // CNAMEs in a row
constexpr size_t most_dns_text = 65536;   // bytes of all TXT records

// `name` in lower case without final dot. Corrupt when the packet breaks its format, answers another
// question, or its aliases run in a circle.
Result<DnsAnswer> parse_dns_answer(std::string_view packet, std::string_view name, DnsType type);

// Letters, digits, - _ / + and *, in labels of 1 to 63, at most 253 in all, without final dot.
bool is_dns_name(std::string_view name);

} // namespace posthouse::net
