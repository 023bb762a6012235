// Several tables in order, and the forms of a mail address: see maps.h.
#include "lib/table/maps.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/table/text_file.h"

#include <algorithm>

namespace posthouse::table {

// ---- Maps

Result<std::unique_ptr<Maps>> Maps::open(const std::string& parameter, std::string_view value, const Context& context)
{
    auto maps = std::unique_ptr<Maps>(new Maps(parameter));
    for (const std::string_view item : split_outside_braces(value, ", \t\r\n")) {
        auto table = table::open(item, context);
        if (!table)
            return std::move(table.error()).within(parameter);
        maps->tables_.push_back(std::move(*table));
    }
    return maps;
}

Task<Value> Maps::lookup(std::string key) { return lookup_in(std::move(key), false); }
Task<Value> Maps::lookup_partial(std::string key) { return lookup_in(std::move(key), true); }

Task<Value> Maps::lookup_in(std::string key, bool partial)
{
    for (auto& table : tables_) {
        if (partial && !table->partial_keys())
            continue;
        Value value = co_await table->lookup(key);
        if (!value)
            co_return std::move(value.error()).within(cat(parameter_, " lookup error for \"", key, '"'));
        // An empty value counts as none, as in Postfix.
        if (*value && !(*value)->empty())
            co_return std::move(value);
    }
    co_return std::optional<std::string>();
}

bool Maps::stale() const
{
    return std::any_of(tables_.begin(), tables_.end(), [](const auto& table) { return table->stale(); });
}

// ---- AddressMaps

size_t find_extension(std::string_view local_part, std::string_view delimiters)
{
    if (ascii::equal(local_part, "postmaster") || ascii::equal(local_part, "mailer-daemon") ||
        ascii::equal(local_part, "double-bounce"))
        return std::string_view::npos;
    if (delimiters.find('-') != std::string_view::npos &&
        (ascii::starts_with(local_part, "owner-") || ascii::ends_with(local_part, "-request")))
        return std::string_view::npos;
    const size_t at = local_part.find_first_of(delimiters);
    return at == 0 ? std::string_view::npos : at;
}

AddressMaps::AddressMaps(std::unique_ptr<Maps> maps, std::string delimiters, LocalTest local)
    : maps_(std::move(maps)), delimiters_(std::move(delimiters)), local_(std::move(local))
{
}

Result<std::unique_ptr<AddressMaps>> AddressMaps::open(const std::string& parameter, std::string_view value,
                                                       const Context& context, LocalTest local)
{
    auto maps = Maps::open(parameter, value, context);
    if (!maps)
        return std::move(maps.error());
    return std::unique_ptr<AddressMaps>(
        new AddressMaps(std::move(*maps), context.recipient_delimiter, std::move(local)));
}

namespace {
class AddressParts {
public:
    AddressParts(const std::string& address, std::string_view delimiters)
    {
        const size_t at = address.rfind('@');
        has_domain = at != std::string::npos;
        full_local = address.substr(0, at);
        if (has_domain)
            domain = address.substr(at + 1);
        // A quoted local part is one word, and its extension is inside of the quotes.
        const size_t where = full_local.starts_with('"') ? std::string::npos : find_extension(full_local, delimiters);
        has_extension = where != std::string::npos;
        bare_local = full_local.substr(0, where);
        if (has_extension)
            extension = full_local.substr(where);
    }
    bool has_domain;
    bool has_extension;
    std::string full_local;
    std::string bare_local;
    std::string extension;
    std::string domain;
};

// One form to ask for.
struct Step {
    Step(std::string its_key, std::string its_extension, bool is_whole)
        : key(std::move(its_key)), extension(std::move(its_extension)), whole(is_whole)
    {
    }
    std::string key;
    std::string extension;
    bool whole; // also of tables of patterns
};

void add_parents(std::vector<Step>& steps, const std::string& domain)
{
    for (size_t dot = domain.find('.'); dot != std::string::npos; dot = domain.find('.', dot + 1))
        steps.emplace_back(domain.substr(dot), "", false);
}

std::vector<Step> steps_for(const std::string& address, const AddressParts& parts, unsigned search, bool local)
{
    std::vector<Step> steps;
    if (search & SearchFull)
        steps.emplace_back(address, "", true);
    if ((search & SearchNoExtension) && parts.has_extension)
        steps.emplace_back(parts.has_domain ? cat(parts.bare_local, '@', parts.domain) : parts.bare_local,
                           parts.extension, false);
    if ((search & SearchLocalIfLocal) && local) {
        steps.emplace_back(parts.full_local, "", false);
        if (parts.has_extension)
            steps.emplace_back(parts.bare_local, parts.extension, false);
    }
    if (!parts.has_domain)
        return steps;
    if (search & SearchAtDomain)
        steps.emplace_back(cat('@', parts.domain), "", false);
    if (search & SearchDomain)
        steps.emplace_back(parts.domain, "", false);
    if (search & SearchParentDomains)
        add_parents(steps, parts.domain);
    return steps;
}
} // namespace

Task<Result<std::optional<AddressMatch>>> AddressMaps::find(std::string address, unsigned search)
{
    if (maps_->empty() || address.empty())
        co_return std::optional<AddressMatch>();
    const AddressParts parts(address, delimiters_);
    bool local = false;
    if ((search & SearchLocalIfLocal) && parts.has_domain && local_) {
        auto answer = co_await local_(parts.domain);
        if (!answer)
            co_return std::move(answer.error());
        local = *answer;
    }
    const std::vector<Step> steps = steps_for(address, parts, search, local);
    for (const Step& step : steps) {
        Value value = co_await maps_->lookup_in(step.key, !step.whole);
        if (!value)
            co_return std::move(value.error());
        if (*value)
            co_return std::optional<AddressMatch>(AddressMatch(std::move(**value), step.extension));
    }
    co_return std::optional<AddressMatch>();
}

// ---- domains

Task<Value> lookup_domain(Maps& maps, std::string domain, bool parent_domains)
{
    Value whole = co_await maps.lookup(domain);
    if (!whole || *whole)
        co_return std::move(whole);
    for (size_t dot = domain.find('.'); dot != std::string::npos; dot = domain.find('.', dot + 1)) {
        const std::string parent = domain.substr(parent_domains ? dot + 1 : dot);
        Value value = co_await maps.lookup_partial(parent);
        if (!value || *value)
            co_return std::move(value);
    }
    co_return std::optional<std::string>();
}

} // namespace posthouse::table
