#include "qmgr/waiting_index.h"

#include "lib/base/file.h"
#include "t/support/catch.h"

#include <cstdlib>
#include <string>
#include <unistd.h>

using namespace posthouse;
using namespace posthouse::qmgr;

namespace {

class Folder {
public:
    Folder()
    {
        char name[] = "/tmp/posthouse-index-XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        path = name;
    }
    ~Folder()
    {
        ::unlink((path + "/waiting.lmdb").c_str());
        ::rmdir(path.c_str());
    }
    std::string path;
};

WaitingMessage message(uint64_t number, int64_t next_us)
{
    WaitingMessage one;
    one.number = number;
    one.id = "ID" + std::to_string(number);
    one.next_us = next_us;
    one.arrival_us = 7;
    one.size = 1234;
    one.sender = "sender@example.org";
    WaitingRecipient recipient;
    recipient.index = 3;
    recipient.address = "friend@example.com";
    recipient.reason = "connect to example.com[192.0.2.1]:25: Connection refused";
    one.recipients.push_back(recipient);
    return one;
}

std::unique_ptr<WaitingIndex> opened(Loop& loop, const Folder& folder)
{
    auto index = WaitingIndex::open(loop, folder.path);
    REQUIRE(index);
    return std::move(*index);
}

constexpr int64_t now_us = 2000000000000000;

} // namespace

TEST_CASE("the index gives back what was put into it")
{
    Loop loop;
    Folder folder;
    auto index = opened(loop, folder);
    CHECK(index->state() == WaitingIndex::State::Fresh);
    index->put(message(5, now_us));
    CHECK(index->get(5) == message(5, now_us));
    CHECK_FALSE(index->get(6));
    index->erase(5);
    CHECK_FALSE(index->get(5));
    CHECK(index->count() == 0);
}

TEST_CASE("due mail comes in order of time, and not before its time")
{
    Loop loop;
    Folder folder;
    auto index = opened(loop, folder);
    index->put(message(1, now_us - 10));
    index->put(message(2, now_us - 20));
    index->put(message(3, now_us + 1));
    CHECK(index->due(now_us, 10) == std::vector<uint64_t>{2, 1});
    CHECK(index->due(now_us, 1) == std::vector<uint64_t>{2});
    CHECK(index->first_due_us() == now_us - 20);
}

TEST_CASE("what was never tried is due before all that was")
{
    Loop loop;
    Folder folder;
    auto index = opened(loop, folder);
    index->put(message(1, now_us - 1000000));
    WaitingMessage fresh = message(2, now_us);
    fresh.incoming = true;
    index->put(fresh);
    CHECK(index->due(now_us, 10) == std::vector<uint64_t>{2, 1});
}

TEST_CASE("held mail is never due but listed")
{
    Loop loop;
    Folder folder;
    auto index = opened(loop, folder);
    WaitingMessage held = message(1, now_us - 10);
    held.held = true;
    index->put(held);
    CHECK(index->due(now_us, 10).empty());
    CHECK(index->list(0, 10).size() == 1);
}

TEST_CASE("an active message keeps its record but is not due")
{
    Loop loop;
    Folder folder;
    auto index = opened(loop, folder);
    index->put(message(1, now_us - 10));
    index->activate(1);
    CHECK(index->due(now_us, 10).empty());
    CHECK(index->get(1));
}

TEST_CASE("putting a message again moves its time")
{
    Loop loop;
    Folder folder;
    auto index = opened(loop, folder);
    index->put(message(1, now_us - 10));
    index->put(message(1, now_us + 10));
    CHECK(index->due(now_us, 10).empty());
    CHECK(index->first_due_us() == now_us + 10);
}

TEST_CASE("a list is continued where it stopped")
{
    Loop loop;
    Folder folder;
    auto index = opened(loop, folder);
    for (uint64_t number = 1; number <= 5; ++number)
        index->put(message(number, now_us));
    CHECK(index->list(0, 2).back().number == 2);
    CHECK(index->list(2, 10).size() == 3);
    CHECK(index->list(5, 10).empty());
}

TEST_CASE("an index that was closed in order is believed, one whose writer died is doubted")
{
    Loop loop;
    Folder folder;
    {
        auto index = opened(loop, folder);
        index->put(message(1, now_us));
        index->close_in_order();
    }
    {
        auto index = opened(loop, folder);
        CHECK(index->state() == WaitingIndex::State::Clean);
        CHECK(index->get(1) == message(1, now_us));
    }
    auto index = opened(loop, folder);
    CHECK(index->state() == WaitingIndex::State::Doubted);
    CHECK(index->get(1) == message(1, now_us));
}

