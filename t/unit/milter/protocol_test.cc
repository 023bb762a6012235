// The bytes of the milter protocol: what we write, and what filters may write to us.
#include "lib/milter/protocol.h"
#include "t/support/catch.h"

using namespace posthouse;
using namespace posthouse::milter;
using namespace std::string_literals;

namespace {

Reply reply_of(const std::string& packet)
{
    auto reply = parse_reply(packet);
    REQUIRE(reply);
    return *reply;
}

} // namespace

TEST_CASE("a packet is its length, a command and data")
{
    std::string out;
    append_packet(out, CmdHelo, "mx\0"s);
    CHECK(out == "\0\0\0\4Hmx\0"s);
}

TEST_CASE("macros name the command that they belong to")
{
    std::string out;
    std::string data;
    append_text(data, "{mail_addr}");
    append_text(data, "a@b");
    append_macros(out, CmdMail, data);
    CHECK(out == "\0\0\0\x12"s + "DM{mail_addr}\0a@b\0"s);
}

TEST_CASE("packets come out of pieces of any size")
{
    std::string wire;
    append_packet(wire, 'c');
    append_packet(wire, 'h', "A\0b\0"s);
    for (size_t size = 1; size <= wire.size(); ++size) {
        PacketReader reader;
        std::vector<std::string> found;
        for (size_t at = 0; at < wire.size(); at += size) {
            reader.feed(std::string_view(wire).substr(at, size));
            for (auto packet = reader.next(); packet && *packet; packet = reader.next())
                found.emplace_back(**packet);
        }
        CHECK(found == std::vector<std::string>{"c", "hA\0b\0"s});
        CHECK(reader.empty());
    }
}

TEST_CASE("a packet of no bytes or of very many is none")
{
    for (const std::string& bytes : {"\0\0\0\0"s, "\xff\xff\xff\xff"s, "\0\x20\0\0"s}) {
        PacketReader reader;
        reader.feed(bytes);
        CHECK_FALSE(reader.next());
    }
}

TEST_CASE("each reply has its data, whole and nothing behind it")
{
    CHECK(reply_of("c").kind == Reply::Kind::Continue);
    CHECK(reply_of("p").kind == Reply::Kind::Progress);
    const Reply insert = reply_of("i\0\0\1\2X-A\0b\0"s);
    CHECK(insert.kind == Reply::Kind::InsertHeader);
    CHECK(insert.index == 258);
    CHECK(insert.name == "X-A");
    CHECK(insert.value == "b");
    CHECK(insert.needed_action == MayAddHeader);
    CHECK(reply_of("2<a@b>\0NOTIFY=NEVER\0"s).value == "NOTIFY=NEVER");
    CHECK(reply_of("2<a@b>\0"s).needed_action == MayAddRecipientWithParameters);
    CHECK(reply_of("b\0x"s).value == "\0x"s);
    for (const std::string& bad : {""s, "?"s, "cx"s, "h"s, "hA\0b"s, "hA\0b\0c"s, "i\0\0\1"s, "+a@b"s, "q"s, "y550 x"s,
                                   "2a\0b\0c\0"s})
        CHECK_FALSE(parse_reply(bad));
}

TEST_CASE("a reply code is taken with its enhanced code and lines, and nothing else is")
{
    const smtp::Reply one = reply_of("y550 5.7.1 100%% spam\0"s).smtp;
    CHECK(one.code == 550);
    CHECK(one.dsn == "5.7.1");
    CHECK(one.text == "100% spam");
    const smtp::Reply two = reply_of("y421-4.3.2 come\r\n421 4.3.2 back\0"s).smtp;
    CHECK(two.to_text() == "421 4.3.2 come back");
    CHECK(reply_of("y554 no code\0"s).smtp.dsn.empty());
    CHECK(reply_of("y550 4.7.1 of another class\0"s).smtp.dsn.empty());
    for (const std::string& bad : {"y250 2.0.0 ok\0"s, "y55 x\0"s, "y550x\0"s, "y\0"s, "y550-a\r\n551 b\0"s, "y550-a\0"s,
                                   "y550 a\r\n550 b\0"s})
        CHECK_FALSE(parse_reply(bad));
}

TEST_CASE("a filter may agree to less than it was offered, and to no more")
{
    const Terms offer = offer_for(newest_version);
    const auto good = parse_negotiation("O\0\0\0\6\0\0\1\1\0\0\0\x10\0\0\0\0j {mail_addr}\0\0\0\0\5\0"s, offer);
    REQUIRE(good);
    CHECK(good->terms.actions == (MayAddHeader | MaySetMacros));
    CHECK(good->terms.steps == NoBody);
    REQUIRE(good->macros.size() == 2);
    CHECK(good->macros[0].second == std::vector<std::string>{"j", "{mail_addr}"});
    CHECK(good->macros[1].first == Stage::EndOfMessage);
    CHECK(good->macros[1].second.empty());
    for (const std::string& bad : {""s, "O"s, "O\0\0\0\7\0\0\0\0\0\0\0\0"s, "O\0\0\0\1\0\0\0\0\0\0\0\0"s,
                                   "O\0\0\0\6\xff\0\0\0\0\0\0\0"s, "O\0\0\0\6\0\0\0\0\x40\0\0\0"s, "c\0\0\0\6\0\0\0\0\0\0\0\0"s,
                                   "O\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\x09j\0"s, "O\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\1j"s})
        CHECK_FALSE(parse_negotiation(bad, offer));
}

TEST_CASE("an older version is offered what it knows")
{
    CHECK((offer_for(2).steps & (NoUnknown | NoData | MaySkip)) == 0);
    CHECK((offer_for(3).steps & (NoUnknown | NoData)) == NoUnknown);
    CHECK((offer_for(4).steps & (NoUnknown | NoData)) == (NoUnknown | NoData));
    CHECK((offer_for(4).actions & (MayChangeSender | MaySetMacros)) == 0);
    CHECK((offer_for(6).steps & HeaderLeadingSpace) != 0);
}
