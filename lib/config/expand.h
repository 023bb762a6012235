// Expansion of $name, ${name}, $(name), ${name?text}, ${name:text}, ${name?{text}:{text}} and
// ${{text} == {text} ? {text} : {text}} (also != < <= > >=, and <level and its like for
// compatibility levels). Pure and bounded in depth, work and size; fuzzed through Config::parse.
#pragma once

#include "lib/base/result.h"

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::config {

// Where names get their unexpanded values from.
class Names {
public:
    virtual ~Names() = default;
    virtual std::optional<std::string> unexpanded(std::string_view name) const = 0;
};

class Expander {
public:
    explicit Expander(const Names& names) : names_(names) {}

    // The value of `name`, fully expanded. NotFound when there is no such name.
    Result<std::string> value(std::string_view name);
    Result<std::string> expand(std::string_view text);

    // After an error: was it in the text or name asked for (true), or in one that it refers to?
    bool own_fault() const { return own_fault_; }
    // Every name that was referred to; and those of them that nothing defines, except where the
    // reference itself asks whether there is a value (${name?..}, ${name:..}).
    const std::set<std::string, std::less<>>& referenced() const { return referenced_; }
    const std::set<std::string, std::less<>>& undefined() const { return undefined_; }

private:
    Result<void> append_expanded(std::string_view text, std::string& out);
    Result<void> append_value(std::string_view name, std::string& out);
    Result<void> append_braced(std::string_view inside, std::string& out);
    Result<void> append_comparison(std::string_view inside, std::string& out);
    Result<void> append_branch(std::string_view rest, bool condition, std::string& out);
    Result<std::string> conditional_value(std::string_view name);
    Result<void> enter(std::string_view name);
    Error fault(std::string text);
    Error limit_fault(std::string text);

    const Names& names_;
    std::vector<std::string> stack_; // names being expanded, outermost first
    std::set<std::string, std::less<>> referenced_;
    std::set<std::string, std::less<>> undefined_;
    size_t steps_ = 0;
    size_t depth_ = 0;
    bool own_fault_ = false;
    bool asked_by_name_ = false;
};

bool is_name_character(char c);

// "3.6" against "3.11", number by number: below, equal or above zero; nullopt when one is no level.
std::optional<int> compare_levels(std::string_view a, std::string_view b);

} // namespace posthouse::config
