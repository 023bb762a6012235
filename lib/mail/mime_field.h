// Header fields: where the name of one ends, and the two that say how a MIME part is built (RFC 2045 sections 5 and
// 6). Pure; never fails: what cannot be understood leaves the defaults. Folded lines, comments and quoted strings are
// taken as they come.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace posthouse::mail {

// RFC 5322 section 2.2, with the blanks before the colon that old software writes (section 4.5). The length of the
// name, or 0 when the line is no header field.
size_t field_name_length(std::string_view line);

class ContentType {
public:
    ContentType() = default;
    std::string type = "text"; // lower case
    std::string subtype = "plain";
    std::string boundary; // multipart: without quotes; empty when there is none

    bool operator==(const ContentType&) const = default;
};

// `body`: what follows "Content-Type:".
ContentType parse_content_type(std::string_view body);
// The token after "Content-Transfer-Encoding:", lower case; "7bit" when there is none.
std::string parse_transfer_encoding(std::string_view body);

} // namespace posthouse::mail
