// Lists of TLS versions: see protocols.h.
#include "lib/tls/protocols.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>

namespace posthouse::tls {

namespace {

struct Version {
    std::string_view name;
    int number;
};
// SSLv3 can still be named, as in "!SSLv3", but the library has it no more.
constexpr Version versions[] = {
    {"SSLv3", 0x0300}, {"TLSv1", 0x0301}, {"TLSv1.1", 0x0302}, {"TLSv1.2", 0x0303}, {"TLSv1.3", 0x0304},
};
constexpr uint32_t all_versions = (1u << std::size(versions)) - 1;

// A name, or the number of the wire in hexadecimal digits, as bounds may be written ("0303").
std::optional<int> version_number(std::string_view word)
{
    const auto* found =
        std::find_if(std::begin(versions), std::end(versions), [&](const Version& v) { return ascii::equal(v.name, word); });
    if (found != std::end(versions))
        return found->number;
    int number = 0;
    const auto [end, fault] = std::from_chars(word.data(), word.data() + word.size(), number, 16);
    if (fault == std::errc() && end == word.data() + word.size() && word.size() == 4)
        return number;
    return std::nullopt;
}

template <class Wanted>
uint32_t bits_where(Wanted wanted)
{
    uint32_t bits = 0;
    for (size_t at = 0; at < std::size(versions); ++at)
        if (wanted(versions[at].number))
            bits |= 1u << at;
    return bits;
}

} // namespace

Result<Protocols> Protocols::parse(std::string_view list)
{
    uint32_t named = 0;
    uint32_t excluded = 0;
    for (const std::string_view word : ascii::split(list, ",: \t\r\n")) {
        const bool is_floor = word.starts_with(">=");
        const bool is_ceiling = word.starts_with("<=");
        const bool is_exclusion = word.starts_with("!");
        const std::string_view name = word.substr(is_floor || is_ceiling ? 2 : is_exclusion ? 1 : 0);
        const std::optional<int> number = ascii::equal(name, "SSLv2") ? 0x0002 : version_number(name);
        if (!number)
            return Error(ErrorKind::Config, cat("unknown TLS version \"", word, '"'));
        if (is_floor)
            excluded |= bits_where([&](int version) { return version < *number; });
        else if (is_ceiling)
            excluded |= bits_where([&](int version) { return version > *number; });
        else
            (is_exclusion ? excluded : named) |= bits_where([&](int version) { return version == *number; });
    }
    Protocols protocols;
    protocols.allowed_ = (named ? named : all_versions) & ~excluded;
    if (protocols.highest() < 0x0301)
        return Error(ErrorKind::Config, cat("\"", list, "\" leaves no version of TLS"));
    return protocols;
}

bool Protocols::allows(int version) const
{
    return (allowed_ & bits_where([&](int other) { return other == version; })) != 0;
}

int Protocols::lowest() const
{
    for (const Version& version : versions)
        if (allows(version.number))
            return version.number;
    return 0;
}

int Protocols::highest() const
{
    for (auto version = std::rbegin(versions); version != std::rend(versions); ++version)
        if (allows(version->number))
            return version->number;
    return 0;
}

} // namespace posthouse::tls
