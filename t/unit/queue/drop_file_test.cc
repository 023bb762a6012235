// The form of a message in maildrop/.
#include "lib/queue/drop_file.h"
#include "t/support/catch.h"

using namespace posthouse;
using namespace posthouse::queue;

namespace {

DropAttributes some_attributes()
{
    DropAttributes attributes;
    attributes.sender = "ann@ours.example";
    attributes.full_name = "Ann";
    attributes.notify = mail::NotifySuccess | mail::NotifyDelay; // 10: a line feed, were it text
    attributes.ret = mail::Return::Headers;
    attributes.envid = "id 7";
    attributes.body_8bit = true;
    attributes.gateway = true;
    attributes.trace = mail::TraceDelivery;
    return attributes;
}

std::string drop_with(const std::string& content)
{
    DropWriter writer;
    std::string bytes = writer.begin(some_attributes());
    bytes += writer.recipient("a@x");
    bytes += writer.content(content);
    bytes += writer.recipient("b@x");
    return bytes + writer.end();
}

// The content, or the error's text.
std::string read_drop(DropReader& reader, const std::string& bytes, size_t piece_size)
{
    std::string content;
    for (size_t at = 0; at < bytes.size(); at += piece_size) {
        reader.feed(std::string_view(bytes).substr(at, piece_size));
        while (true) {
            auto found = reader.next();
            if (!found)
                return "error: " + found.error().full_text();
            if (*found == DropReader::Found::NeedMore)
                break;
            if (*found == DropReader::Found::Content)
                content += reader.content();
            if (*found == DropReader::Found::End) {
                if (at + piece_size < bytes.size())
                    break;
                return content;
            }
        }
    }
    return "unfinished";
}

} // namespace

TEST_CASE("a drop file gives back what was written, however it is read")
{
    const std::string content(200000, 'x');
    const std::string bytes = drop_with(content);
    for (const size_t piece : {size_t(1), size_t(7), size_t(65536), bytes.size()}) {
        DropReader reader;
        CHECK(read_drop(reader, bytes, piece) == content);
        DropAttributes expected = some_attributes();
        expected.recipients = {"a@x", "b@x"};
        CHECK(reader.attributes() == expected);
        CHECK(reader.content_size() == content.size());
    }
}

TEST_CASE("a drop file that is cut short is never complete")
{
    const std::string bytes = drop_with("Subject: s\n\nbody\n");
    for (size_t length = 0; length < bytes.size(); ++length) {
        DropReader reader;
        const std::string outcome = read_drop(reader, bytes.substr(0, length), 1);
        CHECK(outcome == "unfinished");
    }
}

TEST_CASE("each byte of a drop file is under its checksum")
{
    const std::string bytes = drop_with("Subject: s\n\nbody\n");
    for (size_t at = 0; at < bytes.size(); ++at) {
        std::string changed = bytes;
        changed[at] = static_cast<char>(changed[at] ^ 0x20);
        DropReader reader;
        const std::string outcome = read_drop(reader, changed, changed.size());
        CHECK((outcome == "unfinished" || outcome.starts_with("error: ")));
    }
}

TEST_CASE("no sender, no recipient, control characters, and bytes behind the end are refused")
{
    const auto outcome_of = [](const std::string& bytes) {
        DropReader reader;
        return read_drop(reader, bytes, bytes.size());
    };
    CHECK(outcome_of(drop_with("x") + "y").find("behind its end") != std::string::npos);
    CHECK(outcome_of("From: a\n\nmail\n").find("not a drop file") != std::string::npos);
    {
        DropWriter writer;
        std::string bytes = writer.begin(DropAttributes());
        bytes += writer.content("x");
        bytes += writer.end();
        CHECK(outcome_of(bytes).find("no recipient") != std::string::npos);
    }
    {
        DropWriter writer;
        std::string bytes = writer.begin(DropAttributes());
        bytes += writer.recipient("a\nb");
        CHECK(outcome_of(bytes + writer.end()).find("control character") != std::string::npos);
    }
}
