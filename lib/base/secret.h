// Secret: a password or key. Wipes its bytes when it dies, cannot be printed by accident, and compares
// in constant time.
#pragma once

#include <string>
#include <string_view>

namespace posthouse {

class Secret {
public:
    Secret() = default;
    explicit Secret(std::string_view value) : value_(value) {}
    Secret(const Secret&) = default;
    Secret& operator=(const Secret& other);
    Secret(Secret&& other) noexcept;
    Secret& operator=(Secret&& other) noexcept;
    ~Secret() { wipe(); }

    // The bytes themselves, for the one call that needs them.
    std::string_view reveal() const { return value_; }
    bool empty() const { return value_.empty(); }
    bool equals(std::string_view other) const;

private:
    void wipe();
    std::string value_;
};

// Overwrites the bytes of an ordinary string that has held one, and empties it.
void wipe(std::string& text);

// What a log line shows in its place.
inline std::string_view to_text(const Secret&) { return "***"; }

} // namespace posthouse
