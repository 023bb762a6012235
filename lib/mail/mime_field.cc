// Reading MIME's header fields: see mime_field.h.
#include "lib/mail/mime_field.h"

#include "lib/base/ascii.h"

namespace posthouse::mail {

namespace {

constexpr std::string_view specials = "()<>@,;:\\\"/[]?="; // RFC 2045 section 5.1

bool is_token_char(char c)
{
    return !ascii::is_control(c) && c != ' ' && specials.find(c) == std::string_view::npos;
}

// Goes over a field's body from left to right.
class FieldScanner {
public:
    explicit FieldScanner(std::string_view text) : rest_(text) {}

    bool at_end()
    {
        skip_blanks();
        return rest_.empty();
    }
    bool take(char c)
    {
        if (at_end() || rest_.front() != c)
            return false;
        rest_.remove_prefix(1);
        return true;
    }
    std::string token()
    {
        skip_blanks();
        size_t length = 0;
        while (length < rest_.size() && is_token_char(rest_[length]))
            ++length;
        const std::string text(rest_.substr(0, length));
        rest_.remove_prefix(length);
        return text;
    }
    // A token or quoted string. Many write characters without quotes that want them: all up to the next
    // blank or semicolon is taken.
    std::string value()
    {
        if (take('"'))
            return quoted();
        const size_t length = std::min(rest_.find_first_of("; \t\r\n"), rest_.size());
        const std::string text(rest_.substr(0, length));
        rest_.remove_prefix(length);
        return text;
    }
    void skip_to(char c) { rest_.remove_prefix(std::min(rest_.find(c), rest_.size())); }

private:
    void skip_blanks()
    {
        while (!rest_.empty()) {
            if (rest_.front() == '(')
                skip_comment();
            else if (ascii::is_space(rest_.front()))
                rest_.remove_prefix(1);
            else
                return;
        }
    }
    void skip_comment()
    {
        size_t depth = 0;
        for (size_t at = 0; at < rest_.size(); ++at) {
            if (rest_[at] == '\\')
                ++at;
            else if (rest_[at] == '(')
                ++depth;
            else if (rest_[at] == ')' && --depth == 0) {
                rest_.remove_prefix(at + 1);
                return;
            }
        }
        rest_ = std::string_view();
    }
    std::string quoted()
    {
        std::string text;
        while (!rest_.empty()) {
            char c = rest_.front();
            rest_.remove_prefix(1);
            if (c == '"')
                break;
            if (c == '\\' && !rest_.empty()) {
                c = rest_.front();
                rest_.remove_prefix(1);
            }
            if (c != '\r' && c != '\n')
                text.push_back(c);
        }
        return text;
    }

    std::string_view rest_;
};

} // namespace

size_t field_name_length(std::string_view line)
{
    size_t length = 0;
    while (length < line.size() && line[length] > ' ' && line[length] < 0x7f && line[length] != ':')
        ++length;
    size_t colon = length;
    while (colon < line.size() && ascii::is_blank(line[colon]))
        ++colon;
    return colon < line.size() && line[colon] == ':' ? length : 0;
}

ContentType parse_content_type(std::string_view body)
{
    FieldScanner scanner(body);
    ContentType result;
    const std::string type = ascii::lower(scanner.token());
    if (type.empty() || !scanner.take('/'))
        return result;
    const std::string subtype = ascii::lower(scanner.token());
    if (subtype.empty())
        return result;
    result.type = type;
    result.subtype = subtype;
    while (!scanner.at_end()) {
        if (!scanner.take(';')) {
            scanner.skip_to(';');
            continue;
        }
        const std::string name = ascii::lower(scanner.token());
        if (name.empty() || !scanner.take('='))
            continue;
        std::string value = scanner.value();
        if (name == "boundary" && result.boundary.empty())
            result.boundary = std::move(value);
    }
    // RFC 2046 section 5.1.1: a boundary does not end in a blank.
    result.boundary.erase(result.boundary.find_last_not_of(" \t") + 1);
    return result;
}

std::string parse_transfer_encoding(std::string_view body)
{
    FieldScanner scanner(body);
    const std::string token = ascii::lower(scanner.token());
    return token.empty() ? "7bit" : token;
}

} // namespace posthouse::mail
