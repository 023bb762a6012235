// What is known of a client that was tested before: until when it need not be tested again, test by test. Pure values;
// the table of postscreen_cache_map holds one for each client address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace posthouse::smtpd {

// In the order of the record's text, which is postscreen's.
enum class ScreenTest : unsigned char { Greet, Dnsbl, Pipelining, NonSmtp, BareNewline };
constexpr size_t screen_test_count = 5;

class TestSet {
public:
    constexpr TestSet() = default;
    constexpr TestSet(std::initializer_list<ScreenTest> tests)
    {
        for (const ScreenTest test : tests)
            add(test);
    }
    static constexpr TestSet before_greeting() { return {ScreenTest::Greet, ScreenTest::Dnsbl}; }

    constexpr bool has(ScreenTest test) const { return (bits_ & bit(test)) != 0; }
    constexpr bool empty() const { return bits_ == 0; }
    constexpr void add(ScreenTest test) { bits_ |= bit(test); }
    constexpr void remove(ScreenTest test) { bits_ &= static_cast<uint8_t>(~bit(test)); }
    constexpr bool any_of(TestSet others) const { return (bits_ & others.bits_) != 0; }
    friend constexpr bool operator==(TestSet, TestSet) = default;

private:
    static constexpr uint8_t bit(ScreenTest test) { return static_cast<uint8_t>(1u << static_cast<unsigned>(test)); }
    uint8_t bits_ = 0;
};

class PassRecord {
public:
    PassRecord() = default;
    // "1795318681;0;0;1797910681;0"; nullopt for what is no record.
    static std::optional<PassRecord> parse(std::string_view text);
    std::string to_text() const;

    // Seconds since 1970, in all of these.
    bool holds(ScreenTest test, int64_t now) const { return until_[static_cast<size_t>(test)] > now; }
    void pass(ScreenTest test, int64_t until) { until_[static_cast<size_t>(test)] = until; }
    int64_t end() const; // when the last pass ends

private:
    int64_t until_[screen_test_count] = {};
};

} // namespace posthouse::smtpd
