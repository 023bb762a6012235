// Lists of names, addresses and tables: see match_list.h.
#include "lib/table/match_list.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/table/simple_tables.h"
#include "lib/table/text_file.h"

#include <algorithm>

namespace posthouse::table {

struct MatchList::Item {
    enum class Kind : unsigned char { Name, Network, Table } kind = Kind::Name;
    bool negated = false;
    std::string name; // lower case
    std::optional<net::Cidr> network;
    std::unique_ptr<Table> table;
};

namespace {
constexpr int deepest_file = 10; // /file/names within files
constexpr size_t longest_file = 16 << 20;

// "type:name" and not an IPv6 address or network.
bool looks_like_table(std::string_view item)
{
    const size_t colon = item.find(':');
    if (colon == std::string_view::npos || item.front() == '[')
        return false;
    return !net::IpAddress::parse(item.substr(0, item.find('/')));
}

bool looks_like_network(std::string_view item)
{
    if (item.front() == '[' || item.find('/') != std::string_view::npos)
        return true;
    return net::IpAddress::parse(item).has_value();
}
} // namespace

MatchList::MatchList(std::string parameter, bool parent_domains)
    : parameter_(std::move(parameter)), parent_domains_(parent_domains)
{
}

MatchList::~MatchList() = default;

Result<std::unique_ptr<MatchList>> MatchList::open(const std::string& parameter, std::string_view value,
                                                   bool parent_domains, const Context& context)
{
    auto list = std::unique_ptr<MatchList>(new MatchList(parameter, parent_domains));
    auto added = list->add_items(value, context, 0);
    if (!added)
        return std::move(added.error()).within(parameter);
    return list;
}

Result<void> MatchList::add_items(std::string_view list, const Context& context, int depth)
{
    bool negated = false;
    for (std::string_view item : split_outside_braces(list, ", \t\r\n")) {
        for (; !item.empty() && item.front() == '!'; item.remove_prefix(1))
            negated = !negated;
        if (item.empty()) // "! name"
            continue;
        RETURN_IF_ERROR(add_item(item, negated, context, depth));
        negated = false;
    }
    if (negated)
        return Error(ErrorKind::Config, "\"!\" without a pattern after it");
    return Result<void>();
}

Result<void> MatchList::add_item(std::string_view text, bool negated, const Context& context, int depth)
{
    Item item;
    item.negated = negated;
    if (text.front() == '/')
        return add_file(std::string(text), negated, context, depth);
    if (looks_like_table(text)) {
        auto table = table::open(text, context);
        if (!table)
            return std::move(table.error());
        item.kind = Item::Kind::Table;
        item.table = std::move(*table);
    } else if (looks_like_network(text)) {
        item.name = ascii::lower(text); // "[192.0.2.1]" is also a name, in mydestination
        item.kind = Item::Kind::Network;
        auto network = net::Cidr::parse(text);
        if (!network)
            return std::move(network.error());
        item.network = *network;
    } else {
        item.name = ascii::lower(text);
    }
    items_.push_back(std::move(item));
    return Result<void>();
}

// The content takes the file's place; "!/file" negates each of its patterns.
Result<void> MatchList::add_file(std::string path, bool negated, const Context& context, int depth)
{
    if (depth >= deepest_file)
        return Error(ErrorKind::Config, cat("files nested too deeply: ", path));
    std::string content;
    auto file = TableFile::read(path, longest_file, content);
    if (!file) {
        log::warning(parameter_, ": ", file.error().full_text());
        Item item;
        item.kind = Item::Kind::Table;
        item.table = failing_table(path, file.error().full_text(), ArrivalWatch(path));
        items_.push_back(std::move(item));
        return Result<void>();
    }
    files_.push_back(std::move(*file));
    const size_t first = items_.size();
    for (const LogicalLine& line : logical_lines(content))
        RETURN_IF_ERROR(add_items(line.text, context, depth + 1));
    for (size_t i = first; negated && i < items_.size(); ++i)
        items_[i].negated = !items_[i].negated;
    return Result<void>();
}

Task<Result<bool>> MatchList::table_has_domain(Table& table, std::string domain)
{
    Value value = co_await table.lookup(domain);
    for (size_t dot = domain.find('.'); value && !*value && dot != std::string::npos; dot = domain.find('.', dot + 1)) {
        if (!table.partial_keys())
            break;
        const std::string parent = domain.substr(parent_domains_ ? dot + 1 : dot);
        value = co_await table.lookup(parent);
    }
    if (!value)
        co_return std::move(value.error()).within(parameter_);
    co_return value->has_value();
}

Task<Result<bool>> MatchList::table_has(Table& table, std::string key)
{
    Value value = co_await table.lookup(std::move(key));
    if (!value)
        co_return std::move(value.error()).within(parameter_);
    co_return value->has_value();
}

bool MatchList::name_matches(const std::string& pattern, std::string_view domain) const
{
    if (domain == pattern)
        return true;
    if (domain.size() <= pattern.size() || !domain.ends_with(pattern))
        return false;
    // ".example.com" as a pattern, or "example.com" when subdomains count as well.
    return parent_domains_ ? domain[domain.size() - pattern.size() - 1] == '.' && pattern.front() != '.'
                           : pattern.front() == '.';
}

Task<Result<bool>> MatchList::matches_domain(std::string domain)
{
    domain = ascii::lower(domain);
    for (const Item& item : items_) {
        bool matched = false;
        if (item.kind == Item::Kind::Table) {
            auto found = co_await table_has_domain(*item.table, domain);
            if (!found)
                co_return std::move(found.error());
            matched = *found;
        } else {
            matched = name_matches(item.name, domain);
        }
        if (matched)
            co_return !item.negated;
    }
    co_return false;
}

Task<Result<bool>> MatchList::matches_client(std::string name, net::IpAddress address)
{
    name = ascii::lower(name);
    const std::string address_text = address.to_text();
    for (const Item& item : items_) {
        bool matched = false;
        if (item.kind == Item::Kind::Network) {
            matched = item.network->contains(address);
        } else if (item.kind == Item::Kind::Name) {
            matched = !name.empty() && name != "unknown" && name_matches(item.name, name);
        } else {
            if (!name.empty() && name != "unknown") {
                auto found = co_await table_has_domain(*item.table, name);
                if (!found)
                    co_return std::move(found.error());
                matched = *found;
            }
            if (!matched) {
                auto found = co_await table_has(*item.table, address_text);
                if (!found)
                    co_return std::move(found.error());
                matched = *found;
            }
        }
        if (matched)
            co_return !item.negated;
    }
    co_return false;
}

Task<Result<bool>> MatchList::matches_string(std::string text)
{
    const std::string folded = ascii::lower(text);
    for (const Item& item : items_) {
        bool matched = item.name == folded;
        if (item.kind == Item::Kind::Table) {
            auto found = co_await table_has(*item.table, folded);
            if (!found)
                co_return std::move(found.error());
            matched = *found;
        }
        if (matched)
            co_return !item.negated;
    }
    co_return false;
}

bool MatchList::stale() const
{
    const bool file_changed =
        std::any_of(files_.begin(), files_.end(), [](const TableFile& file) { return file.changed(); });
    return file_changed || std::any_of(items_.begin(), items_.end(),
                                       [](const Item& item) { return item.table && item.table->stale(); });
}

} // namespace posthouse::table
