// Content to the wire: see data_writer.h.
#include "lib/smtp/data_writer.h"

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

void DataWriter::append(std::string_view content, std::string& out)
{
    if (verbatim_) {
        note_sent(content);
        out.append(content);
        return;
    }
    while (!content.empty()) {
        if (pending_cr_ && content.front() != '\n')
            append_text(" ", out);
        pending_cr_ = false;
        const size_t end = content.find_first_of("\r\n");
        append_text(content.substr(0, end), out);
        if (end == std::string_view::npos)
            return;
        if (content[end] == '\r') {
            pending_cr_ = true;
        } else {
            out.append("\r\n");
            column_ = 0;
        }
        content.remove_prefix(end + 1);
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
