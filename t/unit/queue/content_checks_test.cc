// header_checks and its kin, on a message's way through Intake: what each action does, and to which lines.
#include "lib/queue/content_action.h"
#include "lib/queue/content_checks.h"
#include "lib/queue/intake.h"
#include "t/support/catch.h"
#include "t/unit/queue/intake_fixture.h"

using namespace posthouse;
using namespace posthouse::queue;

namespace {

struct Both {
    static Result<std::unique_ptr<Both>> open(const config::Config& config, const table::Context& context)
    {
        auto both = std::make_unique<Both>();
        auto tables = IntakeTables::open(config, context);
        auto rules = ContentRules::open(config, context);
        if (!tables)
            return std::move(tables.error());
        if (!rules)
            return std::move(rules.error());
        both->tables = std::move(*tables);
        both->rules = std::move(*rules);
        return both;
    }
    std::unique_ptr<IntakeTables> tables;
    std::unique_ptr<ContentRules> rules;
};

class Run {
public:
    explicit Run(const std::string& main_cf) : both(main_cf)
    {
        envelope.sender = "from@else.example";
        envelope.recipients.emplace_back("to@else.example");
    }

    // What is stored, or "CODE DSN TEXT" of the refusal, or "discarded".
    std::string pass(std::string_view content, RewriteContext context = RewriteContext::Remote,
                     size_t piece = std::string::npos)
    {
        captured = test::Captured();
        reply.clear();
        auto result = both.run(feed(std::string(content), context, piece));
        if (!result)
            return reply.empty() ? result.error().full_text() : reply;
        return captured.committed ? captured.content : "discarded";
    }

    test::Opened<Both> both;
    test::Captured captured;
    mail::Envelope envelope;
    std::string reply;

private:
    Task<Result<IntakeResult>> feed(std::string content, RewriteContext context, size_t piece)
    {
        Intake intake(*both->tables, std::make_unique<test::MemoryMessage>(captured), context);
        if (both->rules)
            intake.examine(*both->rules, ContentOrigin("client.example[192.0.2.1]"));
        for (std::string_view rest = content; !rest.empty(); rest = rest.substr(std::min(piece, rest.size()))) {
            const std::string copy(rest.substr(0, piece));
            (void)co_await intake.content(copy); // finish() tells
        }
        mail::Envelope copy = envelope;
        const smtp::ContentFacts facts;
        auto done = co_await intake.finish(std::move(copy), facts, Deadline::never());
        if (const ContentCheck* check = intake.check(); check && check->refusal())
            reply = check->refusal()->to_text();
        co_return done;
    }
};

// One rule, written as it would be in a file: main.cf wants each $ twice.
std::string rule(const char* parameter, const std::string& pattern, const std::string& action)
{
    std::string text = cat(parameter, " = regexp:{{/");
    for (const char c : cat(pattern, "/ ", action))
        text.append(c == '$' ? 2 : 1, c);
    return text + "}}\n";
}
std::string header_rule(const std::string& pattern, const std::string& action)
{
    return rule("header_checks", pattern, action);
}
std::string body_rule(const std::string& pattern, const std::string& action)
{
    return rule("body_checks", pattern, action);
}

const std::string mail_text = "From: a@else.example\r\nSubject: hello\r\n\tworld\r\nX-End: 1\r\n\r\nfirst\r\nsecond\r\n";

} // namespace

TEST_CASE("Without tables there are no rules, and with no_header_body_checks neither")
{
    CHECK_FALSE(Run("")
                    .both->rules);
    CHECK_FALSE(Run(header_rule("x", "REJECT") + "receive_override_options = no_header_body_checks\n").both->rules);
    CHECK(Run(header_rule("x", "REJECT")).both->rules);
}

