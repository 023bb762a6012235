// Parsing of DNS answers: see dns_answer.h.
#include "lib/net/dns_answer.h"

#include "lib/base/ascii.h"
#include "lib/net/address.h"

#include <algorithm>

namespace posthouse::net {

namespace {

constexpr size_t header_size = 12;
constexpr size_t longest_name = 253; // as text
constexpr size_t longest_label = 63;
constexpr size_t most_walked = 2000; // records of a packet, of any kind

bool is_name_character(char c)
{
    return ascii::is_alnum(c) || c == '-' || c == '_' || c == '/' || c == '+' || c == '*';
}

// Reads a packet from front to back; after a failure everything reads as zero.
class Cursor {
public:
    Cursor(std::string_view packet, size_t at) : packet_(packet), at_(at) {}
    bool ok() const { return ok_; }
    size_t at() const { return at_; }
    uint8_t u8()
    {
        if (!need(1))
            return 0;
        return static_cast<uint8_t>(packet_[at_++]);
    }
    uint16_t u16()
    {
        const unsigned high = u8();
        return static_cast<uint16_t>(high << 8 | u8());
    }
    uint32_t u32()
    {
        const uint32_t high = u16();
        return high << 16 | u16();
    }
    std::string_view bytes(size_t count)
    {
        if (!need(count))
            return std::string_view();
        const std::string_view result = packet_.substr(at_, count);
        at_ += count;
        return result;
    }
    // Lower case. `usable` is false for a name with bytes that no host name has: well-formed all the same.
    std::string name(bool& usable);

private:
    bool need(size_t count)
    {
        ok_ = ok_ && at_ <= packet_.size() && count <= packet_.size() - at_;
        return ok_;
    }
    std::string_view packet_;
    size_t at_;
    bool ok_ = true;
};

std::string Cursor::name(bool& usable)
{
    std::string text;
    usable = true;
    size_t behind = 0;      // where to go on after the first pointer
    size_t lowest = at_;    // pointers lead to earlier places only: no circle is possible
    while (true) {
        const uint8_t length = u8();
        if (!ok_ || length == 0)
            break;
        if ((length & 0xc0) == 0xc0) {
            const size_t target = static_cast<size_t>(length & 0x3f) << 8 | u8();
            if (behind == 0)
                behind = at_;
            if (target >= lowest) {
                ok_ = false;
                break;
            }
            at_ = lowest = target;
            continue;
        }
        const std::string_view label = bytes(length);
        if (length > longest_label || !ok_ || text.size() + label.size() + 1 > longest_name + 1) {
            ok_ = false;
            break;
        }
        for (const char c : label)
            usable = usable && is_name_character(c);
        if (!text.empty())
            text.push_back('.');
        text.append(label);
    }
    if (behind != 0)
        at_ = behind;
    return ok_ ? ascii::lower(text) : std::string();
}

struct RawRecord {
    std::string owner;
    uint16_t type;
    uint32_t ttl;
    size_t data_at;
    size_t data_size;
};

Error corrupt(const char* what) { return Error(ErrorKind::Corrupt, what); }

RawRecord read_record(Cursor& cursor)
{
    RawRecord record;
    bool usable;
    record.owner = cursor.name(usable);
    record.type = cursor.u16();
    cursor.u16(); // class
    record.ttl = cursor.u32();
    if (record.ttl > 0x7fffffff) // RFC 2181 section 8
        record.ttl = 0;
    record.data_size = cursor.u16();
    record.data_at = cursor.at();
    cursor.bytes(record.data_size);
    return record;
}

void lower_ttl(DnsAnswer& answer, uint32_t ttl)
{
    answer.ttl = answer.has_ttl ? std::min(answer.ttl, ttl) : ttl;
    answer.has_ttl = true;
}

// Goes along the CNAMEs from answer.name. False when they are too many or in a circle.
bool follow_aliases(std::string_view packet, const std::vector<RawRecord>& records, DnsAnswer& answer)
{
    for (size_t count = 0; count <= most_dns_aliases; ++count) {
        const RawRecord* alias = nullptr;
        for (const RawRecord& record : records)
            if (record.type == static_cast<uint16_t>(DnsType::Cname) && record.owner == answer.name)
                alias = &record;
        if (!alias)
            return true;
        Cursor cursor(packet, alias->data_at);
        bool usable;
        std::string target = cursor.name(usable);
        if (!cursor.ok() || cursor.at() != alias->data_at + alias->data_size)
            return false;
        answer.name = std::move(target);
        lower_ttl(answer, alias->ttl);
    }
    return false;
}

// The strings of a TXT record joined; false when they run over its end.
bool join_strings(std::string_view data, std::string& into)
{
    while (!data.empty()) {
        const auto length = static_cast<unsigned char>(data.front());
        if (length >= data.size())
            return false;
        into.append(data.substr(1, length));
        data.remove_prefix(length + 1u);
    }
    return true;
}

// A name that a mail server can connect to, or the root.
bool host_name_fits(std::string_view name, bool usable) { return usable && !IpAddress::parse(name); }

enum class Taken : unsigned char { Yes, Skipped, Malformed };

Taken take_record(std::string_view packet, const RawRecord& raw, DnsType type, DnsRecord& record)
{
    Cursor cursor(packet, raw.data_at);
    const std::string_view data = packet.substr(raw.data_at, raw.data_size);
    switch (type) {
    case DnsType::A:
    case DnsType::Aaaa:
        if (data.size() != (type == DnsType::A ? 4u : 16u))
            return Taken::Malformed;
        record.data = data;
        return Taken::Yes;
    case DnsType::Mx:
    case DnsType::Ns:
    case DnsType::Ptr:
    case DnsType::Cname: {
        if (type == DnsType::Mx)
            record.preference = cursor.u16();
        bool usable;
        record.name = cursor.name(usable);
        if (!cursor.ok() || cursor.at() != raw.data_at + raw.data_size)
            return Taken::Malformed;
        return host_name_fits(record.name, usable) ? Taken::Yes : Taken::Skipped;
    }
    case DnsType::Txt:
        return join_strings(data, record.data) ? Taken::Yes : Taken::Malformed;
    case DnsType::Tlsa:
        if (data.size() < 4)
            return Taken::Malformed;
        record.data = data;
        return Taken::Yes;
    case DnsType::Soa:
        break;
    }
    return Taken::Skipped;
}

Result<void> take_records(std::string_view packet, const std::vector<RawRecord>& records, DnsType type,
                          DnsAnswer& answer)
{
    size_t text = 0;
    for (const RawRecord& raw : records) {
        if (raw.type != static_cast<uint16_t>(type) || raw.owner != answer.name)
            continue;
        DnsRecord record;
        const Taken taken = take_record(packet, raw, type, record);
        if (taken == Taken::Malformed)
            return corrupt("malformed record in a name server's answer");
        text += record.data.size();
        if (taken == Taken::Skipped || answer.records.size() >= most_dns_records || text > most_dns_text)
            continue;
        lower_ttl(answer, raw.ttl);
        answer.records.push_back(std::move(record));
    }
    return Result<void>();
}

// RFC 2308 section 5: the smaller of the SOA's own TTL and its MINIMUM field.
void take_negative_ttl(std::string_view packet, const std::vector<RawRecord>& authority, DnsAnswer& answer)
{
    for (const RawRecord& record : authority) {
        if (record.type != static_cast<uint16_t>(DnsType::Soa) || record.data_size < 22)
            continue;
        Cursor cursor(packet, record.data_at + record.data_size - 4);
        lower_ttl(answer, std::min(record.ttl, cursor.u32()));
        return;
    }
}

} // namespace

std::string_view to_text(DnsType type)
{
    switch (type) {
    case DnsType::A: return "A";
    case DnsType::Ns: return "NS";
    case DnsType::Cname: return "CNAME";
    case DnsType::Soa: return "SOA";
    case DnsType::Ptr: return "PTR";
    case DnsType::Mx: return "MX";
    case DnsType::Txt: return "TXT";
    case DnsType::Aaaa: return "AAAA";
    case DnsType::Tlsa: return "TLSA";
    }
    return "?";
}

bool is_dns_name(std::string_view name)
{
    if (name.empty() || name.size() > longest_name)
        return false;
    size_t label = 0;
    for (const char c : name) {
        if (c == '.' ? label == 0 : !is_name_character(c))
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > longest_label)
            return false;
    }
    return label > 0;
}

