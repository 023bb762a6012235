// SMTP replies: see reply.h.
#include "lib/smtp/reply.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

namespace posthouse::smtp {

namespace {

void append_clean(std::string& out, std::string_view text)
{
    const size_t start = out.size();
    out.append(text);
    for (size_t i = start; i < out.size(); ++i)
        if (ascii::is_control(out[i]) && out[i] != '\t')
            out[i] = '?';
}

// Up to three digits and what ends them; the number of digits taken, 0 when there are none or more.
size_t digits_at(std::string_view text, size_t from)
{
    size_t count = 0;
    while (from + count < text.size() && ascii::is_digit(text[from + count]))
        ++count;
    return count <= 3 ? count : 0;
}

} // namespace

size_t enhanced_code_length(std::string_view text, char code_class)
{
    if (text.size() < 5 || text[0] != code_class || text[1] != '.')
        return 0;
    const size_t subject = digits_at(text, 2);
    const size_t dot = 2 + subject;
    if (subject == 0 || dot >= text.size() || text[dot] != '.')
        return 0;
    const size_t detail = digits_at(text, dot + 1);
    const size_t end = dot + 1 + detail;
    if (detail == 0 || (end < text.size() && text[end] != ' '))
        return 0;
    return end;
}

Reply& Reply::add(std::string_view line)
{
    if (!text.empty())
        text.push_back('\n');
    text.append(line);
    return *this;
}

void Reply::append_wire(std::string& out) const
{
    std::string_view rest = text;
    bool last = false;
    while (!last) {
        const size_t end = rest.find('\n');
        last = end == std::string_view::npos;
        append_to(out, code, last ? ' ' : '-');
        if (!dsn.empty())
            append_to(out, dsn, ' ');
        append_clean(out, rest.substr(0, end));
        out.append("\r\n");
        if (!last)
            rest.remove_prefix(end + 1);
    }
}

std::string Reply::to_wire() const
{
    std::string out;
    append_wire(out);
    return out;
}

std::string Reply::to_text() const
{
    std::string out = cat(code);
    if (!dsn.empty())
        append_to(out, ' ', dsn);
    if (!text.empty())
        append_to(out, ' ', text);
    for (char& c : out)
        if (c == '\n')
            c = ' ';
    return out;
}

Result<bool> ReplyParser::line(std::string_view line)
{
    if (++lines_ > limits_.lines)
        return Error(ErrorKind::Corrupt, "4.5.0", "reply with too many lines");
    line = line.substr(0, limits_.line);
    const bool has_code = line.size() >= 3 && line[0] >= '2' && line[0] <= '5' && ascii::is_digit(line[1]) &&
                          ascii::is_digit(line[2]) && (line.size() == 3 || line[3] == ' ' || line[3] == '-');
    if (!has_code)
        return Error(ErrorKind::Corrupt, "4.5.0", cat("malformed reply: ", line.substr(0, 200)));
    const bool last = line.size() == 3 || line[3] == ' ';
    reply_.code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    std::string_view text = line.substr(line.size() == 3 ? 3 : 4);
    if (const size_t length = enhanced_code_length(text, line[0])) {
        reply_.dsn = text.substr(0, length);
        text.remove_prefix(std::min(length + 1, text.size()));
    }
    // Lines are kept apart even when empty: the first line of an EHLO reply is the name.
    if (reply_.text.size() + text.size() < limits_.text) {
        if (lines_ > 1)
            reply_.text.push_back('\n');
        reply_.text.append(text);
    }
    return last;
}

} // namespace posthouse::smtp
