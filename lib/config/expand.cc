// Expansion of names in values: see expand.h.
#include "lib/config/expand.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/lines.h"

#include <algorithm>

namespace posthouse::config {

namespace {

constexpr size_t depth_limit = 100;
constexpr size_t step_limit = 20000;
constexpr size_t size_limit = 1024 * 1024;

std::string_view skip_space(std::string_view text)
{
    while (!text.empty() && ascii::is_space(text.front()))
        text.remove_prefix(1);
    return text;
}

std::string_view leading_name(std::string_view text)
{
    size_t end = 0;
    while (end < text.size() && is_name_character(text[end]))
        ++end;
    return text.substr(0, end);
}

struct Operator {
    std::string_view text;
    bool (*holds)(int); // given the sign of the comparison
};
constexpr Operator operators[] = {
    // Longer ones first.
    {"==", [](int order) { return order == 0; }}, {"!=", [](int order) { return order != 0; }},
    {"<=", [](int order) { return order <= 0; }}, {">=", [](int order) { return order >= 0; }},
    {"<", [](int order) { return order < 0; }},   {">", [](int order) { return order > 0; }},
};

int sign_of(auto order)
{
    return order < 0 ? -1 : order > 0 ? 1 : 0;
}

// As numbers when both are, else as text.
int compare_values(std::string_view a, std::string_view b)
{
    auto x = ascii::parse_unsigned(a);
    auto y = ascii::parse_unsigned(b);
    if (x && y)
        return *x < *y ? -1 : *x > *y ? 1 : 0;
    return sign_of(a.compare(b));
}

} // namespace

bool is_name_character(char c)
{
    return ascii::is_alnum(c) || c == '_';
}

std::optional<int> compare_levels(std::string_view a, std::string_view b)
{
    auto parts_a = ascii::split(ascii::trim(a), ".");
    auto parts_b = ascii::split(ascii::trim(b), ".");
    if (parts_a.empty() || parts_b.empty())
        return std::nullopt;
    int order = 0;
    for (size_t i = 0; i < std::max(parts_a.size(), parts_b.size()); ++i) {
        auto x = ascii::parse_unsigned(i < parts_a.size() ? parts_a[i] : "0");
        auto y = ascii::parse_unsigned(i < parts_b.size() ? parts_b[i] : "0");
        if (!x || !y)
            return std::nullopt;
        if (order == 0)
            order = *x < *y ? -1 : *x > *y ? 1 : 0;
    }
    return order;
}

Error Expander::fault(std::string text)
{
    own_fault_ = stack_.size() <= (asked_by_name_ ? 1U : 0U);
    return Error(ErrorKind::Config, std::move(text));
}

// Each value that grows too large is told, as it may be none of its parts that is at fault.
Error Expander::limit_fault(std::string text)
{
    own_fault_ = true;
    return Error(ErrorKind::Config, std::move(text));
}

Result<std::string> Expander::expand(std::string_view text)
{
    steps_ = 0;
    depth_ = 0;
    stack_.clear();
    asked_by_name_ = false;
    std::string out;
    RETURN_IF_ERROR(append_expanded(text, out));
    return out;
}

Result<std::string> Expander::value(std::string_view name)
{
    steps_ = 0;
    depth_ = 0;
    stack_.clear();
    asked_by_name_ = true;
    auto text = names_.unexpanded(name);
    if (!text)
        return Error(ErrorKind::NotFound, cat(name, ": unknown parameter"));
    stack_.emplace_back(name);
    std::string out;
    RETURN_IF_ERROR(append_expanded(*text, out));
    return out;
}

Result<void> Expander::append_expanded(std::string_view text, std::string& out)
{
    // Text inside ${..} is expanded once more, so nesting counts like names that refer to each other.
    if (++depth_ > depth_limit)
        return limit_fault("too deeply nested");
    while (!text.empty()) {
        size_t plain = std::min(text.find('$'), text.size());
        out.append(text.substr(0, plain));
        if (out.size() > size_limit)
            return limit_fault("the expanded value is too long");
        text.remove_prefix(plain);
        if (text.empty())
            break;
        text.remove_prefix(1);
        if (text.empty() || (text.front() != '$' && text.front() != '{' && text.front() != '(' &&
                             !is_name_character(text.front())))
            return fault("expected a name after \"$\" (write \"$$\" for a plain dollar sign)");
        if (text.front() == '$') {
            out.push_back('$');
            text.remove_prefix(1);
        } else if (is_name_character(text.front())) {
            std::string_view name = leading_name(text);
            RETURN_IF_ERROR(append_value(name, out));
            text.remove_prefix(name.size());
        } else {
            Braced braced = find_braced(text, 0);
            if (braced.close == std::string_view::npos)
                return fault(cat("expected \"", text.front() == '{' ? '}' : ')', "\" to end \"$", text.substr(0, 40), "\""));
            RETURN_IF_ERROR(append_braced(braced.inside, out));
            text.remove_prefix(braced.close + 1);
        }
    }
    --depth_;
    return {};
}

Result<void> Expander::enter(std::string_view name)
{
    if (++steps_ > step_limit)
        return limit_fault("refers to too many other parameters");
    auto again = std::find(stack_.begin(), stack_.end(), name);
    if (again == stack_.end()) {
        stack_.emplace_back(name);
        return {};
    }
    // Each member of the circle is told; what only leads into it is not at fault.
    std::string path;
    for (auto at = again; at != stack_.end(); ++at)
        append_to(path, *at, " -> ");
    Error error = fault(cat("refers to itself (", path, name, ")"));
    own_fault_ = again == stack_.begin();
    return error;
}

Result<void> Expander::append_value(std::string_view name, std::string& out)
{
    referenced_.emplace(name);
    RETURN_IF_ERROR(enter(name));
    auto text = names_.unexpanded(name);
    if (!text)
        undefined_.emplace(name);
    else
        RETURN_IF_ERROR(append_expanded(*text, out));
    stack_.pop_back();
    return {};
}

Result<std::string> Expander::conditional_value(std::string_view name)
{
    referenced_.emplace(name);
    RETURN_IF_ERROR(enter(name));
    std::string value;
    auto text = names_.unexpanded(name);
    if (text)
        RETURN_IF_ERROR(append_expanded(*text, value));
    stack_.pop_back();
    return value;
}

Result<void> Expander::append_braced(std::string_view inside, std::string& out)
{
    inside = skip_space(inside);
    if (!inside.empty() && inside.front() == '{')
        return append_comparison(inside, out);
    std::string_view name = leading_name(inside);
    if (name.empty())
        return fault("expected a name after \"${\"");
    std::string_view rest = skip_space(inside.substr(name.size()));
    if (rest.empty())
        return append_value(name, out);
    if (rest.front() != '?' && rest.front() != ':')
        return fault(cat("expected \"}\", \"?\" or \":\" after \"${", name, "\""));
    auto value = conditional_value(name);
    if (!value)
        return std::move(value.error());
    return append_branch(rest, !value->empty(), out);
}

Result<void> Expander::append_comparison(std::string_view inside, std::string& out)
{
    Braced left = find_braced(inside, 0);
    if (left.close == std::string_view::npos)
        return fault("expected \"}\" after the first value to compare");
    std::string_view rest = skip_space(inside.substr(left.close + 1));
    const Operator* op = std::find_if(std::begin(operators), std::end(operators),
                                      [&](const Operator& o) { return rest.starts_with(o.text); });
    if (op == std::end(operators))
        return fault("expected one of == != < <= > >= between the values to compare");
    rest.remove_prefix(op->text.size());
    bool levels = rest.starts_with("level");
    rest = skip_space(rest.substr(levels ? 5 : 0));
    if (rest.empty() || rest.front() != '{')
        return fault(cat("expected \"{\" after \"", op->text, "\""));
    Braced right = find_braced(rest, 0);
    if (right.close == std::string_view::npos)
        return fault("expected \"}\" after the second value to compare");
    rest = skip_space(rest.substr(right.close + 1));
    if (rest.empty() || rest.front() != '?')
        return fault("expected \"?\" after the comparison");

    std::string a, b;
    RETURN_IF_ERROR(append_expanded(left.inside, a));
    RETURN_IF_ERROR(append_expanded(right.inside, b));
    std::optional<int> order = levels ? compare_levels(a, b) : compare_values(a, b);
    if (!order)
        return fault(cat("expected a compatibility level such as 3.6, not \"", a, "\" or \"", b, "\""));
    return append_branch(rest, op->holds(*order), out);
}

// `rest` is "?text", ":text", "?{text}", "?{text}:{text}" or "?{text}:text".
Result<void> Expander::append_branch(std::string_view rest, bool condition, std::string& out)
{
    bool when = rest.front() == '?';
    rest.remove_prefix(1);
    std::string_view braced_start = skip_space(rest);
    std::string_view chosen = rest;
    if (!braced_start.empty() && braced_start.front() == '{') {
        Braced first = find_braced(braced_start, 0);
        if (first.close == std::string_view::npos)
            return fault("expected \"}\" at the end of the text");
        chosen = first.inside;
        rest = skip_space(braced_start.substr(first.close + 1));
        if (!rest.empty()) {
            if (!when || rest.front() != ':')
                return fault(cat("unexpected \"", rest.substr(0, 40), "\" after \"}\""));
            if (!condition)
                return append_branch(rest, false, out);
        }
    }
    if (condition == when)
        RETURN_IF_ERROR(append_expanded(chosen, out));
    return {};
}

} // namespace posthouse::config
