// What filters do to header fields.
#include "lib/milter/headers.h"
#include "t/support/catch.h"

using namespace posthouse::milter;

namespace {

HeaderFields sample()
{
    HeaderFields fields;
    fields.append(HeaderField("Received: by us\r\n", 8, true));
    fields.append(HeaderField("Received: by them\r\n", 8));
    fields.append(HeaderField("X-A: one\r\n", 3));
    fields.append(HeaderField("x-a:two\r\n\tmore\r\n", 3));
    return fields;
}

HeaderField field(std::string_view name, std::string_view value)
{
    return HeaderField::make(name, value, false);
}

} // namespace

TEST_CASE("a value is shown with its lines parted by LF, and without the space behind the colon")
{
    const HeaderFields fields = sample();
    CHECK(fields.all()[2].value(false) == "one");
    CHECK(fields.all()[2].value(true) == " one");
    CHECK(fields.all()[3].value(false) == "two\n\tmore");
}

TEST_CASE("a field from a filter stays one field, whatever its lines are")
{
    CHECK(field("X", "a\n b").text == "X: a\r\n b\r\n");
    CHECK(field("X", "a\nEvil: b").text == "X: a\r\n\tEvil: b\r\n");
    CHECK(field("X", "a\r\n\r\nbody").text == "X: a\r\n\tbody\r\n");
    CHECK(field("X", "a\rb\n").text == "X: a b\r\n");
    CHECK(field("X", "").text == "X: \r\n");
    CHECK(HeaderField::make("X", " a", true).text == "X: a\r\n");
}

TEST_CASE("our own Received field does not count for changes, but for insertions")
{
    HeaderFields fields = sample();
    fields.change(1, field("Received", "changed"));
    CHECK(fields.text().starts_with("Received: by us\r\nReceived: changed\r\n"));
    fields.insert(0, field("Top", "t"));
    fields.insert(2, field("Below", "b"));
    CHECK(fields.text().starts_with("Top: t\r\nReceived: by us\r\nBelow: b\r\nReceived: changed\r\n"));
}

TEST_CASE("an index counts the fields of one name from one")
{
    HeaderFields fields = sample();
    fields.change(2, field("X-A", "second"));
    fields.remove(1, "X-a");
    CHECK(fields.text() == "Received: by us\r\nReceived: by them\r\nX-A: second\r\n");
    CHECK(fields.size() == fields.text().size());
}

TEST_CASE("a change of a field that is not there adds it, and its removal does nothing")
{
    HeaderFields fields = sample();
    fields.remove(3, "X-A");
    CHECK_FALSE(fields.changed());
    fields.change(3, field("X-A", "three"));
    CHECK(fields.changed());
    CHECK(fields.text().ends_with("X-A: three\r\n"));
}

TEST_CASE("an insertion beyond the last field is put last")
{
    HeaderFields fields = sample();
    fields.insert(99, field("Z", "z"));
    CHECK(fields.text().ends_with("Z: z\r\n"));
}

TEST_CASE("the name of a field has no blank, colon or control character")
{
    CHECK(is_field_name("X-Spam"));
    for (const std::string name : {"", "a b", "a:b", "a\n", "\xe4"})
        CHECK_FALSE(is_field_name(name));
}