TEST_CASE("REJECT refuses with 550 5.7.1, with the administrator's text and code where there are any")
{
    CHECK(Run(header_rule("^Subject: hello", "REJECT")).pass(mail_text) == "550 5.7.1 message content rejected");
    CHECK(Run(header_rule("^Subject: hello", "reject no thanks")).pass(mail_text) == "550 5.7.1 no thanks");
    CHECK(Run(header_rule("^Subject: hello", "REJECT 5.6.9 no thanks")).pass(mail_text) == "550 5.6.9 no thanks");
    CHECK(Run(header_rule("^Subject: hello", "REJECT 4.7.9 later")).pass(mail_text) == "451 4.7.9 later");
    CHECK(Run(body_rule("^second$", "REJECT")).pass(mail_text) == "550 5.7.1 message content rejected");
}

TEST_CASE("A folded field is one text, its lines joined by LF")
{
    CHECK(Run(header_rule("^Subject: hello.\tworld$", "REJECT")).pass(mail_text).starts_with("550"));
}

TEST_CASE("A table of patterns is asked for header fields only, one after the other")
{
    CHECK(Run(header_rule("^(first|second)", "REJECT")).pass(mail_text) == mail_text);
    CHECK(Run(header_rule("hello.*X-End", "REJECT")).pass(mail_text) == mail_text);
}

TEST_CASE("IGNORE and STRIP take a line out, DUNNO, OK, INFO, WARN and what nobody knows leave it")
{
    const std::string without = "From: a@else.example\r\nX-End: 1\r\n\r\nfirst\r\nsecond\r\n";
    CHECK(Run(header_rule("^Subject:", "IGNORE")).pass(mail_text) == without);
    CHECK(Run(header_rule("^Subject:", "STRIP why")).pass(mail_text) == without);
    CHECK(Run(body_rule("^first", "IGNORE")).pass(mail_text).ends_with("X-End: 1\r\n\r\nsecond\r\n"));
    for (const char* action : {"DUNNO", "OK", "INFO x", "WARN", "JUMP", "PREPEND", "REPLACE no field", "FILTER nowhere", "BCC me"})
        CHECK(Run(header_rule("^Subject:", action)).pass(mail_text) == mail_text);
}

TEST_CASE("PREPEND puts a line before, REPLACE another in its place")
{
    CHECK(Run(header_rule("^Subject:", "PREPEND X-Seen: yes")).pass(mail_text).find("example\r\nX-Seen: yes\r\nSubject: hello\r\n\tworld\r\nX-End")
          != std::string::npos);
    CHECK(Run(header_rule("^Subject: (hello)", "REPLACE Subject: [$1]")).pass(mail_text)
              .starts_with("From: a@else.example\r\nSubject: [hello]\r\nX-End: 1\r\n"));
    CHECK(Run(body_rule("^second", "PREPEND one and a half")).pass(mail_text).ends_with("first\r\none and a half\r\nsecond\r\n"));
    CHECK(Run(body_rule("^(s)econd", "REPLACE $1ieben")).pass(mail_text).ends_with("first\r\nsieben\r\n"));
}

TEST_CASE("A field that took another's place is a field like all others, one put before it is not")
{
    Run replaced(header_rule("^X-From: (.*)", "REPLACE From: $1"));
    const std::string local = replaced.pass("X-From: ann\r\n\r\nx\r\n", RewriteContext::Local);
    CHECK(local.starts_with("From: ann@ours.example\r\nMessage-Id:"));
    Run prepended(header_rule("^X-From: (.*)", "PREPEND From: $1"));
    CHECK(prepended.pass("X-From: ann\r\n\r\nx\r\n", RewriteContext::Local).find("From: MAILER-DAEMON@ours.example") != std::string::npos);
}

TEST_CASE("DISCARD takes the message and keeps nothing")
{
    CHECK(Run(header_rule("^Subject:", "DISCARD")).pass(mail_text) == "discarded");
    CHECK(Run(body_rule("^first", "DISCARD silently")).pass(mail_text) == "discarded");
}

