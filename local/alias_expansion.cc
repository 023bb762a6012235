// Taking aliases apart: see alias_expansion.h.
#include "local/alias_expansion.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/mail/address.h"

#include <functional>

namespace posthouse::local {

namespace {
constexpr int deepest = 100;
constexpr size_t most_destinations = 100000;
constexpr size_t longest_include = 16 << 20;

Error broken(const std::string& where, const Error& why)
{
    return Error(ErrorKind::Permanent, "5.3.5", cat("bad alias text for ", where, ": ", why.text()));
}
} // namespace

// One expansion under way.
struct AliasExpander::Work {
    explicit Work(std::string its_domain) : domain(std::move(its_domain)) {}
    std::string domain;
    std::set<std::string> names; // aliases that were opened
    std::set<std::string> ends;  // kind and text of each destination, for no duplicates
    Expansion result;

    Result<void> add(Destination::Kind kind, std::string text, const std::string& owner, bool included)
    {
        if (!ends.insert(cat(static_cast<int>(kind), ' ', text)).second)
            return Result<void>();
        if (result.destinations.size() >= most_destinations)
            return Error(ErrorKind::Permanent, "5.4.6", "alias expands to too many recipients");
        result.destinations.emplace_back(kind, std::move(text), owner, included);
        return Result<void>();
    }
};

AliasExpander::AliasExpander(table::Maps& maps, table::AddressMaps::LocalTest local, ThreadPool& pool,
                             std::string delimiters, std::string origin)
    : maps_(maps), local_(std::move(local)), pool_(pool), delimiters_(std::move(delimiters)), origin_(std::move(origin))
{
}

Task<Result<Expansion>> AliasExpander::expand(std::string name, std::string domain)
{
    Work work(std::move(domain));
    std::string user = ascii::lower(name);
    if (user.starts_with('\\')) { // no aliases wanted
        CO_CHECK(work.add(Destination::Kind::Mailbox, user.substr(1), "", false));
        co_return std::move(work.result);
    }
    CO_CHECK(co_await expand_name(work, std::move(user), std::string(), 0));
    work.result.is_alias = !work.names.empty();
    co_return std::move(work.result);
}

// The full name first, then the one without extension.
Task<table::Value> AliasExpander::find_alias(std::string name)
{
    table::Value value = co_await maps_.lookup(name);
    if (!value || *value)
        co_return std::move(value);
    const size_t extension = table::find_extension(name, delimiters_);
    if (extension == std::string::npos)
        co_return std::optional<std::string>();
    const std::string bare = name.substr(0, extension);
    co_return co_await maps_.lookup(bare);
}

Task<Result<void>> AliasExpander::expand_name(Work& work, std::string name, std::string owner, int depth)
{
    if (depth > deepest)
        co_return Error(ErrorKind::Permanent, "5.4.6", cat("alias nesting is too deep: ", name));
    table::Value value = co_await find_alias(name);
    if (!value)
        co_return std::move(value.error());
    if (!*value)
        co_return work.add(Destination::Kind::User, std::move(name), owner, false);
    if (!work.names.insert(name).second)
        co_return Result<void>();
    auto targets = table::parse_alias_value(**value, most_destinations);
    if (!targets)
        co_return broken(name, targets.error());
    if (!name.starts_with("owner-")) {
        const std::string owner_name = cat("owner-", name);
        table::Value has_owner = co_await maps_.lookup(owner_name);
        if (!has_owner)
            co_return std::move(has_owner.error());
        if (*has_owner)
            owner = cat(owner_name, '@', work.domain);
    }
    for (const table::AliasTarget& target : *targets)
        CO_CHECK(co_await expand_target(work, target, name, owner, false, depth + 1));
    co_return Result<void>();
}

Task<Result<void>> AliasExpander::expand_target(Work& work, table::AliasTarget target, std::string name,
                                                std::string owner, bool included, int depth)
{
    switch (target.kind) {
    case table::AliasTarget::Kind::File:
        co_return work.add(Destination::Kind::File, std::move(target.text), owner, included);
    case table::AliasTarget::Kind::Command:
        co_return work.add(Destination::Kind::Command, std::move(target.text), owner, included);
    case table::AliasTarget::Kind::Include:
        co_return co_await expand_include(work, std::move(target.text), std::move(name), std::move(owner), depth);
    case table::AliasTarget::Kind::Address:
        break;
    }
    co_return co_await expand_address(work, std::move(target.text), std::move(name), std::move(owner), included, depth);
}

Task<Result<void>> AliasExpander::expand_address(Work& work, std::string address, std::string name, std::string owner,
                                                 bool included, int depth)
{
    const bool escaped = address.starts_with('\\');
    if (escaped)
        address.erase(0, 1);
    auto parsed = mail::parse_address(address);
    if (!parsed)
        co_return broken(name, parsed.error());
    const std::string domain = parsed->domain.empty() ? origin_ : parsed->domain;
    auto ours = co_await local_(domain);
    if (!ours)
        co_return std::move(ours.error());
    if (!*ours) {
        mail::Address remote(parsed->local, domain);
        co_return work.add(Destination::Kind::Remote, remote.to_text(), owner, included);
    }
    std::string user = ascii::lower(parsed->local);
    if (escaped || user == name)
        co_return work.add(Destination::Kind::Mailbox, std::move(user), owner, included);
    co_return co_await expand_name(work, std::move(user), std::move(owner), depth + 1);
}

Task<Result<void>> AliasExpander::expand_include(Work& work, std::string path, std::string name, std::string owner,
                                                 int depth)
{
    if (depth > deepest || !work.names.insert(cat(":include:", path)).second)
        co_return Error(ErrorKind::Permanent, "5.4.6", cat("include file ", path, " includes itself"));
    std::function<Result<std::string>()> work_in_pool = [path]() -> Result<std::string> {
        std::string content;
        auto file = table::TableFile::read(path, longest_include, content);
        if (!file)
            return std::move(file.error());
        return content;
    };
    auto content = co_await in_pool(pool_, std::move(work_in_pool));
    if (!content)
        co_return Error(ErrorKind::Temporary, "4.2.4", cat("include file: ", content.error().full_text()));
    const auto lines = table::logical_lines(*content);
    for (const table::LogicalLine& line : lines) {
        auto targets = table::parse_alias_value(line.text, most_destinations);
        if (!targets)
            co_return broken(cat(path, ", line ", line.line), targets.error());
        for (const table::AliasTarget& target : *targets)
            CO_CHECK(co_await expand_target(work, target, name, owner, true, depth + 1));
    }
    co_return Result<void>();
}

} // namespace posthouse::local