TEST_CASE("a damaged index is made anew instead of ending the process")
{
    Loop loop;
    Folder folder;
    const std::string path = folder.path + "/waiting.lmdb";
    {
        auto index = opened(loop, folder);
        for (uint64_t number = 1; number <= 2000; ++number)
            index->put(message(number, now_us));
        index->close_in_order();
    }
    SECTION("cut short") { REQUIRE(::truncate(path.c_str(), 40000) == 0); }
    SECTION("scrambled") { REQUIRE(replace_file(path, std::string(100000, 'x'), 0600)); }
    SECTION("empty") { REQUIRE(::truncate(path.c_str(), 0) == 0); }
    auto index = opened(loop, folder);
    CHECK(index->state() == WaitingIndex::State::Fresh);
    CHECK(index->count() == 0);
    index->put(message(1, now_us));
    CHECK(index->get(1));
}

TEST_CASE("twenty thousand messages find room", "[.][slow]")
{
    Loop loop;
    Folder folder;
    auto index = opened(loop, folder);
    for (uint64_t number = 1; number <= 20000; ++number)
        index->put(message(number, now_us));
    CHECK(index->count() == 20000);
}

namespace {

WaitingMessage with_recipients(uint64_t number, size_t count)
{
    WaitingMessage one = message(number, now_us);
    one.recipients.resize(count, one.recipients[0]);
    for (size_t i = 0; i < count; ++i)
        one.recipients[i].index = static_cast<uint32_t>(i);
    return one;
}

} // namespace

TEST_CASE("a walk through the index gives large records in pieces, small ones whole")
{
    Loop loop;
    const Folder folder;
    auto index = opened(loop, folder);
    for (const uint64_t number : {3, 7, 9})
        index->put(with_recipients(number, number == 7 ? 1000 : 2));
    IndexCursor cursor;
    WaitingPiece piece;
    std::vector<WaitingMessage> found;
    size_t pieces = 0;
    for (; index->next_piece(cursor, 5000, piece); ++pieces) {
        if (!piece.continues)
            found.push_back(piece.message);
        else
            found.back().recipients.insert(found.back().recipients.end(), piece.message.recipients.begin(),
                                           piece.message.recipients.end());
        CHECK(piece.message.recipients.size() < 100);
        CHECK(piece.more == (piece.message.number == 7 && found.back().recipients.size() < 1000));
        if (pieces == 3) // written anew in the middle of it, and longer
            index->put(with_recipients(7, 1000));
    }
    CHECK(pieces > 12);
    REQUIRE(found.size() == 3);
    CHECK(found[0] == with_recipients(3, 2));
    CHECK(found[1] == with_recipients(7, 1000));
    CHECK(found[2] == with_recipients(9, 2));
}

TEST_CASE("a message that leaves the index in the middle of its pieces ends with an empty one")
{
    Loop loop;
    const Folder folder;
    auto index = opened(loop, folder);
    index->put(with_recipients(7, 1000));
    IndexCursor cursor;
    WaitingPiece piece;
    REQUIRE(index->next_piece(cursor, 5000, piece));
    REQUIRE(piece.more);
    SECTION("gone") { index->erase(7); }
    SECTION("its number has another message")
    {
        WaitingMessage other = with_recipients(7, 1000);
        other.id = "OTHER";
        index->put(other);
    }
    REQUIRE(index->next_piece(cursor, 5000, piece));
    CHECK(piece.message.id == "ID7");
    CHECK(piece.continues);
    CHECK_FALSE(piece.more);
    CHECK(piece.message.recipients.empty());
    CHECK_FALSE(index->next_piece(cursor, 5000, piece));
}

TEST_CASE("messages that are taken already leave their place among the due ones to others")
{
    Loop loop;
    const Folder folder;
    auto index = opened(loop, folder);
    for (const uint64_t number : {1, 2, 3, 4})
        index->put(message(number, now_us - 10 + static_cast<int64_t>(number)));
    const auto taken = [](uint64_t number) { return number <= 2; };
    CHECK(index->due(now_us, 1, taken) == std::vector<uint64_t>{1, 2, 3});
}

TEST_CASE("a record's times and marks change without its recipients being read")
{
    Loop loop;
    const Folder folder;
    auto index = opened(loop, folder);
    WaitingMessage one = with_recipients(7, 10);
    index->put(one);
    auto head = index->head(7);
    REQUIRE(head);
    CHECK(head->recipients.empty());
    CHECK(head->id == one.id);
    head->next_us = one.next_us = now_us - 5;
    head->flushed = one.flushed = true;
    index->put_head(*head);
    CHECK(index->get(7) == one);
    CHECK(index->due(now_us - 5, 10) == std::vector<uint64_t>{7});
    head->number = 8;
    index->put_head(*head); // not there: nothing to change
    CHECK(index->count() == 1);
}
