// Rules of pattern tables: see pattern_file.h.
#include "lib/table/pattern_file.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

namespace posthouse::table {

namespace {

// "/pattern/flags" at the start of `text`; consumes it.
Result<void> take_delimited(std::string_view& text, RuleText& rule)
{
    if (text.empty() || ascii::is_alnum(text.front()) || text.front() == '\\')
        return Error(ErrorKind::Config, "no regular expression: need one between delimiters");
    const char delimiter = text.front();
    size_t i = 1;
    for (; i < text.size() && text[i] != delimiter; ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) {
            if (text[i + 1] != delimiter) // a quoted delimiter loses its backslash
                rule.pattern.push_back('\\');
            ++i;
        }
        rule.pattern.push_back(text[i]);
    }
    if (i >= text.size())
        return Error(ErrorKind::Config, "no closing regular expression delimiter");
    text.remove_prefix(i + 1);
    size_t flags = 0;
    while (flags < text.size() && !ascii::is_space(text[flags]))
        ++flags;
    rule.flags = text.substr(0, flags);
    text.remove_prefix(flags);
    return Result<void>();
}

Result<void> take_word(std::string_view& text, RuleText& rule)
{
    const size_t end = std::min(text.find_first_of(" \t"), text.size());
    if (end == 0)
        return Error(ErrorKind::Config, "no pattern");
    rule.pattern = text.substr(0, end);
    text.remove_prefix(end);
    return Result<void>();
}

bool take_keyword(std::string_view& text, std::string_view keyword)
{
    if (!ascii::starts_with(text, keyword))
        return false;
    const std::string_view rest = text.substr(keyword.size());
    if (!rest.empty() && ascii::is_alnum(rest.front()))
        return false;
    text = ascii::trim(rest);
    return true;
}

} // namespace

Result<RuleText> parse_rule(const LogicalLine& line, PatternSyntax syntax)
{
    RuleText rule;
    rule.line = line.line;
    std::string_view text = ascii::trim(line.text);
    if (take_keyword(text, "endif")) {
        rule.kind = RuleText::Kind::EndIf;
        return rule; // text behind it is ignored, as in Postfix
    }
    if (take_keyword(text, "if"))
        rule.kind = RuleText::Kind::If;
    for (; !text.empty() && text.front() == '!'; text = ascii::trim(text.substr(1)))
        rule.negated = !rule.negated;
    RETURN_IF_ERROR(syntax == PatternSyntax::Delimited ? take_delimited(text, rule) : take_word(text, rule));
    rule.value = ascii::trim(text);
    if (rule.kind == RuleText::Kind::If)
        rule.value.clear();
    else if (rule.value.empty())
        return Error(ErrorKind::Config, cat("no result text for pattern \"", rule.pattern, '"'));
    return rule;
}

namespace {
// The number after $, in any of its three forms; consumes it. npos when there is none.
size_t take_group(std::string_view& text)
{
    constexpr size_t npos = std::string_view::npos;
    if (text.empty())
        return npos;
    const char close = text.front() == '{' ? '}' : text.front() == '(' ? ')' : '\0';
    const size_t start = close ? 1 : 0;
    size_t end = start;
    while (end < text.size() && ascii::is_digit(text[end]))
        ++end;
    const auto number = ascii::parse_unsigned(text.substr(start, end - start));
    if (!number || *number == 0 || *number > 999 || (close && (end >= text.size() || text[end] != close)))
        return npos;
    text.remove_prefix(close ? end + 1 : end);
    return static_cast<size_t>(*number);
}
} // namespace

Result<Substitution> Substitution::parse(std::string_view text, size_t groups)
{
    Substitution result;
    std::string plain;
    while (!text.empty()) {
        const char c = text.front();
        text.remove_prefix(1);
        if (c != '$') {
            plain.push_back(c);
            continue;
        }
        if (!text.empty() && text.front() == '$') {
            text.remove_prefix(1);
            plain.push_back('$');
            continue;
        }
        const size_t group = take_group(text);
        if (group == std::string_view::npos)
            return Error(ErrorKind::Config, "bad $ in the result text: need $number or $$");
        if (group > groups)
            return Error(ErrorKind::Config, cat("the pattern has no group ", group));
        if (!plain.empty())
            result.parts_.push_back(Part{std::move(plain), 0});
        plain.clear();
        result.parts_.push_back(Part{std::string(), group});
    }
    if (!plain.empty())
        result.parts_.push_back(Part{std::move(plain), 0});
    return result;
}

Substitution Substitution::plain(std::string text)
{
    Substitution result;
    result.parts_.push_back(Part{std::move(text), 0});
    return result;
}

std::string Substitution::apply(const std::function<std::string_view(size_t)>& group) const
{
    std::string text;
    for (const Part& part : parts_)
        text.append(part.group ? group(part.group) : std::string_view(part.text));
    return text;
}

bool Substitution::uses_groups() const
{
    for (const Part& part : parts_)
        if (part.group)
            return true;
    return false;
}

Result<std::vector<size_t>> block_ends(const std::vector<RuleText>& rules)
{
    std::vector<size_t> ends(rules.size(), 0);
    std::vector<size_t> open;
    for (size_t i = 0; i < rules.size(); ++i) {
        if (rules[i].kind == RuleText::Kind::If)
            open.push_back(i);
        if (rules[i].kind != RuleText::Kind::EndIf)
            continue;
        if (open.empty())
            return Error(ErrorKind::Config, cat("line ", rules[i].line, ": \"endif\" without \"if\""));
        ends[open.back()] = i + 1;
        open.pop_back();
    }
    if (!open.empty())
        return Error(ErrorKind::Config, cat("line ", rules[open.back()].line, ": \"if\" without \"endif\""));
    return ends;
}

} // namespace posthouse::table