Result<DnsAnswer> parse_dns_answer(std::string_view packet, std::string_view name, DnsType type)
{
    if (packet.size() < header_size)
        return corrupt("short answer from a name server");
    Cursor cursor(packet, 2);
    const uint16_t flags = cursor.u16();
    const unsigned questions = cursor.u16();
    const size_t answers = cursor.u16();
    const size_t authorities = cursor.u16();
    cursor.u16(); // additional records are of no use here
    bool usable;
    const std::string asked = cursor.name(usable);
    const uint16_t asked_type = cursor.u16();
    cursor.u16();
    if (!cursor.ok() || !(flags & 0x8000) || questions != 1 || asked != name ||
        asked_type != static_cast<uint16_t>(type))
        return corrupt("a name server answered another question");

    DnsAnswer answer;
    answer.rcode = flags & 15;
    answer.authenticated = flags & 0x20;
    answer.name = name;
    if ((flags & 0x0200) || (answer.rcode != 0 && answer.rcode != 3)) // truncated, even by TCP
        return answer;
    if (answers > most_walked || authorities > most_walked)
        return corrupt("too many records in a name server's answer");
    std::vector<RawRecord> found;
    std::vector<RawRecord> authority;
    for (size_t i = 0; i < answers && cursor.ok(); ++i)
        found.push_back(read_record(cursor));
    for (size_t i = 0; i < authorities && cursor.ok(); ++i)
        authority.push_back(read_record(cursor));
    if (!cursor.ok())
        return corrupt("a name server's answer ends too early");

    if (type != DnsType::Cname && !follow_aliases(packet, found, answer))
        return corrupt("a circle of aliases, or too many");
    RETURN_IF_ERROR(take_records(packet, found, type, answer));
    answer.state = !answer.records.empty() ? DnsAnswer::State::Found
                   : answer.rcode == 3     ? DnsAnswer::State::NoDomain
                                           : DnsAnswer::State::NoData;
    if (answer.records.empty())
        take_negative_ttl(packet, authority, answer);
    return answer;
}

} // namespace posthouse::net
