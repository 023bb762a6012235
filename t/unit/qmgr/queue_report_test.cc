#include "t/support/catch.h"
#include "tools/queue_report.h"

#include <cstdlib>
#include <ctime>

using namespace posthouse;
using tools::QueueTable;

namespace {

queue::ListEntry entry(const std::string& id, uint8_t its_queue)
{
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    queue::ListEntry one;
    one.id = id;
    one.queue = its_queue;
    one.arrival_us = 1795320058000000; // Sun Nov 22 04:00:58 2026
    one.size = 2100;
    one.sender = "sender@example.org";
    queue::ListedRecipient recipient;
    recipient.address = "friend@example.com";
    recipient.reason = "connect to example.com[192.0.2.1]:25: Connection refused";
    one.recipients.push_back(recipient);
    return one;
}

} // namespace

TEST_CASE("mailq prints Postfix's table for long queue ids")
{
    QueueTable table;
    std::string text = table.add(entry("4dkXz2tWq1zC9", queue::Deferred));
    auto second = entry("4dkXz2tWq1zCB", queue::Active);
    second.sender = "";
    second.recipients[0].reason = "";
    text += table.add(second);
    text += table.end();
    CHECK(text ==
          "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n"
          "4dkXz2tWq1zC9         2100 Sun Nov 22 04:00:58 sender@example.org\n"
          "                    (connect to example.com[192.0.2.1]:25: Connection refused)\n"
          "                                               friend@example.com\n"
          "\n"
          "4dkXz2tWq1zCB*        2100 Sun Nov 22 04:00:58 MAILER-DAEMON\n"
          "                                               friend@example.com\n"
          "\n"
          "-- 4 Kbytes in 2 Requests.\n");
}

TEST_CASE("an empty queue is said in one line")
{
    CHECK(QueueTable().end() == "Mail queue is empty\n");
}

TEST_CASE("held mail has an exclamation mark, mail to be expired a hash")
{
    QueueTable table;
    auto held = entry("A", queue::Hold);
    held.forced_expire = true;
    CHECK(table.add(held).find("A!#   ") != std::string::npos);
}

TEST_CASE("recipients with the same reason share its line, and control characters do not reach the terminal")
{
    QueueTable table;
    auto one = entry("A", queue::Deferred);
    one.recipients.push_back(one.recipients[0]);
    one.recipients[1].address = "x\x1b[2J@example.com";
    const std::string text = table.add(one);
    CHECK(text.find("refused)") == text.rfind("refused)"));
    CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("postqueue -j prints Postfix's fields")
{
    auto one = entry("4dkXz2tWq1zC9", queue::Deferred);
    one.recipients[0].original = "alias@example.com";
    one.recipients.push_back(queue::ListedRecipient());
    one.recipients[1].address = "q\"\\\n@example.com";
    CHECK(tools::queue_json(one) ==
          "{\"queue_name\": \"deferred\", \"queue_id\": \"4dkXz2tWq1zC9\", \"arrival_time\": 1795320058, "
          "\"message_size\": 2100, \"forced_expire\": false, \"sender\": \"sender@example.org\", "
          "\"recipients\": [{\"address\": \"friend@example.com\", \"orig_address\": \"alias@example.com\", "
          "\"delay_reason\": \"connect to example.com[192.0.2.1]:25: Connection refused\"}, "
          "{\"address\": \"q\\\"\\\\\\u000a@example.com\"}]}\n");
}

TEST_CASE("a message that comes in pieces is one entry of the table and one line of JSON")
{
    auto whole = entry("4dkXz2tWq1zC9", queue::Deferred);
    whole.recipients.resize(3, whole.recipients[0]);
    whole.recipients[2].address = "last@example.com";
    auto first = whole;
    first.recipients.resize(2);
    first.more = true;
    auto second = whole;
    second.recipients.erase(second.recipients.begin(), second.recipients.begin() + 2);
    second.continues = second.more = true;
    auto end = second;
    end.recipients.clear();
    end.more = false;
    CHECK(tools::queue_json(first) + tools::queue_json(second) + tools::queue_json(end) == tools::queue_json(whole));
    QueueTable in_pieces;
    QueueTable at_once;
    std::string text;
    for (const auto& piece : {first, second, end})
        text += in_pieces.add(piece);
    text += in_pieces.end();
    std::string expected = at_once.add(whole);
    expected += at_once.end();
    CHECK(text == expected);
}
