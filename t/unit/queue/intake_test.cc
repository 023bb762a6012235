// Header clean-up while the message streams through, and the envelope that is committed.
#include "lib/queue/header_scanner.h"
#include "lib/queue/intake.h"
#include "t/support/catch.h"
#include "t/unit/queue/intake_fixture.h"

using namespace posthouse;
using namespace posthouse::queue;
using test::Captured;
using test::Opened;

namespace {

class Run {
public:
    explicit Run(const std::string& main_cf = "") : tables(main_cf) { envelope.recipients.emplace_back("to@else.example"); }

    // Pieces of `piece_size` bytes; the whole at once when it is 0.
    Result<IntakeResult> pass(std::string_view content, RewriteContext context = RewriteContext::Remote, size_t piece_size = 0)
    {
        captured = Captured();
        return tables.run(feed(std::string(content), context, piece_size));
    }

    Opened<IntakeTables> tables;
    Captured captured;
    mail::Envelope envelope;
    AddressMappings mappings = AddressMappings::Apply;
    std::string prepended, full_name;

private:
    Task<Result<IntakeResult>> feed(std::string content, RewriteContext context, size_t piece_size)
    {
        Intake intake(*tables, std::make_unique<test::MemoryMessage>(captured), context, mappings);
        intake.prepend(prepended);
        intake.set_sender(envelope.sender, full_name);
        if (piece_size == 0)
            piece_size = std::max<size_t>(content.size(), 1);
        for (size_t at = 0; at < content.size(); at += piece_size) {
            // A copy that ends with the call, as a network buffer does.
            const std::string piece = content.substr(at, piece_size);
            (void)co_await intake.content(piece); // finish() tells
        }
        mail::Envelope copy = envelope;
        const smtp::ContentFacts facts;
        co_return co_await intake.finish(std::move(copy), facts, Deadline::never());
    }
};

const std::string plain = "From: a@else.example\r\nTo: b@ours.example\r\nMessage-Id: <1@else.example>\r\n"
                          "Subject: long\r\n\tfolded line\r\n\r\nBody\r\n.\r\n\r\nFrom: no header\r\n";

std::string with_received(int count)
{
    std::string text;
    for (int i = 0; i < count; ++i)
        text += "Received: from a by b\r\n";
    return text + "\r\nbody\r\n";
}

} // namespace

TEST_CASE("a stranger's message passes through untouched, in one piece")
{
    Run run;
    REQUIRE(run.pass(plain));
    CHECK(run.captured.content == plain);
    CHECK(run.captured.appends == 1);
    CHECK(run.captured.committed);
    CHECK(run.captured.envelope.rewrite_context == "remote");
}

TEST_CASE("how the message is cut into pieces makes no difference")
{
    Run run;
    const std::string odd = "Bcc: x@y\r\n\tz\r\n" + plain;
    for (size_t size = 1; size < odd.size(); ++size) {
        REQUIRE(run.pass(odd, RewriteContext::Remote, size));
        CHECK(run.captured.content == plain);
        REQUIRE(run.pass(odd, RewriteContext::Local, size));
        CHECK(run.captured.content.find("Date: ") != std::string::npos);
        CHECK(run.captured.content.ends_with("\r\n\r\nBody\r\n.\r\n\r\nFrom: no header\r\n"));
    }
}

TEST_CASE("the caller's own trace headers come first")
{
    Run run;
    run.prepended = "Received: by us\r\n";
    REQUIRE(run.pass("Bcc: x\r\n" + plain));
    CHECK(run.captured.content == "Received: by us\r\n" + plain);
}

TEST_CASE("Bcc, Content-Length, Return-Path and Resent-Bcc are taken out of the header, not of the body")
{
    Run run;
    REQUIRE(run.pass("From: a@b\r\nBCC: x@y,\r\n z@y\r\nReturn-Path : <q@r>\r\nContent-Length: 7\r\nResent-Bcc: a\r\n"
                     "Subject: s\r\n\r\nBcc: stays\r\n"));
    CHECK(run.captured.content == "From: a@b\r\nSubject: s\r\n\r\nBcc: stays\r\n");
}

