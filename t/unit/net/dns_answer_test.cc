#include "lib/net/dns_answer.h"

#include "t/support/catch.h"

using namespace posthouse::net;
using posthouse::ErrorKind;

namespace {
std::string u16(unsigned value) { return {static_cast<char>(value >> 8), static_cast<char>(value & 255)}; }
std::string u32(unsigned value) { return u16(value >> 16) + u16(value & 0xffff); }

std::string wire_name(const std::string& name)
{
    std::string wire;
    for (size_t start = 0; start < name.size();) {
        const size_t end = std::min(name.find('.', start), name.size());
        wire.push_back(static_cast<char>(end - start));
        wire += name.substr(start, end - start);
        start = end + 1;
    }
    return wire + std::string(1, '\0');
}

std::string record(const std::string& owner, DnsType type, unsigned ttl, const std::string& data)
{
    return wire_name(owner) + u16(static_cast<unsigned>(type)) + u16(1) + u32(ttl) + u16(static_cast<unsigned>(data.size())) +
           data;
}

// An answer to `name` with the records given as they stand.
std::string packet(const std::string& name, DnsType type, unsigned flags, const std::vector<std::string>& answers,
                   const std::vector<std::string>& authority = {})
{
    std::string result = u16(7) + u16(flags) + u16(1) + u16(static_cast<unsigned>(answers.size())) +
                         u16(static_cast<unsigned>(authority.size())) + u16(0) + wire_name(name) +
                         u16(static_cast<unsigned>(type)) + u16(1);
    for (const auto& part : answers)
        result += part;
    for (const auto& part : authority)
        result += part;
    return result;
}

constexpr unsigned good = 0x8180;
} // namespace

TEST_CASE("an MX answer gives preferences and lower-case names, and drops hosts that are no names")
{
    const auto answer = parse_dns_answer(
        packet("d.example", DnsType::Mx, good | 0x20,
               {record("D.Example", DnsType::Mx, 100, u16(10) + wire_name("MX.example")),
                record("d.example", DnsType::Mx, 50, u16(5) + std::string(1, '\0')),
                record("d.example", DnsType::Mx, 1, u16(5) + wire_name("192.0.2.1")),
                record("d.example", DnsType::Mx, 1, u16(5) + wire_name("bad host")),
                record("other.example", DnsType::Mx, 1, u16(1) + wire_name("evil.example"))}),
        "d.example", DnsType::Mx);
    REQUIRE(answer);
    CHECK(answer->state == DnsAnswer::State::Found);
    CHECK(answer->authenticated);
    REQUIRE(answer->records.size() == 2);
    CHECK(answer->records[0].name == "mx.example");
    CHECK(answer->records[1].name.empty());
    CHECK(answer->ttl == 50);
}

TEST_CASE("aliases are followed in any order, but not in a circle nor without end")
{
    const auto found = parse_dns_answer(packet("a.example", DnsType::A, good,
                                               {record("c.example", DnsType::A, 60, "\1\2\3\4"),
                                                record("b.example", DnsType::Cname, 30, wire_name("c.example")),
                                                record("a.example", DnsType::Cname, 90, wire_name("b.example"))}),
                                        "a.example", DnsType::A);
    REQUIRE(found);
    CHECK(found->name == "c.example");
    CHECK(found->records.size() == 1);
    CHECK(found->ttl == 30);
    CHECK_FALSE(parse_dns_answer(packet("a.example", DnsType::A, good,
                                        {record("a.example", DnsType::Cname, 90, wire_name("b.example")),
                                         record("b.example", DnsType::Cname, 90, wire_name("a.example"))}),
                                 "a.example", DnsType::A));
    std::vector<std::string> chain;
    for (int i = 0; i < 9; ++i)
        chain.push_back(record(std::to_string(i) + ".example", DnsType::Cname, 1, wire_name(std::to_string(i + 1) + ".example")));
    CHECK_FALSE(parse_dns_answer(packet("0.example", DnsType::A, good, chain), "0.example", DnsType::A));
    chain.pop_back();
    CHECK(parse_dns_answer(packet("0.example", DnsType::A, good, chain), "0.example", DnsType::A));
}