TEST_CASE("HOLD, FILTER and BCC go to the envelope")
{
    Run run("header_checks = regexp:{{/^Subject/ HOLD}, {/^X-End/ FILTER smtp:[127.0.0.1]:10025}, "
            "{/^From/ BCC copy@else.example}}\n");
    run.envelope.content_filter = "other:";
    CHECK(run.pass(mail_text) == mail_text);
    const mail::Envelope& envelope = run.captured.envelope;
    CHECK(envelope.hold);
    CHECK(envelope.content_filter == "smtp:[127.0.0.1]:10025");
    REQUIRE(envelope.recipients.size() == 2);
    CHECK(envelope.recipients[1].address == "copy@else.example");
    CHECK(envelope.recipients[1].notify == mail::NotifyNever);
}

TEST_CASE("REDIRECT replaces the recipients for good, past FILTER, aliases and what follows")
{
    Run run("header_checks = regexp:{{/^From/ FILTER smtp:x}, {/^Subject/ REDIRECT trap@else.example}, {/^X-End/ REJECT}}\n"
            "virtual_alias_maps = inline:{trap@else.example=away@else.example}\n");
    CHECK(run.pass(mail_text) == mail_text);
    REQUIRE(run.captured.envelope.recipients.size() == 1);
    CHECK(run.captured.envelope.recipients[0].address == "trap@else.example");
    CHECK(run.captured.envelope.content_filter.empty());
}

TEST_CASE("PASS ends all looking")
{
    Run run("header_checks = regexp:{{/^Subject/ PASS}, {/^X-End/ REJECT}}\n"
            "body_checks = regexp:{{/^first/ REJECT}}\n");
    CHECK(run.pass(mail_text) == mail_text);
    Run within("body_checks = regexp:{{/^first/ PASS}, {/^second/ REJECT}}\n");
    for (size_t piece : {size_t(1), size_t(5), std::string::npos})
        CHECK(within.pass(mail_text, RewriteContext::Remote, piece) == mail_text);
}

TEST_CASE("mime_header_checks see the MIME fields, nested_header_checks those of attached messages; both are header_checks by default")
{
    const std::string with_parts =
        "Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/x; name=bad.exe\r\n"
        "\r\nx\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ntext\r\n--b--\r\n";
    CHECK(Run(header_rule("name=bad", "REJECT")).pass(with_parts).starts_with("550"));
    CHECK(Run(header_rule("name=bad", "REJECT") + "mime_header_checks =\n").pass(with_parts) == with_parts);
    CHECK(Run(header_rule("inner", "REJECT")).pass(with_parts).starts_with("550"));
    CHECK(Run(header_rule("inner", "REJECT") + "nested_header_checks =\n").pass(with_parts) == with_parts);
    CHECK(Run("mime_header_checks = regexp:{{/boundary=b/ REJECT}}\n").pass(with_parts).starts_with("550"));
    CHECK(Run("mime_header_checks = regexp:{{/Subject/ REJECT}}\n").pass(with_parts) == with_parts);
    CHECK(Run(header_rule("name=bad", "REJECT") + "disable_mime_input_processing = yes\n").pass(with_parts) == with_parts);
    const std::string stripped = Run("mime_header_checks = regexp:{{/name=bad/ STRIP}}\n").pass(with_parts);
    CHECK(stripped.find("--b\r\n\r\nx\r\n--b") != std::string::npos);
}

TEST_CASE("body_checks look at the begin of each part alone")
{
    const std::string limit = "body_checks_size_limit = 10\n";
    const std::string long_body = "Subject: s\r\n\r\n" + std::string(20, 'a') + "\r\nfindme\r\n";
    CHECK(Run(body_rule("findme", "REJECT")).pass(long_body).starts_with("550"));
    CHECK(Run(body_rule("findme", "REJECT") + limit).pass(long_body) == long_body);
}

