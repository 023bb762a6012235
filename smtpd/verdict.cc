// What a restriction says, see verdict.h: made by rules.cc and access.cc, carried out by the commands.
#include "smtpd/verdict.h"

namespace posthouse::smtpd {

Verdict Verdict::refuse(int code, std::string_view dsn, std::string text)
{
    Verdict verdict(Kind::Refuse);
    verdict.code = code;
    verdict.dsn = dsn;
    verdict.text = std::move(text);
    // The first digit of both codes says the same (RFC 3463 section 2).
    if (!verdict.dsn.empty())
        verdict.dsn[0] = static_cast<char>('0' + code / 100);
    return verdict;
}

void Verdict::soften(int soft_code)
{
    if (kind != Kind::Refuse || code < 500)
        return;
    code = soft_code;
    if (!dsn.empty())
        dsn[0] = '4';
}

void Actions::add(const Actions& other)
{
    hold |= other.hold;
    discard |= other.discard;
    if (!other.redirect.empty())
        redirect = other.redirect;
    if (!other.filter.empty())
        filter = other.filter;
    prepend.insert(prepend.end(), other.prepend.begin(), other.prepend.end());
    bcc.insert(bcc.end(), other.bcc.begin(), other.bcc.end());
}

void Actions::take_deferrals(const Actions* other)
{
    if (!other)
        return;
    defer_if_permit = other->defer_if_permit;
    defer_if_reject = other->defer_if_reject;
}

} // namespace posthouse::smtpd
