// The statement shapes that the house rule allows, kept running: a compiler that starts to copy
// temporaries of these bitwise shows here (most clearly under ASan) and not in production.
#include "lib/event/task.h"
#include "t/support/catch.h"
#include "t/support/run_task.h"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace posthouse;
using posthouse::test::run_task;

namespace {

// Longer than any small-string buffer, so that a second destruction is a double free.
const std::string long_text = "a text that is too long for the small string buffer of any library";

int live_values = 0;
class Value {
public:
    explicit Value(std::string text) : text_(std::move(text)) { ++live_values; }
    Value(const Value& other) : text_(other.text_) { ++live_values; }
    Value(Value&& other) noexcept : text_(std::move(other.text_)) { ++live_values; }
    Value& operator=(const Value&) = default;
    Value& operator=(Value&&) = default;
    ~Value() { --live_values; }
    const std::string& text() const { return text_; }

private:
    std::string text_;
};

Task<std::string> by_value(Loop& loop, Value value)
{
    co_await sleep_for(loop, Duration());
    co_return value.text();
}
Task<std::string> by_reference(Loop& loop, const Value& value)
{
    co_await sleep_for(loop, Duration());
    co_return value.text();
}
Task<std::string> by_view(Loop& loop, std::string_view text)
{
    co_await sleep_for(loop, Duration());
    co_return std::string(text);
}
Task<std::unique_ptr<Value>> make(Loop& loop)
{
    co_await sleep_for(loop, Duration());
    co_return std::make_unique<Value>(long_text);
}
Task<std::vector<std::string>> several(Loop& loop)
{
    co_await sleep_for(loop, Duration());
    std::vector<std::string> all;
    all.push_back(long_text);
    all.push_back(long_text);
    co_return all;
}
Task<bool> counts_down(Loop& loop, int& left)
{
    co_await sleep_for(loop, Duration());
    co_return --left > 0;
}
// No variable but those of the conditions: g++ 12 leaves `while (co_await ...)` out of such a frame.
Task<void> named_conditions(Loop& loop, int& left)
{
    if (bool more = co_await counts_down(loop, left); !more)
        co_return;
    while (bool more = co_await counts_down(loop, left))
        (void)more;
}
Value value_of(const std::string& text) { return Value(text); }

Task<int> sound_shapes(Loop& loop)
{
    int right = 0;
    right += co_await by_value(loop, Value(long_text)) == long_text;
    right += co_await by_value(loop, value_of(long_text)) == long_text;
    right += co_await by_reference(loop, Value(long_text)) == long_text;
    right += co_await by_view(loop, long_text + "!") == long_text + "!";
    Value named(long_text);
    right += co_await by_value(loop, std::move(named)) == long_text;
    if (auto made = co_await make(loop); made)
        right += made->text() == long_text;
    for (const std::string& text : co_await several(loop))
        right += text == long_text;
    const bool both = co_await by_view(loop, "a") == "a" && co_await by_view(loop, "b") == "b";
    if (both)
        ++right;
    while (auto made = co_await make(loop)) {
        right += made->text() == long_text;
        break;
    }
    co_return right;
}

} // namespace

TEST_CASE("each statement shape that the house rule allows works with this compiler")
{
    Loop loop;
    CHECK(run_task(loop, sound_shapes(loop)) == 10);
    CHECK(live_values == 0);
}

TEST_CASE("a function without variables waits in its conditions when they name what they awaited")
{
    Loop loop;
    int left = 4;
    run_task(loop, named_conditions(loop, left));
    CHECK(left == 0);
}
