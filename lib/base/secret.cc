// Wiping and comparing secrets: see secret.h.
#include "lib/base/secret.h"

#include <cstring>
#include <utility>

namespace posthouse {

void wipe(std::string& text)
{
    if (!text.empty())
        explicit_bzero(text.data(), text.capacity());
    text.clear();
}

void Secret::wipe() { posthouse::wipe(value_); }

Secret& Secret::operator=(const Secret& other)
{
    if (this != &other) {
        wipe();
        value_ = other.value_;
    }
    return *this;
}

// A short string lives inside the object, so a plain move would leave its bytes behind.
Secret::Secret(Secret&& other) noexcept : value_(other.value_) { other.wipe(); }

Secret& Secret::operator=(Secret&& other) noexcept
{
    if (this != &other) {
        wipe();
        value_ = other.value_;
        other.wipe();
    }
    return *this;
}

bool Secret::equals(std::string_view other) const
{
    if (value_.size() != other.size())
        return false;
    unsigned char difference = 0;
    for (size_t i = 0; i < other.size(); ++i)
        difference = static_cast<unsigned char>(difference | (value_[i] ^ other[i]));
    return difference == 0;
}

} // namespace posthouse