TEST_CASE("message_drop_headers says which headers are taken out")
{
    Run run("message_drop_headers = x-secret\n");
    REQUIRE(run.pass("X-Secret: 1\r\nBcc: a\r\n\r\n"));
    CHECK(run.captured.content == "Bcc: a\r\n\r\n");
}

TEST_CASE("a local message without Message-Id, Date and From gets them")
{
    Run run;
    run.envelope.sender = "ann";
    run.full_name = "Ann B.";
    REQUIRE(run.pass("Subject: s\r\n\r\nbody\r\n", RewriteContext::Local));
    CHECK(run.captured.content.starts_with("Subject: s\r\nMessage-Id: <20261126"));
    CHECK(run.captured.content.find(".4Test123z7@mx.ours.example>\r\nDate: Thu, 26 Nov 2026 ") != std::string::npos);
    CHECK(run.captured.content.ends_with("From: \"Ann B.\" <ann@ours.example>\r\n\r\nbody\r\n"));
    CHECK(run.captured.envelope.sender == "ann@ours.example");
}

TEST_CASE("header_from_format = obsolete puts the name behind the address, as a comment")
{
    Run run("header_from_format = obsolete\n");
    run.envelope.sender = "ann";
    run.full_name = "Ann (B.)";
    REQUIRE(run.pass("Subject: s\r\n\r\nbody\r\n", RewriteContext::Local));
    CHECK(run.captured.content.find("\r\nFrom: ann@ours.example (Ann \\(B.\\))\r\n") != std::string::npos);
}

TEST_CASE("what is there is not added again")
{
    Run run;
    const std::string whole = "Message-ID: <1@x>\r\nDate: now\r\nFrom: a@else.example\r\nTo: b@else.example\r\n\r\nbody\r\n";
    REQUIRE(run.pass(whole, RewriteContext::Local));
    CHECK(run.captured.content == whole);
}

TEST_CASE("a resent message gets the missing headers with Resent- before them")
{
    Run run;
    REQUIRE(run.pass("Resent-To: c@else.example\r\nFrom: a@else.example\r\n\r\n", RewriteContext::Local));
    CHECK(run.captured.content.find("\r\nResent-Message-Id: <") != std::string::npos);
    CHECK(run.captured.content.find("\r\nResent-Date: ") != std::string::npos);
    CHECK(run.captured.content.find("\r\nResent-From: MAILER-DAEMON@ours.example\r\n") != std::string::npos);
    CHECK(run.captured.content.find("\r\nDate: ") == std::string::npos);
}

TEST_CASE("strangers get nothing added, unless always_add_missing_headers is set")
{
    Run run;
    REQUIRE(run.pass("Subject: s\r\n\r\n"));
    CHECK(run.captured.content == "Subject: s\r\n\r\n");
    Run adding("always_add_missing_headers = yes\n");
    REQUIRE(adding.pass("Subject: s\r\n\r\n"));
    CHECK(adding.captured.content.find("Message-Id: ") != std::string::npos);
}

TEST_CASE("undisclosed_recipients_header is added only where nobody is named")
{
    Run run("undisclosed_recipients_header = To: undisclosed-recipients:;\n");
    REQUIRE(run.pass("Subject: s\r\n\r\n", RewriteContext::Local));
    CHECK(run.captured.content.find("To: undisclosed-recipients:;\r\n") != std::string::npos);
    REQUIRE(run.pass("Cc: a@else.example\r\n\r\n", RewriteContext::Local));
    CHECK(run.captured.content.find("undisclosed") == std::string::npos);
}

TEST_CASE("header addresses of local clients are completed")
{
    Run run;
    REQUIRE(run.pass("To: ann, b@else.example\r\nSubject: ann\r\nCc: Bob\r\n <bob>\r\n\r\nTo: ann\r\n", RewriteContext::Local));
    CHECK(run.captured.content.starts_with("To: ann@ours.example, b@else.example\r\nSubject: ann\r\n"
                                           "Cc: Bob\r\n <bob@ours.example>\r\n"));
    CHECK(run.captured.content.ends_with("\r\n\r\nTo: ann\r\n"));
}

