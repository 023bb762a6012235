// Maps: the value of a *_maps parameter, several tables in order of which the first with an answer
// wins. AddressMaps: the same, asked for a mail address with its less specific forms.
#pragma once

#include "lib/table/table.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::table {

class Maps {
public:
    // `parameter` is for messages; `value` is a list at comma or white space, { } kept together.
    static Result<std::unique_ptr<Maps>> open(const std::string& parameter, std::string_view value,
                                              const Context& context);
    bool empty() const { return tables_.empty(); }
    // All tables, patterns included.
    Task<Value> lookup(std::string key);
    // For a part of an address or name: tables of patterns are left out.
    Task<Value> lookup_partial(std::string key);
    bool stale() const;
    const std::string& parameter() const { return parameter_; }

private:
    friend class AddressMaps;
    explicit Maps(std::string parameter) : parameter_(std::move(parameter)) {}
    Task<Value> lookup_in(std::string key, bool partial);
    std::string parameter_;
    std::vector<std::unique_ptr<Table>> tables_;
};

class AddressMatch {
public:
    AddressMatch() = default;
    AddressMatch(std::string its_value, std::string its_extension)
        : value(std::move(its_value)), extension(std::move(its_extension))
    {
    }
    std::string value;
    // "+ext" when the match was for the address without its extension, to be put back by the caller.
    std::string extension;
};

// Which forms are asked, in this order. Postfix's mail_addr_find.
enum AddressSearch : unsigned {
    SearchFull = 1,            // user+ext@domain
    SearchNoExtension = 2,     // user@domain
    SearchLocalIfLocal = 4,    // user+ext, user; when the domain is local
    SearchAtDomain = 8,        // @domain
    SearchDomain = 16,         // domain
    SearchParentDomains = 32,  // .parent, up to the top
    SearchDefault = SearchFull | SearchNoExtension | SearchLocalIfLocal | SearchAtDomain,
};

class AddressMaps {
public:
    // Is this domain $myorigin, in $mydestination or one of our own addresses in brackets? A Task that
    // outlives no argument. May be empty: nothing is local.
    using LocalTest = std::function<Task<Result<bool>>(std::string domain)>;

    static Result<std::unique_ptr<AddressMaps>> open(const std::string& parameter, std::string_view value,
                                                     const Context& context, LocalTest local);
    bool empty() const { return maps_->empty(); }
    bool stale() const { return maps_->stale(); }
    Maps& maps() { return *maps_; }

    // `address` in external (quoted) form, with or without a domain.
    Task<Result<std::optional<AddressMatch>>> find(std::string address, unsigned search = SearchDefault);

private:
    AddressMaps(std::unique_ptr<Maps> maps, std::string delimiters, LocalTest local);
    std::unique_ptr<Maps> maps_;
    std::string delimiters_;
    LocalTest local_;
};

// Looks up domain, then its parents: ".parent" when `parent_domains` is false, "parent" when true
// (parent_domain_matches_subdomains).
Task<Value> lookup_domain(Maps& maps, std::string domain, bool parent_domains);

// Where the extension of a local part begins (at its delimiter), or npos. `delimiters` is
// recipient_delimiter, of which each character counts. postmaster, mailer-daemon, double-bounce and,
// with "-", owner-x and x-request are left whole.
size_t find_extension(std::string_view local_part, std::string_view delimiters);

} // namespace posthouse::table
