#include "local/local_delivery.h"
#include "local/mailbox_delivery.h"
#include "local/message_copy.h"
#include "local/message_head.h"
#include "local/spawn_protocol.h"
#include "local/virtual_delivery.h"

#include "t/support/catch.h"

using namespace posthouse;
using namespace posthouse::local;

namespace {
// However it is cut, the text comes out the same.
std::string convert(const std::string& text, bool quote_from)
{
    std::string whole;
    LineConverter at_once(quote_from);
    at_once.add(text, whole);
    at_once.finish(whole);
    for (size_t step = 1; step < 8; ++step) {
        std::string pieces;
        LineConverter converter(quote_from);
        for (size_t i = 0; i < text.size(); i += step)
            converter.add(std::string_view(text).substr(i, step), pieces);
        converter.finish(pieces);
        CHECK(pieces == whole);
    }
    return whole;
}
} // namespace

TEST_CASE("wire lines become LF lines, a bare CR stays, the last line is ended")
{
    CHECK(convert("a\r\nb\r\n", false) == "a\nb\n");
    CHECK(convert("a\rb\r\n", false) == "a\rb\n");
    CHECK(convert("a\r\r\n", false) == "a\r\n");
    CHECK(convert("a", false) == "a\n");
    CHECK(convert("a\r", false) == "a\r\n");
    CHECK(convert("", false).empty());
    CHECK(convert("From here\r\n", false) == "From here\n");
}

TEST_CASE("in an mbox only a line that begins with From and a blank is quoted")
{
    CHECK(convert("From me\r\nFrom\r\nFromage\r\n From x\r\n>From y\r\nFro", true) ==
          ">From me\nFrom\nFromage\n From x\n>From y\nFro\n");
    CHECK(convert("\r\nFrom \r\n", true) == "\n>From \n");
    CHECK(convert("Fr\r\nFFrom x\r\n", true) == "Fr\nFFrom x\n");
}

TEST_CASE("Delivered-To fields are found folded and in any case, and only in the header")
{
    const auto found = delivered_to_addresses("Received: x\r\nDelivered-To: A@b.example\r\ndelivered-to:\r\n c@d\r\n"
                                              "Subject: Delivered-To: no\r\n\r\nDelivered-To: body@x\r\n");
    REQUIRE(found.size() == 2);
    CHECK(found[0] == "a@b.example");
    CHECK(found[1] == "c@d");
    CHECK(MessageHead(found).was_delivered_to("a@B.example"));
    CHECK_FALSE(MessageHead(found).was_delivered_to("body@x"));
    CHECK(delivered_to_addresses("\r\nDelivered-To: a@b\r\n").empty());
    CHECK(delivered_to_addresses("Delivered-To: cut").size() == 1);
}

TEST_CASE("a Delivered-To of another host is no loop and stays in the message")
{
    const std::string text = "Delivered-To: joe@else.example\r\nSubject: x\r\n\r\n";
    CHECK_FALSE(MessageHead(delivered_to_addresses(text)).was_delivered_to("joe@ours.example"));
    CHECK(convert(text, false) == "Delivered-To: joe@else.example\nSubject: x\n\n");
}

TEST_CASE("a final delivery adds Return-Path, X-Original-To and Delivered-To")
{
    mail::Recipient recipient("u@d");
    CHECK(delivery_headers("", recipient) == "Return-Path: <>\nDelivered-To: u@d\n");
    CHECK(delivery_headers("", recipient, false) == "Return-Path: <>\n"); // prepend_delivered_header without file
    recipient.original = "alias@d";
    recipient.address = "\"\\\\u\"@d"; // the user's mailbox, past the user's alias
    CHECK(delivery_headers("s@x", recipient) == "Return-Path: <s@x>\nX-Original-To: alias@d\nDelivered-To: u@d\n");
    recipient.address = "u@d";
    CHECK(delivery_headers("s@x", recipient) == "Return-Path: <s@x>\nX-Original-To: alias@d\nDelivered-To: u@d\n");
}

TEST_CASE("a virtual mailbox's path stays below its base")
{
    CHECK(virtual_path("/base", "d/u/") == "/base/d/u/");
    CHECK_FALSE(virtual_path("/base", "../u/"));
    CHECK_FALSE(virtual_path("/base", "d/../../u"));
    CHECK_FALSE(virtual_path("/base", ""));
    CHECK(virtual_path("/base", "d/..u") == "/base/d/..u");
}

TEST_CASE("a file or command of an alias has an address that no rewriting can take for another one")
{
    using Kind = Destination::Kind;
    CHECK(local_part_of("staff", Destination(Kind::File, "/var/mail/Archive/", "", false)) == "staff:/var/mail/Archive/");
    CHECK(local_part_of("staff", Destination(Kind::Command, "/bin/filter", "", false)) == "staff:|/bin/filter");
    const std::string odd = local_part_of("staff", Destination(Kind::Command, "/bin/x -a \"b%c@d!e\"", "", false));
    CHECK(odd.starts_with("staff:#"));
    CHECK(odd != local_part_of("staff", Destination(Kind::Command, "/bin/x -a \"b%c@d!f\"", "", false)));
    CHECK(local_part_of("staff", Destination(Kind::File, std::string(5000, '/'), "", false)).size() < 20);
}

TEST_CASE("luser_relay can name the parts of the recipient")
{
    CHECK(expand_relay("$user@other.example", "joe+x", "d.example", "+") == "joe@other.example");
    CHECK(expand_relay("${local}-at-${domain}", "joe", "d.example", "+") == "joe-at-d.example");
    CHECK(expand_relay("admin+$extension", "joe+x", "d", "+") == "admin+x");
    CHECK(expand_relay("admin", "joe", "d", "") == "admin");
}

TEST_CASE("jobs, results and the spawner's messages survive the wire, and nothing cut or longer does")
{
    MailboxJob job;
    job.path = "/a/b";
    job.headers = "H: 1\n";
    job.content.size = 12345;
    job.content.crc32c = 77;
    const std::string bytes = job.encode();
    CHECK(MailboxJob::decode(bytes)->path == "/a/b");
    CHECK(MailboxJob::decode(bytes)->content.size == 12345);
    CHECK(MailboxJob::decode(bytes)->content.crc32c == 77);
    for (size_t size = 0; size < bytes.size(); ++size)
        CHECK_FALSE(MailboxJob::decode(std::string_view(bytes).substr(0, size)));
    CHECK_FALSE(MailboxJob::decode(bytes + "x"));
    const std::string result = MailboxResult(MailboxResult::Status::Failed, "5.0.0", "why").encode();
    CHECK(MailboxResult::decode(result)->text == "why");
    CHECK_FALSE(MailboxResult::decode(result.substr(1)));
    const SpawnRequest request(SpawnRequest::Kind::StartUser, "joe");
    CHECK(SpawnRequest::decode(request.encode())->name == "joe");
    CHECK_FALSE(SpawnRequest::decode(SpawnRequest(SpawnRequest::Kind::StartUser, std::string(300, 'x')).encode()));
}