TEST_CASE("A long field is looked at as far as header_size_limit goes, and goes or stays whole")
{
    const std::string text = "X-Long: " + std::string(100, 'a') + "findme\r\n\tmore\r\nX-End: 1\r\n\r\nx\r\n";
    const std::string limit = "header_size_limit = 50\n";
    for (size_t piece : {size_t(1), size_t(7), std::string::npos}) {
        CHECK(Run(header_rule("findme", "REJECT") + limit).pass(text, RewriteContext::Remote, piece) == text);
        CHECK(Run(header_rule("^X-Long", "IGNORE") + limit).pass(text, RewriteContext::Remote, piece) == "X-End: 1\r\n\r\nx\r\n");
        CHECK(Run(header_rule("^X-Long", "REPLACE To: a@b") + limit).pass(text, RewriteContext::Local, piece)
                  .starts_with("To: a@b.ours.example\r\nX-End: 1\r\n"));
    }
}

TEST_CASE("The strict parameters refuse 8-bit and encodings where they have no place")
{
    const std::string header = "Subject: \xc3\xa9\r\n\r\nx\r\n";
    const std::string body = "Subject: x\r\n\r\n\xc3\xa9\r\n";
    const std::string said = "Subject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\xa9\r\n";
    const std::string in_header = "550 5.6.0 improper use of 8-bit data in message header";
    const std::string in_body = "550 5.6.0 improper use of 8-bit data in message body";
    CHECK(Run("strict_7bit_headers = yes\n").pass(header) == in_header);
    CHECK(Run("strict_7bit_headers = yes\n").pass(body) == body);
    CHECK(Run("strict_8bitmime_body = yes\n").pass(body) == in_body);
    CHECK(Run("strict_8bitmime_body = yes\n").pass(said) == said);
    CHECK(Run("strict_8bitmime = yes\n").pass(header) == in_header);
    CHECK(Run("strict_8bitmime = yes\n").pass(body) == in_body);
    const std::string encoded = "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\n--b--\r\n";
    CHECK(Run("strict_mime_encoding_domain = yes\n").pass(encoded)
          == "550 5.6.0 invalid message/* or multipart/* encoding domain");
    CHECK(Run("strict_7bit_headers = yes\n").pass(encoded) == encoded);
}

TEST_CASE("A message that is nested too deep is refused once there is something to look for")
{
    std::string deep = "Content-Type: multipart/mixed; boundary=b0\r\n\r\n";
    for (int level = 0; level < 5; ++level)
        deep += cat("--b", level, "\r\nContent-Type: multipart/mixed; boundary=b", level + 1, "\r\n\r\n");
    CHECK(Run("mime_nesting_limit = 3\n").pass(deep) == deep);
    CHECK(Run("mime_nesting_limit = 3\n" + header_rule("nothing", "REJECT")).pass(deep)
          == "550 5.6.0 MIME nesting exceeds safety limit");
}

TEST_CASE("A table that fails puts the message off")
{
    Run run("header_checks = fail:broken\n");
    CHECK(run.pass(mail_text).find("header_checks lookup failure") != std::string::npos);
    CHECK_FALSE(run.captured.committed);
}

TEST_CASE("A line that was put in is counted among the facts of the message")
{
    Run run(body_rule("^first", cat("PREPEND ", std::string(300, 'x'))));
    (void)run.pass(mail_text);
    CHECK(run.captured.facts.longest_line == 300);
    Run dotted(body_rule("^first", "REPLACE .dot"));
    (void)dotted.pass(mail_text);
    CHECK(dotted.captured.facts.has_leading_dot);
}

TEST_CASE("How the message is cut into pieces makes no difference to what is done with it")
{
    const std::string text = mail_text + "--b\r\nlast";
    Run run("header_checks = regexp:{{/^Subject/ PREPEND X-A: 1}, {/^X-End/ IGNORE}}\n"
            "body_checks = regexp:{{/^first/ REPLACE changed}, {/^--b/ PREPEND before}}\n");
    const std::string whole = run.pass(text);
    CHECK(whole.ends_with("\r\n\r\nchanged\r\nsecond\r\nbefore\r\n--b\r\nlast\r\n"));
    for (size_t piece = 1; piece < 20; ++piece)
        CHECK(run.pass(text, RewriteContext::Remote, piece) == whole);
}
