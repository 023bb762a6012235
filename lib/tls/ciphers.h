// Cipher lists from Postfix's words: a grade, and what is left out of it. For TLS up to 1.2; TLS 1.3 has its own few
// ciphers, all of them good. Pure.
#pragma once

#include "lib/base/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace posthouse::tls {

// tls_high_cipherlist and its kin.
struct CipherGrades {
    std::string high;
    std::string medium;
    std::string null;
};

// In the library's words: the grade's list, then "!WORD" for each exclusion. The old grades low and export are medium.
Result<std::string> cipher_list(std::string_view grade, const CipherGrades& grades,
                                const std::vector<std::string>& exclusions);

} // namespace posthouse::tls
