// The error value: see error.h.
#include "lib/base/error.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace posthouse {

Error::Error(ErrorKind kind, std::string text) : kind_(kind), text_(std::move(text)) {}

Error::Error(ErrorKind kind, std::string_view dsn, std::string text)
    : kind_(kind), dsn_(dsn), text_(std::move(text))
{
}

Error::Error(const Error& other)
    : kind_(other.kind_), errno_(other.errno_), dsn_(other.dsn_), text_(other.text_),
      cause_(other.cause_ ? std::make_unique<Error>(*other.cause_) : nullptr)
{
}

Error& Error::operator=(const Error& other)
{
    if (this != &other)
        *this = Error(other);
    return *this;
}

Error Error::system(std::string what, int errno_value)
{
    char buffer[128];
    // The GNU strerror_r: thread-safe, and may return a constant instead of the buffer.
    const char* reason = strerror_r(errno_value, buffer, sizeof buffer);
    what += ": ";
    what += reason;
    Error error(errno_value == ENOENT ? ErrorKind::NotFound : ErrorKind::Temporary, std::move(what));
    if (errno_value == ENOSPC || errno_value == EDQUOT)
        error.dsn_ = "4.3.1";
    error.errno_ = errno_value;
    return error;
}

Error Error::timed_out(std::string what)
{
    return Error(ErrorKind::TimedOut, "4.4.2", std::move(what));
}

Error Error::disconnected(std::string what)
{
    return Error(ErrorKind::Disconnected, "4.4.2", std::move(what));
}

Error Error::because_of(Error cause) &&
{
    cause_ = std::make_unique<Error>(std::move(cause));
    return std::move(*this);
}

Error Error::within(std::string_view what) &&
{
    text_.insert(0, ": ").insert(0, what);
    return std::move(*this);
}

std::string_view Error::dsn() const
{
    if (!dsn_.empty())
        return dsn_;
    switch (kind_) {
    case ErrorKind::Permanent:
    case ErrorKind::Corrupt:
        return "5.3.0";
    case ErrorKind::TimedOut:
    case ErrorKind::Disconnected:
        return "4.4.2";
    case ErrorKind::Config:
        return "4.3.5";
    case ErrorKind::Temporary:
    case ErrorKind::NotFound:
        break;
    }
    return "4.3.0";
}

std::string Error::full_text() const
{
    std::string all = text_;
    for (const Error* error = cause_.get(); error; error = error->cause_.get()) {
        all += ": ";
        all += error->text_;
    }
    return all;
}

} // namespace posthouse
