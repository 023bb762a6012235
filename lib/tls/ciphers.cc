// Cipher lists: see ciphers.h.
#include "lib/tls/ciphers.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

namespace posthouse::tls {

Result<std::string> cipher_list(std::string_view grade, const CipherGrades& grades,
                                const std::vector<std::string>& exclusions)
{
    std::string list;
    if (ascii::equal(grade, "high"))
        list = grades.high;
    else if (ascii::equal(grade, "medium") || ascii::equal(grade, "low") || ascii::equal(grade, "export"))
        list = grades.medium;
    else if (ascii::equal(grade, "null"))
        list = grades.null;
    else
        return Error(ErrorKind::Config, cat("unknown cipher grade \"", grade, '"'));
    for (const std::string& excluded : exclusions)
        append_to(list, ":!", excluded);
    return list;
}

} // namespace posthouse::tls
