// MatchList: the value of a list parameter such as mynetworks, mydestination or relay_domains. Items
// are names, .domains, addresses, networks, /file/names (whose content is read in), type:tables; `!`
// before an item excludes what it matches. The first item that matches decides.
#pragma once

#include "lib/net/address.h"
#include "lib/table/table.h"
#include "lib/table/text_file.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::table {

class MatchList {
public:
    // parent_domains: "example.com" also matches host.example.com (the parameter's name is listed in
    // parent_domain_matches_subdomains); otherwise that takes ".example.com".
    static Result<std::unique_ptr<MatchList>> open(const std::string& parameter, std::string_view value,
                                                   bool parent_domains, const Context& context);
    ~MatchList();

    bool empty() const { return items_.empty(); }
    Task<Result<bool>> matches_domain(std::string domain);
    // By name (unless empty or "unknown") and by address.
    Task<Result<bool>> matches_client(std::string name, net::IpAddress address);
    // Whole strings, ignoring case; tables are asked for the whole string.
    Task<Result<bool>> matches_string(std::string text);
    bool stale() const;

    struct Item;

private:
    MatchList(std::string parameter, bool parent_domains);
    Result<void> add_items(std::string_view list, const Context& context, int depth);
    Result<void> add_item(std::string_view text, bool negated, const Context& context, int depth);
    Result<void> add_file(std::string path, bool negated, const Context& context, int depth);
    Task<Result<bool>> table_has_domain(Table& table, std::string domain);
    Task<Result<bool>> table_has(Table& table, std::string key);
    bool name_matches(const std::string& pattern, std::string_view domain) const;
    std::string parameter_;
    bool parent_domains_;
    std::vector<Item> items_;
    std::vector<TableFile> files_; // what /file/name items were read from
};

} // namespace posthouse::table
