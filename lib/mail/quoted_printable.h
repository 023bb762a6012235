// Quoted-printable (RFC 2045 section 6.7), line by line, each line in as many pieces as one likes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace posthouse::mail {

class QuotedPrintableEncoder {
public:
    // Text without its line end.
    void add(std::string_view text, std::string& out);
    // The line ends here: CRLF, a line break of the text.
    void end_line(std::string& out);
    // The text ends here, within a line perhaps.
    void finish(std::string& out);

private:
    void put(char c, bool encoded, std::string& out);
    void flush_blank(bool at_end_of_line, std::string& out);

    size_t column_ = 0;
    char blank_ = '\0'; // a space or tab that may turn out to be the last of its line
};

} // namespace posthouse::mail