TEST_CASE("a body without a header before it is set apart by an empty line")
{
    Run run;
    REQUIRE(run.pass("Just text.\r\nmore: text\r\n"));
    CHECK(run.captured.content == "\r\nJust text.\r\nmore: text\r\n");
    REQUIRE(run.pass("Subject: s\r\nJust text.\r\n"));
    CHECK(run.captured.content == "Subject: s\r\n\r\nJust text.\r\n");
    REQUIRE(run.pass(" leading blank: x\r\n"));
    CHECK(run.captured.content == "\r\n leading blank: x\r\n");
}

TEST_CASE("a message that ends within its header is complete")
{
    Run run;
    REQUIRE(run.pass("Subject: s\r\n"));
    CHECK(run.captured.content == "Subject: s\r\n");
    REQUIRE(run.pass("Subject: s"));
    CHECK(run.captured.content == "Subject: s\r\n");
    REQUIRE(run.pass(""));
    CHECK(run.captured.content.empty());
}

TEST_CASE("a mailbox line before the header becomes a header")
{
    Run run;
    REQUIRE(run.pass(">From ann Mon Nov 23\r\nSubject: s\r\n\r\nFrom here on\r\n"));
    CHECK(run.captured.content == "X-Mailbox-Line: >From ann Mon Nov 23\r\nSubject: s\r\n\r\nFrom here on\r\n");
}

TEST_CASE("more Received headers than hopcount_limit are a loop")
{
    Run run;
    CHECK(run.pass(with_received(50)));
    auto result = run.pass(with_received(51));
    REQUIRE_FALSE(result);
    CHECK(result.error().dsn() == "5.4.0");
    CHECK(reply_code_for(result.error()) == 554);
    CHECK(result.error().text() == "Error: too many hops");
    CHECK_FALSE(run.captured.committed);
    run.prepended = "Received: by us\r\n";
    CHECK_FALSE(run.pass(with_received(50)));
}

TEST_CASE("a message above message_size_limit is refused, however it is cut")
{
    Run run("message_size_limit = 1000\n");
    const std::string big = "Subject: s\r\n\r\n" + std::string(2000, 'x') + "\r\n";
    for (const size_t size : {0, 100, 1}) {
        auto result = run.pass(big, RewriteContext::Remote, size);
        REQUIRE_FALSE(result);
        CHECK(reply_code_for(result.error()) == 552);
        CHECK_FALSE(run.captured.committed);
    }
}

TEST_CASE("a header above header_size_limit keeps its content, or is taken out whole")
{
    Run run("header_size_limit = 100\n");
    std::string fold;
    for (int i = 0; i < 100; ++i)
        fold += "\r\n a" + std::to_string(i) + "@else.example,";
    const std::string kept = "X-Long: " + fold + "\r\nSubject: s\r\n\r\nb\r\n";
    for (const size_t size : {0, 1, 7, 64}) {
        REQUIRE(run.pass(kept, RewriteContext::Remote, size));
        CHECK(run.captured.content == kept);
        REQUIRE(run.pass("Bcc: " + fold + "\r\nSubject: s\r\n\r\nb\r\n", RewriteContext::Remote, size));
        CHECK(run.captured.content == "Subject: s\r\n\r\nb\r\n");
    }
}

TEST_CASE("a line without end in place of a header is body")
{
    Run run("header_size_limit = 100\n");
    const std::string text(5000, 'x');
    REQUIRE(run.pass(text, RewriteContext::Remote, 10));
    CHECK(run.captured.content == "\r\n" + text + "\r\n");
}

TEST_CASE("an envelope that a queue file cannot have is refused for good, and nothing is committed")
{
    Run run;
    SECTION("an address of 70000 bytes") { run.envelope.recipients[0].address = std::string(70000, 'x') + "@else.example"; }
    SECTION("a parameter with a line end") { run.envelope.recipients[0].orcpt = "rfc822;a\nb"; }
    auto result = run.pass(plain);
    REQUIRE_FALSE(result);
    CHECK(reply_code_for(result.error()) == 554);
    CHECK_FALSE(run.captured.committed);
}

