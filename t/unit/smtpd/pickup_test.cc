// What pickup does with the files that it finds in maildrop/.
#include "lib/base/file.h"
#include "lib/log/log.h"
#include "lib/queue/drop_file.h"
#include "smtpd/pickup_drop.h"
#include "t/support/catch.h"
#include "t/unit/queue/intake_fixture.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <list>
#include <sys/stat.h>
#include <unistd.h>

using namespace posthouse;
using namespace posthouse::pickup;

namespace {

class MemorySource final : public queue::MessageSource {
public:
    Task<Result<std::unique_ptr<queue::NewMessage>>> begin(Deadline) override
    {
        if (closed)
            co_return Error(ErrorKind::Temporary, "4.3.0", "no queue manager");
        messages.emplace_back();
        messages.back().fail_append = full;
        std::unique_ptr<queue::NewMessage> message = std::make_unique<test::MemoryMessage>(messages.back());
        co_return std::move(message);
    }
    std::list<test::Captured> messages;
    bool closed = false;
    bool full = false;
};

class Folder {
public:
    Folder()
    {
        char name[] = "/tmp/pickup-test-XXXXXX";
        if (!::mkdtemp(name))
            throw std::runtime_error("mkdtemp");
        path = name;
        for (const char* each : {"maildrop", "corrupt"})
            ::mkdir((path + "/" + each).c_str(), 0700);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string path;
};

class Pickup {
public:
    explicit Pickup(const std::string& main_cf = "") : tables(main_cf), context(*tables, source)
    {
        maildrop = UniqueFd(::open((folder.path + "/maildrop").c_str(), O_RDONLY | O_DIRECTORY));
        corrupt = UniqueFd(::open((folder.path + "/corrupt").c_str(), O_RDONLY | O_DIRECTORY));
        context.maildrop = maildrop.get();
        context.corrupt = corrupt.get();
        context.hostname = "mx.ours.example";
        context.mail_name = "Posthouse";
    }
    void put(const std::string& name, const std::string& bytes, mode_t mode = 0700)
    {
        const std::string path = folder.path + "/maildrop/" + name;
        REQUIRE(replace_file(path, bytes, mode));
        REQUIRE(::chmod(path.c_str(), mode) == 0);
    }
    DropOutcome take(const std::string& name) { return tables.run(take_drop(context, name)); }
    bool dropped(const std::string& name) const { return exists("/maildrop/" + name); }
    bool quarantined(const std::string& name) const { return exists("/corrupt/" + name); }
    bool exists(const std::string& name) const
    {
        struct stat about;
        return ::lstat((folder.path + name).c_str(), &about) == 0;
    }

