// Domain names in other scripts: see idn.h.
#include "lib/mail/idn.h"

#include "lib/base/ascii.h"
#include "lib/mail/utf8.h"

#include <idn2.h>
#include <memory>

namespace posthouse::mail {

namespace {
struct FreeIdn {
    void operator()(char* text) const { idn2_free(text); }
};
using IdnText = std::unique_ptr<char, FreeIdn>;

constexpr size_t longest_domain = 1000; // as UTF-8, before conversion
bool is_convertible(std::string_view domain)
{
    return domain.size() <= longest_domain && domain.find('\0') == std::string_view::npos && is_utf8(domain);
}
} // namespace

std::optional<std::string> domain_to_ascii(std::string_view domain)
{
    if (ascii::all_7bit(domain))
        return ascii::lower(domain);
    if (!is_convertible(domain))
        return std::nullopt;
    char* result = nullptr;
    if (idn2_to_ascii_8z(std::string(domain).c_str(), &result, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
        return std::nullopt;
    return std::string(IdnText(result).get());
}

std::string domain_to_unicode(std::string_view domain)
{
    if (!is_convertible(domain))
        return std::string(domain);
    char* result = nullptr;
    if (idn2_to_unicode_8z8z(std::string(domain).c_str(), &result, 0) != IDN2_OK)
        return std::string(domain);
    return std::string(IdnText(result).get());
}

} // namespace posthouse::mail