TEST_CASE("a disk that is full is a temporary error, and nothing is committed")
{
    Run run;
    Captured captured;
    captured.fail_append = true;
    Intake intake(*run.tables, std::make_unique<test::MemoryMessage>(captured), RewriteContext::Remote);
    auto first = run.tables.run(intake.content(plain));
    REQUIRE_FALSE(first);
    CHECK(reply_code_for(first.error()) == 452);
    auto second = run.tables.run(intake.content("more\r\n"));
    CHECK_FALSE(second);
    auto result = run.tables.run(intake.finish(run.envelope, smtp::ContentFacts(), Deadline::never()));
    REQUIRE_FALSE(result);
    CHECK(result.error().dsn() == "4.3.1");
    CHECK_FALSE(captured.committed);
}

TEST_CASE("the envelope is rewritten and expanded, and the original recipients are kept")
{
    Run run("canonical_maps = inline:{ ann=ann.b }\n"
            "virtual_alias_maps = inline:{ { team@ours.example = ann@ours.example, bob@else.example } }\n");
    run.envelope.sender = "ann";
    run.envelope.recipients.clear();
    run.envelope.recipients.emplace_back("team");
    run.envelope.recipients.emplace_back("x@else.example");
    auto result = run.pass(plain);
    REQUIRE(result);
    CHECK(result->recipient_count == 3);
    const mail::Envelope& envelope = run.captured.envelope;
    CHECK(envelope.sender == "ann.b@ours.example");
    REQUIRE(envelope.recipients.size() == 3);
    CHECK(envelope.recipients[0].address == "ann@ours.example");
    CHECK(envelope.recipients[0].original == "team@ours.example");
    CHECK(envelope.recipients[1].address == "bob@else.example");
    CHECK(envelope.recipients[2].address == "x@else.example");
}

TEST_CASE("recipients that become the same collapse, also across their originals when these are not kept")
{
    const std::string maps = "virtual_alias_maps = inline:{ a@v.example=x@else.example, b@v.example=x@Else.example }\n";
    const auto count = [](Run& run) {
        run.envelope.recipients.clear();
        for (const char* address : {"a@v.example", "a@V.example", "b@v.example"})
            run.envelope.recipients.emplace_back(address);
        auto result = run.pass(plain);
        REQUIRE(result);
        return result->recipient_count;
    };
    Run keeping(maps);
    CHECK(count(keeping) == 2); // one for each original
    Run dropping(maps + "enable_original_recipient = no\n");
    CHECK(count(dropping) == 1);
}

TEST_CASE("copies go out without bounces, once, and not for what was seen before")
{
    const std::string copies = "always_bcc = archive\nsender_bcc_maps = inline:{ ann@ours.example=boss@else.example }\n"
                               "recipient_bcc_maps = inline:{ to@else.example=archive@ours.example }\n";
    Run run(copies);
    run.envelope.sender = "ann@ours.example";
    REQUIRE(run.pass(plain));
    const auto& recipients = run.captured.envelope.recipients;
    REQUIRE(recipients.size() == 3);
    CHECK(recipients[0].notify == mail::NotifyDefault);
    CHECK(recipients[1].address == "archive@ours.example");
    CHECK(recipients[1].notify == mail::NotifyNever);
    CHECK(recipients[2].address == "boss@else.example");
    CHECK(recipients[2].notify == mail::NotifyNever);

    run.mappings = AddressMappings::WithoutBcc;
    REQUIRE(run.pass(plain));
    CHECK(run.captured.envelope.recipients.size() == 1);
    run.mappings = AddressMappings::Skip;
    REQUIRE(run.pass(plain));
    CHECK(run.captured.envelope.recipients.size() == 1);
}

