// Where a header's fields end when its lines are longer than the limit of a field.
#include "lib/queue/header_scanner.h"
#include "t/support/catch.h"

#include <string>
#include <vector>

using namespace posthouse::queue;

namespace {

constexpr size_t field_limit = 40;

// The kinds of all items up to the end of the header, without the parts of a long field: their number depends on
// the pieces.
std::vector<HeaderItem::Kind> kinds(const std::string& text, size_t piece_size)
{
    HeaderScanner scanner(field_limit);
    std::vector<HeaderItem::Kind> found;
    auto ended = [&] {
        for (;;) {
            const HeaderItem item = scanner.next();
            if (item.kind == HeaderItem::Kind::NeedMore)
                return false;
            if (item.kind != HeaderItem::Kind::MoreOfField)
                found.push_back(item.kind);
            if (item.kind == HeaderItem::Kind::End)
                return true;
        }
    };
    for (size_t at = 0; at < text.size(); at += piece_size) {
        const std::string piece = text.substr(at, piece_size);
        scanner.feed(piece);
        if (ended())
            return found;
        scanner.keep_rest();
    }
    scanner.finish();
    REQUIRE(ended());
    return found;
}

void is_the_same_in_pieces(const std::string& text, const std::vector<HeaderItem::Kind>& expected)
{
    CAPTURE(text);
    for (const size_t piece_size : {text.size(), size_t(1), size_t(7)}) {
        CAPTURE(piece_size);
        CHECK(kinds(text, piece_size) == expected);
    }
}

} // namespace

using Kind = HeaderItem::Kind;

TEST_CASE("a mailbox line longer than the limit of a field is none, however the message is cut")
{
    const std::string begin = "From ann ";
    is_the_same_in_pieces(begin + std::string(field_limit - begin.size(), 'x') + "\nTo: b\n\n",
                          {Kind::MailboxLine, Kind::Field, Kind::End});
    is_the_same_in_pieces(begin + std::string(field_limit + 1 - begin.size(), 'x') + "\nTo: b\n\n", {Kind::End});
    is_the_same_in_pieces(begin + std::string(200, 'x') + "\nTo: b\n\n", {Kind::End});
}

TEST_CASE("a field's name longer than the limit of a field is none, however the message is cut")
{
    is_the_same_in_pieces(std::string(field_limit, 'x') + ": y\nTo: b\n\n", {Kind::LongField, Kind::Field, Kind::End});
    is_the_same_in_pieces(std::string(field_limit + 1, 'x') + ": y\nTo: b\n\n", {Kind::End});
    is_the_same_in_pieces(std::string(200, 'x') + ": y\nTo: b\n\n", {Kind::End});
}
