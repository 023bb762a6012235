// Alias text: see aliases.h.
#include "lib/table/aliases.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/table/list_items.h"

namespace posthouse::table {

namespace {

constexpr std::string_view include_word = ":include:";

// One target on its way from the text: comments and the outermost quotes are treated as they come.
class Collector {
public:
    void plain(char c) { text_.push_back(c); }
    void quoted(std::string content, std::string raw)
    {
        // A quoted string alone is the target itself; within other text it stays quoted.
        alone_ = ascii::trim(text_).empty();
        content_ = std::move(content);
        text_ += raw;
        raw_ = std::move(raw);
    }
    Result<void> finish(std::vector<AliasTarget>& targets);

private:
    std::string text_;
    std::string content_;
    std::string raw_;
    bool alone_ = false;
};

AliasTarget classify(std::string_view text, std::string_view as_address)
{
    using Kind = AliasTarget::Kind;
    if (text.starts_with('|')) {
        std::string_view command = ascii::trim(text.substr(1));
        if (command.size() >= 2 && command.front() == '"' && command.back() == '"') // |"command"
            command = command.substr(1, command.size() - 2);
        return AliasTarget(Kind::Command, std::string(command));
    }
    if (text.starts_with('/'))
        return AliasTarget(Kind::File, std::string(text));
    if (ascii::starts_with(text, include_word))
        return AliasTarget(Kind::Include, std::string(ascii::trim(text.substr(include_word.size()))));
    return AliasTarget(Kind::Address, std::string(as_address));
}

Result<void> Collector::finish(std::vector<AliasTarget>& targets)
{
    std::string_view text = ascii::trim(text_);
    if (text.empty())
        return Result<void>();
    const bool whole = alone_ && text == raw_;
    if (!whole && text.back() == '>') { // Name <address>
        const size_t open = text.rfind('<');
        if (open == std::string_view::npos)
            return Error(ErrorKind::Permanent, cat("unbalanced > in \"", text, '"'));
        text = ascii::trim(text.substr(open + 1, text.size() - open - 2));
    }
    const AliasTarget target = whole ? classify(content_, text) : classify(text, text);
    if (target.text.empty())
        return Error(ErrorKind::Permanent, "empty target");
    if (target.text.find('\0') != std::string::npos || target.text.find('\n') != std::string::npos)
        return Error(ErrorKind::Permanent, "bad character in a target");
    if (target.kind == AliasTarget::Kind::Address && breaks_apart(target.text))
        return Error(ErrorKind::Permanent, cat("no address: \"", text, '"'));
    targets.push_back(target);
    return Result<void>();
}

// A quoted string at `at`; leaves `at` behind it.
Result<void> take_quoted(std::string_view value, size_t& at, Collector& collector)
{
    const size_t start = at;
    std::string content;
    for (++at; at < value.size(); ++at) {
        if (value[at] == '"') {
            ++at;
            collector.quoted(std::move(content), std::string(value.substr(start, at - start)));
            return Result<void>();
        }
        if (value[at] == '\\' && at + 1 < value.size())
            ++at;
        content.push_back(value[at]);
    }
    return Error(ErrorKind::Permanent, "unbalanced double quote");
}

Result<void> skip_comment(std::string_view value, size_t& at)
{
    int depth = 0;
    for (; at < value.size(); ++at) {
        if (value[at] == '\\')
            ++at;
        else if (value[at] == '(')
            ++depth;
        else if (value[at] == ')' && --depth == 0) {
            ++at;
            return Result<void>();
        }
    }
    return Error(ErrorKind::Permanent, "unbalanced parenthesis");
}

Result<void> read_item(std::string_view item, std::vector<AliasTarget>& targets)
{
    Collector collector;
    bool in_command = false; // parentheses belong to an unquoted |command
    for (size_t at = 0; at < item.size();) {
        if (item[at] == '"') {
            RETURN_IF_ERROR(take_quoted(item, at, collector));
        } else if (item[at] == '(' && !in_command) {
            RETURN_IF_ERROR(skip_comment(item, at));
        } else {
            in_command = in_command || item[at] == '|';
            collector.plain(item[at++]);
        }
    }
    return collector.finish(targets);
}

} // namespace

Result<std::vector<AliasTarget>> parse_alias_value(std::string_view value, size_t most)
{
    std::vector<AliasTarget> targets;
    for (const std::string_view item : split_list_items(value)) {
        RETURN_IF_ERROR(read_item(item, targets));
        if (targets.size() > most)
            return Error(ErrorKind::Permanent, "too many targets");
    }
    return targets;
}

Result<Record> parse_alias_line(std::string_view line)
{
    line = ascii::trim(line);
    std::string name;
    size_t at = 0;
    if (!line.empty() && line.front() == '"') {
        for (at = 1; at < line.size() && line[at] != '"'; ++at) {
            if (line[at] == '\\' && at + 1 < line.size())
                ++at;
            name.push_back(line[at]);
        }
        if (at++ >= line.size())
            return Error(ErrorKind::Config, "unbalanced double quote");
        at = line.find_first_not_of(" \t", at);
        if (at == std::string_view::npos || line[at] != ':')
            return Error(ErrorKind::Config, "need name:value pair");
    } else {
        at = line.find(':');
        if (at == std::string_view::npos || at == 0)
            return Error(ErrorKind::Config, "need name:value pair");
        name = ascii::trim(line.substr(0, at));
    }
    const std::string_view value = ascii::trim(line.substr(at + 1));
    if (name.empty() || value.empty())
        return Error(ErrorKind::Config, "need name:value pair");
    auto targets = parse_alias_value(value);
    if (!targets)
        return std::move(targets.error());
    return Record(std::move(name), std::string(value));
}

} // namespace posthouse::table