    Folder folder;
    test::Opened<queue::IntakeTables> tables;
    MemorySource source;
    DropContext context;
    UniqueFd maildrop, corrupt;
};

std::string drop(const std::string& content, const std::string& sender = "ann", bool gateway = false)
{
    queue::DropAttributes attributes;
    attributes.sender = sender;
    attributes.full_name = "Ann";
    attributes.gateway = gateway;
    attributes.notify = mail::NotifyNever;
    queue::DropWriter writer;
    std::string bytes = writer.begin(attributes);
    bytes += writer.recipient("bob@else.example");
    bytes += writer.recipient("not an address");
    bytes += writer.content(content);
    return bytes + writer.end();
}

} // namespace

TEST_CASE("a complete drop is queued with CRLF lines and the headers it lacks, and removed")
{
    Pickup pickup;
    pickup.put("one", drop("Subject: s\nTo: carl\n\nbody\nlast"));
    CHECK(pickup.take("one") == DropOutcome::Queued);
    CHECK_FALSE(pickup.dropped("one"));
    REQUIRE(pickup.source.messages.size() == 1);
    const test::Captured& message = pickup.source.messages.front();
    REQUIRE(message.committed);
    CHECK(message.content.starts_with("Received: by mx.ours.example (Posthouse, from userid "));
    CHECK(message.content.find("\r\nSubject: s\r\nTo: carl@ours.example\r\n") != std::string::npos);
    CHECK(message.content.find("\r\nFrom: Ann <ann@ours.example>\r\n") != std::string::npos);
    CHECK(message.content.ends_with("\r\n\r\nbody\r\nlast\r\n"));
    CHECK_FALSE(message.facts.has_bare);
    CHECK(message.envelope.sender == "ann@ours.example");
    CHECK(message.envelope.rewrite_context == "local");
    REQUIRE(message.envelope.recipients.size() == 2);
    CHECK(message.envelope.recipients[0].address == "bob@else.example");
    CHECK(message.envelope.recipients[0].notify == mail::NotifyNever);
    CHECK(message.envelope.recipients[1].address == "\"not an address\"@ours.example");
}

TEST_CASE("mail with UTF-8 in its header or addresses needs SMTPUTF8, one with UTF-8 in its text alone does not")
{
    for (const bool detect : {true, false}) {
        Pickup pickup;
        pickup.context.detect_smtputf8 = detect;
        pickup.put("header", drop("Subject: gr\xc3\xbc\xc3\x9f" "e\n\nbody\n"));
        pickup.put("sender", drop("Subject: x\n\nbody\n", "j\xc3\xbcrgen"));
        pickup.put("body", drop("Subject: x\n\ngr\xc3\xbc\xc3\x9f" "e\n"));
        for (const char* name : {"header", "sender", "body"})
            CHECK(pickup.take(name) == DropOutcome::Queued);
        std::vector<bool> needs;
        for (const test::Captured& message : pickup.source.messages)
            needs.push_back(message.envelope.smtputf8);
        CHECK(needs == std::vector<bool>{detect, detect, false});
    }
}

TEST_CASE("with -G the headers stay as they are")
{
    Pickup pickup;
    pickup.put("one", drop("To: carl\n\nbody\n", "ann", true));
    CHECK(pickup.take("one") == DropOutcome::Queued);
    CHECK(pickup.source.messages.front().content.find("To: carl\r\n\r\nbody\r\n") != std::string::npos);
}

TEST_CASE("a file that is still being written is left alone, until it is very old")
{
    Pickup pickup;
    pickup.put("one", drop("x\n"), 0600);
    CHECK(pickup.take("one") == DropOutcome::Incomplete);
    CHECK(pickup.dropped("one"));
    pickup.context.stale_after = Duration::seconds(-1);
    CHECK(pickup.take("one") == DropOutcome::Rejected);
    CHECK_FALSE(pickup.dropped("one"));
    CHECK(pickup.source.messages.empty());
}

TEST_CASE("what is no drop file goes to corrupt/, and nothing of it into the queue")
{
    Pickup pickup;
    const std::string whole = drop(std::string(200000, 'x') + "\n");
    pickup.put("text", "From: a\n\nhello\n");
    pickup.put("empty", "");
    pickup.put("short", whole.substr(0, 150000));
    pickup.put("more", whole + "x");
    for (const char* name : {"text", "empty", "short", "more"}) {
        CHECK(pickup.take(name) == DropOutcome::Rejected);
        CHECK_FALSE(pickup.dropped(name));
        CHECK(pickup.quarantined(name));
    }
    for (const test::Captured& message : pickup.source.messages)
        CHECK_FALSE(message.committed);
}

TEST_CASE("a file in corrupt/ is never overwritten by another one of its name")
{
    Pickup pickup;
    for (const char* text : {"first", "second", "third"}) {
        pickup.put("name", text);
        CHECK(pickup.take("name") == DropOutcome::Rejected);
        CHECK_FALSE(pickup.dropped("name"));
    }
    const std::string corrupt = pickup.folder.path + "/corrupt/";
    CHECK(*read_file(corrupt + "name", 100) == "first");
    CHECK(*read_file(corrupt + "name.1", 100) == "second");
    CHECK(*read_file(corrupt + "name.2", 100) == "third");
}

TEST_CASE("links, directories and pipes are not followed and do not block")
{
    Pickup pickup;
    const std::string maildrop = pickup.folder.path + "/maildrop/";
    REQUIRE(::symlink("/etc/passwd", (maildrop + "link").c_str()) == 0);
    REQUIRE(::mkfifo((maildrop + "pipe").c_str(), 0700) == 0);
    REQUIRE(::mkdir((maildrop + "folder").c_str(), 0700) == 0);
    pickup.put("first", drop("x\n"));
    REQUIRE(::link((maildrop + "first").c_str(), (maildrop + "second").c_str()) == 0);
    for (const char* name : {"link", "pipe", "folder", "second"}) {
        CHECK(pickup.take(name) == DropOutcome::Rejected);
        CHECK(pickup.quarantined(name));
    }
    CHECK(pickup.take("gone") == DropOutcome::Incomplete);
    CHECK(pickup.source.messages.empty());
}

TEST_CASE("what cannot be moved to corrupt/ is not said to have been moved")
{
    Pickup pickup;
    REQUIRE(::mkdir((pickup.folder.path + "/maildrop/folder").c_str(), 0700) == 0);
    pickup.context.corrupt = -1; // as for a directory of another user: the rename fails
    log::Sink sink;
    sink.to = log::Sink::To::File;
    sink.path = pickup.folder.path + "/log";
    REQUIRE(log::open(sink));
    CHECK(pickup.take("folder") == DropOutcome::Stuck);
    REQUIRE(log::open(log::Sink())); // back to standard error
    const auto text = read_file(sink.path, 65536);
    REQUIRE(text);
    CHECK(std::count(text->begin(), text->end(), '\n') == 1);
    CHECK(text->find("it is no plain file") != std::string::npos);
    CHECK(text->find("left there: rename into corrupt/") != std::string::npos);
    CHECK(text->find("moved to") == std::string::npos);
}

TEST_CASE("without a queue manager, and with a full disk, the drop stays")
{
    Pickup pickup;
    pickup.put("one", drop("x\n"));
    pickup.source.closed = true;
    CHECK(pickup.take("one") == DropOutcome::Retry);
    CHECK(pickup.dropped("one"));
    pickup.source.closed = false;
    pickup.source.full = true;
    CHECK(pickup.take("one") == DropOutcome::Retry);
    CHECK(pickup.dropped("one"));
    pickup.source.full = false;
    CHECK(pickup.take("one") == DropOutcome::Queued);
}

TEST_CASE("a message that breaks a limit is returned to its sender")
{
    Pickup pickup("hopcount_limit = 2\n");
    const std::string loop = "Received: a\nReceived: b\nReceived: c\nSubject: again\n\nbody\n";
    pickup.put("one", drop(loop));
    CHECK(pickup.take("one") == DropOutcome::Queued);
    REQUIRE(pickup.source.messages.size() == 2);
    CHECK_FALSE(pickup.source.messages.front().committed);
    const test::Captured& bounce = pickup.source.messages.back();
    REQUIRE(bounce.committed);
    CHECK(bounce.envelope.sender.empty());
    REQUIRE(bounce.envelope.recipients.size() == 1);
    CHECK(bounce.envelope.recipients[0].address == "ann@ours.example");
    CHECK(bounce.content.find("too many hops") != std::string::npos);
    CHECK(bounce.content.find("multipart/report") != std::string::npos);

    pickup.put("null", drop(loop, ""));
    CHECK(pickup.take("null") == DropOutcome::Rejected);
    CHECK(pickup.quarantined("null"));
}
