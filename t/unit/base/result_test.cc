// Result, Error and Secret.
#include "lib/base/ascii.h"
#include "lib/base/result.h"
#include "lib/base/secret.h"
#include "t/support/catch.h"

#include <cerrno>

using namespace posthouse;

namespace {
Result<int> half(int n)
{
    if (n % 2)
        return Error(ErrorKind::Permanent, "5.1.0", "odd number");
    return n / 2;
}

Result<void> twice_halved(int n)
{
    auto once = half(n);
    if (!once)
        return std::move(once.error());
    auto twice = half(*once);
    if (!twice)
        return std::move(twice.error()).within("second time");
    return {};
}
} // namespace

TEST_CASE("a Result holds a value or an Error")
{
    REQUIRE(half(4));
    CHECK(*half(4) == 2);
    REQUIRE_FALSE(half(3));
    CHECK(half(3).error().text() == "odd number");
    CHECK(half(3).error().dsn() == "5.1.0");
    CHECK(half(3).error().permanent());
}

TEST_CASE("an Error names what it happened within, and keeps its code")
{
    CHECK(twice_halved(8));
    auto failed = twice_halved(6);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().full_text() == "second time: odd number");
    CHECK(failed.error().dsn() == "5.1.0");
}

TEST_CASE("an Error keeps the chain of its causes, also in a copy")
{
    Error outer = Error(ErrorKind::Temporary, "cannot queue the message").because_of(Error::system("write", ENOSPC));
    const Error copy = outer;
    CHECK(copy.full_text() == "cannot queue the message: write: No space left on device");
    REQUIRE(copy.cause());
    CHECK(copy.cause()->errno_value() == ENOSPC);
    CHECK(copy.cause()->dsn() == "4.3.1");
}

TEST_CASE("a Secret is not printed, and compares by all its bytes")
{
    Secret secret("hunter2");
    CHECK(to_text(secret) == "***");
    CHECK(secret.equals("hunter2"));
    CHECK_FALSE(secret.equals("hunter3"));
    Secret moved = std::move(secret);
    CHECK(moved.equals("hunter2"));
}

TEST_CASE("numbers from the wire are whole, unsigned and in range")
{
    CHECK(ascii::parse_unsigned("42") == 42);
    CHECK_FALSE(ascii::parse_unsigned(""));
    CHECK_FALSE(ascii::parse_unsigned("-1"));
    CHECK_FALSE(ascii::parse_unsigned("+1"));
    CHECK_FALSE(ascii::parse_unsigned("4x"));
    CHECK_FALSE(ascii::parse_unsigned("99999999999999999999999"));
}
