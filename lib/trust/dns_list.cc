// DNS lists: see dns_list.h.
#include "lib/trust/dns_list.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/event/loop.h"
#include "lib/event/task_group.h"
#include "lib/net/dns_answer.h"
#include "lib/net/resolver.h"

#include <algorithm>
#include <charconv>

namespace posthouse::trust {

namespace {

constexpr size_t longest_reason = 1000;

Error bad_filter(std::string_view text)
{
    return Error(ErrorKind::Config,
                 cat("bad DNS list filter \"", text, "\": expected d.d.d.d, each a number or [number;number..number]"));
}

bool parse_byte(std::string_view text, size_t& value)
{
    const auto number = ascii::parse_unsigned(text);
    if (!number || *number > 255)
        return false;
    value = static_cast<size_t>(*number);
    return true;
}

// "3" or "1..7".
bool add_range(std::string_view text, std::bitset<256>& into)
{
    const size_t dots = text.find("..");
    size_t first = 0;
    size_t last = 0;
    if (!parse_byte(text.substr(0, dots), first))
        return false;
    if (dots == std::string_view::npos)
        last = first;
    else if (!parse_byte(text.substr(dots + 2), last) || last < first)
        return false;
    for (size_t value = first; value <= last; ++value)
        into.set(value);
    return true;
}

// One of the four, up to its dot; `text` goes on behind it.
bool take_byte_pattern(std::string_view& text, std::bitset<256>& into)
{
    if (text.empty() || text.front() != '[') {
        const std::string_view number = text.substr(0, text.find('.'));
        text.remove_prefix(number.size());
        size_t value = 0;
        if (!parse_byte(number, value))
            return false;
        into.set(value);
        return true;
    }
    const size_t end = text.find(']');
    if (end == std::string_view::npos)
        return false;
    std::string_view inside = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    while (true) {
        const size_t semicolon = inside.find(';');
        if (!add_range(inside.substr(0, semicolon), into))
            return false;
        if (semicolon == std::string_view::npos)
            return true;
        inside.remove_prefix(semicolon + 1);
    }
}

std::string question(const DnsList& list, const std::string& key) { return cat(key, '.', list.domain); }

} // namespace

Result<AddressFilter> AddressFilter::parse(std::string_view text)
{
    AddressFilter filter;
    std::string_view rest = text;
    for (size_t i = 0; i < 4; ++i) {
        if (i > 0) {
            if (rest.empty() || rest.front() != '.')
                return bad_filter(text);
            rest.remove_prefix(1);
        }
        if (!take_byte_pattern(rest, filter.bytes_[i]))
            return bad_filter(text);
    }
    if (!rest.empty())
        return bad_filter(text);
    return filter;
}

bool AddressFilter::matches(const net::IpAddress& address) const
{
    if (!address.v4())
        return false;
    const std::string_view bytes = address.bytes();
    for (size_t i = 0; i < 4; ++i)
        if (!bytes_[i].test(static_cast<unsigned char>(bytes[i])))
            return false;
    return true;
}

Result<DnsList> DnsList::parse(std::string_view text)
{
    DnsList list;
    const size_t equals = text.find('=');
    std::string_view domain = text.substr(0, equals);
    if (domain.ends_with('.'))
        domain.remove_suffix(1);
    list.domain = ascii::lower(domain);
    if (!net::is_dns_name(list.domain))
        return Error(ErrorKind::Config, cat("bad DNS list \"", text, "\": \"", domain, "\" is no domain name"));
    if (equals != std::string_view::npos) {
        auto filter = AddressFilter::parse(text.substr(equals + 1));
        if (!filter)
            return std::move(filter.error());
        list.filter_ = std::make_shared<const AddressFilter>(std::move(*filter));
    }
    return list;
}

Result<DnsList> DnsList::parse_weighted(std::string_view text)
{
    const size_t star = text.find('*');
    auto list = parse(text.substr(0, star));
    if (!list || star == std::string_view::npos)
        return list;
    const std::string_view weight = text.substr(star + 1);
    const auto read = std::from_chars(weight.data(), weight.data() + weight.size(), list->weight);
    if (read.ec != std::errc() || read.ptr != weight.data() + weight.size())
        return Error(ErrorKind::Config, cat("bad DNS list \"", text, "\": \"", weight, "\" is no weight"));
    return list;
}

std::string list_key(const net::IpAddress& address) { return address.unmapped().reversed(); }

Task<ListAnswer> ask_list(net::Resolver& resolver, DnsList list, std::string key, Deadline deadline)
{
    const net::AddressAnswer found = co_await resolver.addresses(question(list, key), net::Family::V4, deadline);
    ListAnswer answer;
    if (found.temporary()) {
        answer.detail = found.detail;
        co_return answer;
    }
    for (const net::IpAddress& address : found.addresses)
        if (list.counts(address))
            answer.addresses.push_back(address);
    answer.state = answer.addresses.empty() ? ListState::Unlisted : ListState::Listed;
    co_return answer;
}

namespace {

Task<void> ask_into(net::Resolver& resolver, DnsList list, std::string key, Deadline deadline, ListAnswer& into)
{
    into = co_await ask_list(resolver, std::move(list), std::move(key), deadline);
}

} // namespace

Task<std::vector<ListAnswer>> ask_lists(Loop& loop, net::Resolver& resolver, std::vector<DnsList> lists, std::string key,
                                        Deadline deadline)
{
    std::vector<ListAnswer> answers(lists.size());
    TaskGroup questions(loop); // after what its tasks write to
    for (size_t i = 0; i < lists.size(); ++i)
        questions.spawn(ask_into(resolver, std::move(lists[i]), key, deadline, answers[i]));
    co_await questions.drained();
    co_return answers;
}

int total_weight(const std::vector<DnsList>& lists, const std::vector<ListAnswer>& answers)
{
    int total = 0;
    for (size_t i = 0; i < std::min(lists.size(), answers.size()); ++i)
        if (answers[i].state == ListState::Listed)
            total += lists[i].weight;
    return total;
}

Task<std::string> list_reason(net::Resolver& resolver, DnsList list, std::string key, Deadline deadline)
{
    const net::TxtAnswer answer = co_await resolver.txt(question(list, key), deadline);
    std::string reason;
    for (const std::string& text : answer.texts)
        append_to(reason, reason.empty() ? "" : " / ", text);
    reason.resize(std::min(reason.size(), longest_reason));
    co_return reason;
}

} // namespace posthouse::trust
