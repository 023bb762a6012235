// A name server's answer, from someone who means no good. The first byte chooses the type asked for, the
// question is whatever the packet says it is, so that the parser gets past that check.
#include "lib/net/dns_answer.h"

#include "lib/base/ascii.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace posthouse::net;

namespace {
constexpr DnsType types[] = {DnsType::A,   DnsType::Aaaa, DnsType::Cname, DnsType::Mx,
                             DnsType::Ptr, DnsType::Txt,  DnsType::Tlsa};

std::string question_of(std::string_view packet)
{
    std::string name;
    for (size_t at = 12; at < packet.size() && packet[at] > 0 && packet[at] < 64;) {
        const auto length = static_cast<size_t>(packet[at]);
        if (!name.empty())
            name.push_back('.');
        name += packet.substr(at + 1, length);
        at += length + 1;
    }
    return posthouse::ascii::lower(name);
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    if (size == 0)
        return 0;
    const DnsType type = types[data[0] % (sizeof types / sizeof types[0])];
    const std::string_view packet(reinterpret_cast<const char*>(data + 1), size - 1);
    const auto answer = parse_dns_answer(packet, question_of(packet), type);
    if (answer && answer->records.size() > most_dns_records)
        abort();
    if (answer)
        for (const DnsRecord& record : answer->records)
            if (!record.name.empty() && !is_dns_name(record.name))
                abort();
    return 0;
}