TEST_CASE("no such name, no such data and a failing server are told apart, with the SOA's time to live")
{
    const std::string soa = record("example", DnsType::Soa, 500,
                                   wire_name("ns.example") + wire_name("root.example") + u32(1) + u32(2) + u32(3) + u32(4) + u32(77));
    const auto no_domain = parse_dns_answer(packet("x.example", DnsType::Mx, good | 3, {}, {soa}), "x.example", DnsType::Mx);
    REQUIRE(no_domain);
    CHECK(no_domain->state == DnsAnswer::State::NoDomain);
    CHECK(no_domain->ttl == 77);
    const auto no_data = parse_dns_answer(packet("x.example", DnsType::Mx, good, {}), "x.example", DnsType::Mx);
    CHECK(no_data->state == DnsAnswer::State::NoData);
    CHECK_FALSE(no_data->has_ttl);
    const auto failed = parse_dns_answer(packet("x.example", DnsType::Mx, good | 2, {}), "x.example", DnsType::Mx);
    CHECK(failed->state == DnsAnswer::State::Failed);
}

TEST_CASE("an answer to another question, a pointer that does not go back and a short record are refused")
{
    const std::string fine = packet("a.example", DnsType::A, good, {record("a.example", DnsType::A, 1, "\1\2\3\4")});
    CHECK(parse_dns_answer(fine, "a.example", DnsType::A));
    CHECK_FALSE(parse_dns_answer(fine, "b.example", DnsType::A));
    CHECK_FALSE(parse_dns_answer(fine, "a.example", DnsType::Aaaa));
    for (size_t size = 0; size < fine.size(); ++size)
        CHECK_FALSE(parse_dns_answer(std::string_view(fine).substr(0, size), "a.example", DnsType::A));
    const std::string forward = packet("a.example", DnsType::A, good, {"\xc0\x40" + std::string(20, '\0')});
    CHECK_FALSE(parse_dns_answer(forward, "a.example", DnsType::A));
    CHECK_FALSE(parse_dns_answer(packet("a.example", DnsType::A, good, {record("a.example", DnsType::A, 1, "\1\2\3")}),
                                 "a.example", DnsType::A));
    CHECK_FALSE(parse_dns_answer(packet("a.example", DnsType::Txt, good, {record("a.example", DnsType::Txt, 1, "\7abc")}),
                                 "a.example", DnsType::Txt));
}

TEST_CASE("the number of records and the text of an answer are bounded")
{
    std::vector<std::string> many;
    for (int i = 0; i < 300; ++i)
        many.push_back(record("a.example", DnsType::Mx, 1, u16(1) + wire_name("m" + std::to_string(i) + ".example")));
    const auto answer = parse_dns_answer(packet("a.example", DnsType::Mx, good, many), "a.example", DnsType::Mx);
    REQUIRE(answer);
    CHECK(answer->records.size() == most_dns_records);
}

TEST_CASE("the strings of one text record are joined")
{
    const auto answer = parse_dns_answer(
        packet("a.example", DnsType::Txt, good, {record("a.example", DnsType::Txt, 1, "\3v=s\2pf")}), "a.example", DnsType::Txt);
    REQUIRE(answer);
    CHECK(answer->records.at(0).data == "v=spf");
}

TEST_CASE("a DNS name has labels of decent length and characters")
{
    CHECK(is_dns_name("_25._tcp.mail.example.com"));
    CHECK(is_dns_name("1/2.example"));
    for (const char* bad : {"", ".", "a..b", "a.", ".a", "a b", "a\\b", "a@b"})
        CHECK_FALSE(is_dns_name(bad));
    CHECK_FALSE(is_dns_name(std::string(64, 'a') + ".example"));
    CHECK_FALSE(is_dns_name(std::string(254, 'a')));
}
