// unionmap and pipemap: see combined_tables.h.
#include "lib/table/combined_tables.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/table/text_file.h"

#include <algorithm>
#include <vector>

namespace posthouse::table {

namespace {

using Members = std::vector<std::unique_ptr<Table>>;

class CombinedTable : public Table {
public:
    CombinedTable(std::string name, Members members) : members_(std::move(members)), name_(std::move(name)) {}
    bool stale() const override
    {
        return std::any_of(members_.begin(), members_.end(), [](const auto& member) { return member->stale(); });
    }
    bool partial_keys() const override
    {
        return std::all_of(members_.begin(), members_.end(), [](const auto& member) { return member->partial_keys(); });
    }
    const std::string& name() const override { return name_; }

protected:
    Members members_;

private:
    std::string name_;
};

class UnionTable final : public CombinedTable {
public:
    using CombinedTable::CombinedTable;
    Task<Value> lookup(std::string key) override
    {
        std::optional<std::string> all;
        for (auto& member : members_) {
            Value value = co_await member->lookup(key);
            if (!value)
                co_return std::move(value);
            if (*value)
                all = all ? cat(*all, ',', **value) : **value;
        }
        co_return std::move(all);
    }
};

class PipeTable final : public CombinedTable {
public:
    using CombinedTable::CombinedTable;
    Task<Value> lookup(std::string key) override
    {
        for (auto& member : members_) {
            Value value = co_await member->lookup(std::move(key));
            if (!value || !*value)
                co_return std::move(value);
            key = std::move(**value);
        }
        co_return std::optional<std::string>(std::move(key));
    }
};

Result<Members> open_members(const std::string& name, std::string_view argument, const Context& context)
{
    argument = ascii::trim(argument);
    if (argument.size() < 2 || argument.front() != '{' || argument.back() != '}')
        return Error(ErrorKind::Config, cat("bad syntax: \"", name, "\"; need \"type:{type:name, ...}\""));
    Members members;
    for (const std::string_view item : split_outside_braces(strip_braces(argument), ", \t\r\n")) {
        auto member = table::open(item, context);
        if (!member)
            return std::move(member.error());
        members.push_back(std::move(*member));
    }
    if (members.empty())
        return Error(ErrorKind::Config, cat("no tables in \"", name, '"'));
    return members;
}

} // namespace

Opened open_unionmap(std::string name, std::string_view argument, const Context& context)
{
    auto members = open_members(name, argument, context);
    if (!members)
        return std::move(members.error());
    return std::unique_ptr<Table>(std::make_unique<UnionTable>(std::move(name), std::move(*members)));
}

Opened open_pipemap(std::string name, std::string_view argument, const Context& context)
{
    auto members = open_members(name, argument, context);
    if (!members)
        return std::move(members.error());
    return std::unique_ptr<Table>(std::make_unique<PipeTable>(std::move(name), std::move(*members)));
}

} // namespace posthouse::table
