// Boundaries of MIME parts: see mime_boundary.h.
#include "lib/mail/mime_boundary.h"

#include "lib/base/ascii.h"

namespace posthouse::mail {

void BoundaryStack::push_multipart(std::string_view boundary, bool digest)
{
    enclosing_.push_back(Enclosing{std::string(boundary.substr(0, longest_)), digest});
}

void BoundaryStack::push_message()
{
    enclosing_.push_back(Enclosing());
}

// RFC 2046 section 5.1.1: blanks may follow a boundary. More than blanks is no clean delimiter, but one has
// to reckon with readers who take it for one.
BoundaryStack::Hit::How BoundaryStack::match_one(std::string_view line, std::string_view boundary)
{
    using How = Hit::How;
    line.remove_prefix(2); // "--"
    if (boundary.empty() || !line.starts_with(boundary))
        return How::None;
    const std::string_view rest = ascii::trim(line.substr(boundary.size()));
    if (rest.empty())
        return How::Is;
    return rest.starts_with("--") ? How::Closes : How::Begins;
}

BoundaryStack::Hit BoundaryStack::match(std::string_view line) const
{
    line = line.substr(0, line_length());
    if (line.ends_with('\n'))
        line.remove_suffix(1);
    if (line.ends_with('\r'))
        line.remove_suffix(1);
    Hit hit;
    for (size_t at = enclosing_.size(); at-- > 0 && hit.how <= Hit::How::Begins;) {
        const Hit::How how = match_one(line, enclosing_[at].boundary);
        if (how > hit.how) {
            hit.how = how;
            hit.at = at;
        }
    }
    return hit;
}

bool BoundaryStack::leave(const Hit& hit)
{
    const size_t keep = hit.closes() ? hit.at : hit.at + 1;
    const bool digest = enclosing_[hit.at].digest;
    if (keep < enclosing_.size())
        enclosing_.erase(enclosing_.begin() + static_cast<std::ptrdiff_t>(keep), enclosing_.end());
    return digest;
}

} // namespace posthouse::mail
