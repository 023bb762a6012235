// cidr, regexp and pcre: see pattern_tables.h. One table class walks the rules; a Pattern says whether
// a key matches and what its groups are.
#include "lib/table/pattern_tables.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/net/address.h"
#include "lib/table/pattern_file.h"
#include "lib/table/pcre.h"

#include <regex.h>

namespace posthouse::table {

namespace {

using Groups = std::vector<std::string_view>; // views into the key; [0] is the whole match

class Pattern {
public:
    virtual ~Pattern() = default;
    // An error when the match hit a limit. `groups` is filled only upon a match.
    virtual Result<bool> matches(const std::string& key, Groups& groups) const = 0;
    virtual size_t group_count() const { return 0; }
};

class CidrPattern final : public Pattern {
public:
    explicit CidrPattern(net::Cidr network) : network_(network) {}
    Result<bool> matches(const std::string& key, Groups&) const override
    {
        const auto address = net::IpAddress::parse(key);
        return address && network_.contains(*address);
    }

private:
    net::Cidr network_;
};

struct FreeRegex {
    void operator()(regex_t* regex) const
    {
        regfree(regex);
        delete regex;
    }
};

class PosixPattern final : public Pattern {
public:
    explicit PosixPattern(std::unique_ptr<regex_t, FreeRegex> regex) : regex_(std::move(regex)) {}
    Result<bool> matches(const std::string& key, Groups& groups) const override
    {
        regmatch_t found[10];
        const int code = regexec(regex_.get(), key.c_str(), 10, found, 0);
        if (code == REG_NOMATCH)
            return false;
        if (code != 0)
            return Error(ErrorKind::Temporary, "regular expression: out of memory");
        groups.clear();
        for (const regmatch_t& part : found)
            groups.push_back(part.rm_so < 0 ? std::string_view()
                                            : std::string_view(key).substr(static_cast<size_t>(part.rm_so),
                                                                           static_cast<size_t>(part.rm_eo - part.rm_so)));
        return true;
    }
    size_t group_count() const override { return std::min<size_t>(regex_->re_nsub, 9); }

private:
    std::unique_ptr<regex_t, FreeRegex> regex_;
};

class PcrePattern final : public Pattern {
public:
    explicit PcrePattern(pcre::Expression expression) : expression_(std::move(expression)) {}
    Result<bool> matches(const std::string& key, Groups& groups) const override
    {
        return expression_.match(key, groups);
    }
    size_t group_count() const override { return expression_.group_count(); }

private:
    pcre::Expression expression_;
};

using Compiled = Result<std::unique_ptr<Pattern>>;

Compiled compile_cidr(const RuleText& rule)
{
    auto network = net::Cidr::parse(rule.pattern);
    if (!network)
        return std::move(network.error());
    return std::unique_ptr<Pattern>(std::make_unique<CidrPattern>(*network));
}

Compiled compile_posix(const RuleText& rule)
{
    int options = REG_EXTENDED | REG_ICASE;
    for (const char flag : rule.flags) {
        if (flag == 'i')
            options ^= REG_ICASE;
        else if (flag == 'x')
            options ^= REG_EXTENDED;
        else if (flag == 'm')
            options ^= REG_NEWLINE;
        else
            return Error(ErrorKind::Config, cat("unknown regexp option \"", flag, '"'));
    }
    auto memory = std::make_unique<regex_t>();
    const int code = regcomp(memory.get(), rule.pattern.c_str(), options);
    if (code != 0) {
        char text[256];
        regerror(code, memory.get(), text, sizeof text);
        return Error(ErrorKind::Config, text);
    }
    std::unique_ptr<regex_t, FreeRegex> regex(memory.release());
    return std::unique_ptr<Pattern>(std::make_unique<PosixPattern>(std::move(regex)));
}

Compiled compile_pcre(const RuleText& rule)
{
    auto expression = pcre::Expression::compile(rule.pattern, rule.flags);
    if (!expression)
        return std::move(expression.error());
    return std::unique_ptr<Pattern>(std::make_unique<PcrePattern>(std::move(*expression)));
}

struct Rule {
    RuleText::Kind kind;
    bool negated;
    std::unique_ptr<Pattern> pattern;
    Substitution value;
    size_t block_end; // of an `if`: where to go on when it does not hold
};

class PatternTable final : public Table {
public:
    PatternTable(std::string name, std::vector<Rule> rules, TableFile file)
        : name_(std::move(name)), rules_(std::move(rules)), file_(std::move(file))
    {
    }
    Task<Value> lookup(std::string key) override { co_return find(key); }
    bool stale() const override { return file_.changed(); }
    bool partial_keys() const override { return false; }
    const std::string& name() const override { return name_; }

private:
    Value find(const std::string& key) const
    {
        Groups groups;
        for (size_t i = 0; i < rules_.size(); ++i) {
            const Rule& rule = rules_[i];
            if (rule.kind == RuleText::Kind::EndIf)
                continue;
            auto matched = rule.pattern->matches(key, groups);
            if (!matched)
                return std::move(matched.error()).within(name_);
            if (*matched == rule.negated) {
                if (rule.kind == RuleText::Kind::If)
                    i = rule.block_end - 1;
                continue;
            }
            if (rule.kind == RuleText::Kind::If)
                continue;
            return std::optional<std::string>(rule.value.apply(
                [&groups](size_t group) { return group < groups.size() ? groups[group] : std::string_view(); }));
        }
        return std::optional<std::string>();
    }

