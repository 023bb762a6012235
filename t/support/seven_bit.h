// Content through a SevenBitConverter in pieces of one size; for the unit tests and the fuzz target.
#pragma once

#include "lib/mail/seven_bit.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace posthouse::test {

inline std::string converted(std::string_view content, size_t piece = std::string::npos,
                             const mail::SevenBitLimits& limits = mail::SevenBitLimits())
{
    mail::SevenBitConverter converter(limits);
    std::string out;
    while (!content.empty()) {
        const std::string_view part = content.substr(0, piece);
        converter.append(part, out);
        content.remove_prefix(part.size());
    }
    converter.finish(out);
    return out;
}

} // namespace posthouse::test
