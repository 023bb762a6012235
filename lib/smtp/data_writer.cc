// Content to the wire: see data_writer.h.
#include "lib/smtp/data_writer.h"

#include <algorithm>
#include <cstring>

namespace posthouse::smtp {

namespace {
bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; } // of UTF-8
} // namespace

DataWriter::DataWriter(const ContentFacts& facts, size_t line_limit)
    : verbatim_(!facts.has_leading_dot && (line_limit == 0 || facts.longest_line <= line_limit)),
      line_limit_(line_limit)
{
}

void DataWriter::append_text(std::string_view text, std::string& out)
{
    if (text.empty())
        return;
    if (column_ == 0 && text.front() == '.')
        out.push_back('.'); // RFC 5321 section 4.5.2
    while (line_limit_ > 0 && column_ + text.size() > line_limit_) {
        size_t fits = line_limit_ > column_ ? line_limit_ - column_ : 0;
        for (int i = 0; i < 3 && fits > 1 && fits < text.size() && continues_character(text[fits]); ++i)
            --fits;
        out.append(text.substr(0, fits));
        out.append("\r\n ");
        column_ = 1;
        text.remove_prefix(fits);
    }
    out.append(text);
    column_ += text.size();
}

// Whether the line content[begin, lf) with its LF can go out as it is.
bool DataWriter::is_plain_line(std::string_view content, size_t begin, size_t lf) const
{
    if (lf == begin || content[lf - 1] != '\r' || (column_ == 0 && content[begin] == '.'))
        return false;
    const size_t length = lf - 1 - begin;
    if (line_limit_ > 0 && column_ + length > line_limit_)
        return false;
    return std::memchr(content.data() + begin, '\r', length) == nullptr;
}

void DataWriter::append(std::string_view content, std::string& out)
{
    if (verbatim_) {
        note_sent(content);
        out.append(content);
        return;
    }
    size_t copied = 0; // up to here it is in `out`
    size_t begin = 0;
    while (begin < content.size()) {
        const void* hit = std::memchr(content.data() + begin, '\n', content.size() - begin);
        const size_t lf = hit ? static_cast<size_t>(static_cast<const char*>(hit) - content.data()) : content.size();
        const size_t end = std::min(lf + 1, content.size());
        if (hit && !pending_cr_ && is_plain_line(content, begin, lf)) {
            column_ = 0;
        } else {
            out.append(content.substr(copied, begin - copied));
            append_changed(content.substr(begin, end - begin), out);
            copied = end;
        }
        begin = end;
    }
    out.append(content.substr(copied));
}

// A line, or the begin of one, that needs a look at what is in it.
void DataWriter::append_changed(std::string_view line, std::string& out)
{
    while (!line.empty()) {
        if (pending_cr_ && line.front() != '\n')
            append_text(" ", out);
        pending_cr_ = false;
        const size_t end = line.find_first_of("\r\n");
        append_text(line.substr(0, end), out);
        if (end == std::string_view::npos)
            return;
        if (line[end] == '\r') {
            pending_cr_ = true;
        } else {
            out.append("\r\n");
            column_ = 0;
        }
        line.remove_prefix(end + 1);
    }
}

void DataWriter::note_sent(std::string_view content)
{
    if (!content.empty())
        column_ = content.back() == '\n' ? 0 : 1;
}

void DataWriter::finish(std::string& out)
{
    pending_cr_ = false; // a CR at the very end is one of a line end
    if (column_ > 0)
        out.append("\r\n");
    column_ = 0;
    out.append(".\r\n");
}

} // namespace posthouse::smtp