TEST_CASE("a bounce is nobody's mail: a copy by sender is not made of it")
{
    Run run("sender_bcc_maps = static:boss@else.example\n");
    REQUIRE(run.pass(plain));
    CHECK(run.captured.envelope.recipients.size() == 1);
    run.envelope.sender = "ann@ours.example";
    REQUIRE(run.pass(plain));
    CHECK(run.captured.envelope.recipients.size() == 2);
}

TEST_CASE("a broken alias table keeps the message out of the queue for now")
{
    Run run("virtual_alias_maps = fail:x\n");
    auto result = run.pass(plain);
    REQUIRE_FALSE(result);
    CHECK(reply_code_for(result.error()) == 451);
    CHECK_FALSE(run.captured.committed);
}

TEST_CASE("the facts take in what intake has added")
{
    Run run;
    run.prepended = "Received: " + std::string(300, 'x') + "\r\n";
    REQUIRE(run.pass(plain));
    CHECK(run.captured.facts.longest_line == 310);
}

namespace {

// Each call waits for a turn of the loop, as one that writes to the disk does.
class SlowMessage final : public queue::NewMessage {
public:
    SlowMessage(Loop& loop, Captured& into) : loop_(loop), message_(into) {}
    const std::string& id() const override { return message_.id(); }
    int64_t arrival_us() const override { return message_.arrival_us(); }
    uint64_t size() const override { return message_.size(); }
    Task<Result<void>> append(std::string_view content) override
    {
        co_await sleep_for(loop_, Duration::microseconds(1));
        co_return co_await message_.append(content);
    }
    Task<Result<void>> commit(mail::Envelope envelope, smtp::ContentFacts facts, Deadline deadline) override
    {
        co_await sleep_for(loop_, Duration::microseconds(1));
        co_return co_await message_.commit(std::move(envelope), facts, deadline);
    }

private:
    Loop& loop_;
    test::MemoryMessage message_;
};

Task<void> pass_slowly(Loop& loop, IntakeTables& tables, Captured& captured)
{
    Intake intake(tables, std::make_unique<SlowMessage>(loop, captured), RewriteContext::Local);
    intake.prepend("Received: by us\r\n");
    for (const std::string_view piece : {"To: ann\r\nBcc: x\r\nSub", "ject: s\r\nCc: bob\r\n\r", "\nbody\r\n", "more\r\n"})
        (void)co_await intake.content(piece);
    mail::Envelope envelope;
    envelope.recipients.emplace_back("team");
    const smtp::ContentFacts facts;
    (void)co_await intake.finish(std::move(envelope), facts, Deadline::never());
}

} // namespace

TEST_CASE("intake may be cancelled at each of its waits")
{
    Opened<IntakeTables> tables("virtual_alias_maps = inline:{ { team@ours.example = a@x, b@x } }\nalways_bcc = c@x\n");
    const long frames = task_detail::live_frames;
    Captured captured;
    for (int turns = 0; !captured.committed; ++turns) {
        captured = Captured();
        {
            TaskGroup group(tables.loop);
            group.spawn(pass_slowly(tables.loop, *tables, captured));
            for (int i = 0; i < turns; ++i)
                tables.loop.run_once(Duration::milliseconds(5));
        }
        CHECK(task_detail::live_frames == frames);
        REQUIRE(turns < 100);
    }
    CHECK(captured.envelope.recipients.size() == 3);
}

TEST_CASE("the scanner keeps no more than a field in memory")
{
    HeaderScanner scanner(50);
    scanner.feed("Subject: one\r\n two\r\nTo: x");
    HeaderItem item = scanner.next();
    CHECK(item.kind == HeaderItem::Kind::Field);
    CHECK(item.name() == "Subject");
    CHECK(item.body() == " one\r\n two");
    CHECK(scanner.next().kind == HeaderItem::Kind::NeedMore);
    scanner.keep_rest();
    scanner.feed("yz\r\n\r\nbody");
    item = scanner.next();
    CHECK(item.body() == " xyz");
    CHECK(scanner.next().kind == HeaderItem::Kind::End);
    CHECK(scanner.rest() == "body");
}
