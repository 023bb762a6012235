// Error: why something that may fail has failed. It says what kind of failure it is (which decides
// between "try again" and "give up"), an RFC 3463 enhanced status code for SMTP and log, a text for
// people, the errno when a system call failed, and the error that caused it. It has constructors, so
// it may appear as Type(...) in a statement with co_await.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace posthouse {

enum class ErrorKind : unsigned char {
    Temporary,    // worth another try
    Permanent,    // will fail again
    TimedOut,     // a deadline passed; temporary
    Disconnected, // the peer is gone; temporary
    Corrupt,      // data breaks its own format
    Config,       // the administrator has to change something
    NotFound,     // the named thing does not exist
};

class Error {
public:
    Error(ErrorKind kind, std::string text);
    // dsn: an RFC 3463 code such as "4.3.0".
    Error(ErrorKind kind, std::string_view dsn, std::string text);

    // From errno: "open /x: No such file or directory". ENOENT is NotFound, the rest Temporary.
    static Error system(std::string what, int errno_value);
    static Error timed_out(std::string what);
    static Error disconnected(std::string what);

    Error(const Error&);
    Error& operator=(const Error&);
    Error(Error&&) noexcept = default;
    Error& operator=(Error&&) noexcept = default;
    ~Error() = default;

    // The new error says what could not be done, `this` becomes its cause; kind, code and errno stay.
    [[nodiscard]] Error because_of(Error cause) &&;
    // "what: this" in one text, keeping kind, code and errno.
    [[nodiscard]] Error within(std::string_view what) &&;

    ErrorKind kind() const { return kind_; }
    bool permanent() const { return kind_ == ErrorKind::Permanent; }
    // Never empty: a generic code by kind when none was given.
    std::string_view dsn() const;
    const std::string& text() const { return text_; }
    int errno_value() const { return errno_; }
    const Error* cause() const { return cause_.get(); }
    // text, then each cause, separated by ": ".
    std::string full_text() const;

private:
    ErrorKind kind_;
    int errno_ = 0;
    std::string dsn_;
    std::string text_;
    std::unique_ptr<Error> cause_;
};

} // namespace posthouse