    std::string name_;
    std::vector<Rule> rules_;
    TableFile file_;
};

// "{ { rule }, { rule } }", or a file.
Result<std::vector<LogicalLine>> read_rules(std::string_view argument, const Context& context, TableFile& file)
{
    std::vector<LogicalLine> lines;
    argument = ascii::trim(argument);
    if (!argument.empty() && argument.front() == '{') {
        int number = 0;
        for (const std::string_view item : split_outside_braces(strip_braces(argument), ", \t\r\n"))
            lines.emplace_back(std::string(strip_braces(item)), ++number);
        return lines;
    }
    std::string content;
    auto opened = TableFile::read(std::string(argument), context.file_limit, content);
    if (!opened)
        return std::move(opened.error());
    file = std::move(*opened);
    return logical_lines(content);
}

Result<Substitution> make_value(const RuleText& text, const Pattern& pattern, PatternSyntax syntax)
{
    if (syntax == PatternSyntax::Word) // a cidr table's value is taken as it is
        return Substitution::plain(text.value);
    auto value = Substitution::parse(text.value, pattern.group_count());
    if (value && text.negated && value->uses_groups())
        return Error(ErrorKind::Config, "no $number with a negated pattern");
    return value;
}

// A bad rule is left out with a warning, as in Postfix; one with a bad `if` would change what others
// mean, so that fails the table.
Opened open_patterns(std::string name, std::string_view argument, const Context& context, PatternSyntax syntax,
                     Compiled (*compile)(const RuleText&))
{
    TableFile file;
    auto lines = read_rules(argument, context, file);
    if (!lines)
        return std::move(lines.error());
    std::vector<RuleText> texts;
    std::vector<Rule> rules;
    for (const LogicalLine& line : *lines) {
        const auto text = parse_rule(line, syntax);
        Compiled pattern = std::unique_ptr<Pattern>();
        if (text && text->kind != RuleText::Kind::EndIf)
            pattern = compile(*text);
        Result<Substitution> value = Substitution();
        if (text && pattern && text->kind == RuleText::Kind::Match)
            value = make_value(*text, **pattern, syntax);
        const Error* fault = !text ? &text.error() : !pattern ? &pattern.error() : !value ? &value.error() : nullptr;
        if (fault && text && text->kind == RuleText::Kind::If)
            return Error(ErrorKind::Config, cat("line ", line.line, ": ", fault->text()));
        if (fault) {
            log::warning(name, ", line ", line.line, ": ", fault->text(), ": skipping this rule");
            continue;
        }
        texts.push_back(*text);
        rules.push_back(Rule{text->kind, text->negated, std::move(*pattern), std::move(*value), 0});
    }
    const auto ends = block_ends(texts);
    if (!ends)
        return ends.error();
    for (size_t i = 0; i < rules.size(); ++i)
        rules[i].block_end = (*ends)[i];
    return std::unique_ptr<Table>(std::make_unique<PatternTable>(std::move(name), std::move(rules), std::move(file)));
}

} // namespace

Opened open_cidr(std::string name, std::string_view argument, const Context& context)
{
    return open_patterns(std::move(name), argument, context, PatternSyntax::Word, compile_cidr);
}

Opened open_regexp(std::string name, std::string_view argument, const Context& context)
{
    return open_patterns(std::move(name), argument, context, PatternSyntax::Delimited, compile_posix);
}

Opened open_pcre(std::string name, std::string_view argument, const Context& context)
{
    return open_patterns(std::move(name), argument, context, PatternSyntax::Delimited, compile_pcre);
}

} // namespace posthouse::table
