// The sendmail command line, and the message on its standard input.
#include "lib/base/result.h"
#include "lib/mail/address_list.h"
#include "t/support/catch.h"
#include "tools/sendmail_message.h"
#include "tools/sendmail_options.h"

using namespace posthouse;
using namespace posthouse::tools;

namespace {

SendmailOptions options(const std::vector<std::string>& arguments)
{
    auto parsed = parse_sendmail_options(arguments);
    REQUIRE(parsed);
    return std::move(*parsed);
}

using Words = std::vector<std::string>;

std::string through(MessageInput& input, const std::string& text, size_t piece)
{
    std::string out;
    for (size_t at = 0; at < text.size() && !input.ended(); at += piece)
        out += input.take(std::string_view(text).substr(at, piece));
    return out + input.finish();
}

std::string passed(const std::string& text, bool dot_ends = true)
{
    MessageInput whole(dot_ends, false);
    const std::string out = through(whole, text, text.size() + 1);
    for (const size_t piece : {1, 2, 3, 5, 8}) {
        MessageInput cut(dot_ends, false);
        CHECK(through(cut, text, piece) == out);
    }
    return out;
}

Words recipients_of(const std::string& header)
{
    MessageInput input(false, true);
    (void)through(input, header, 7);
    return input.recipients();
}

} // namespace

TEST_CASE("cron's, at's, git's, mailx's and PHP's command lines are understood")
{
    const SendmailOptions cron = options({"-FCronDaemon", "-i", "-B8BITMIME", "-oem", "ann"});
    CHECK(cron.full_name == "CronDaemon");
    CHECK_FALSE(cron.dot_ends);
    CHECK(cron.body_8bit);
    CHECK(cron.recipients == Words{"ann"});

    const SendmailOptions php = options({"-t", "-i", "-fwww@ours.example"});
    CHECK(php.recipients_from_header);
    CHECK(php.sender == "www@ours.example");

    const SendmailOptions git = options({"-i", "-f", "me@ours.example", "a@x", "b@x"});
    CHECK(git.sender == "me@ours.example");
    CHECK(git.recipients == Words{"a@x", "b@x"});

    const SendmailOptions mailx = options({"-i", "-m", "-v", "-r", "<me@x>", "--", "a@x"});
    CHECK(mailx.sender == "me@x");
    CHECK(mailx.trace == mail::TraceDelivery);
    CHECK(mailx.recipients == Words{"a@x"});
}

TEST_CASE("what is not known is swallowed, alone and among others")
{
    const SendmailOptions parsed = options({"-oem", "-odb", "-odq", "-om", "-oi", "-L", "tag", "-X", "/x", "-Ac", "-O",
                                            "Timeout=1", "-p", "ESMTP", "-h", "3", "-zkyti", "-n", "-d0.1", "ann"});
    CHECK(parsed.recipients == Words{"ann"});
    CHECK(parsed.recipients_from_header);
    CHECK_FALSE(parsed.dot_ends);
    CHECK(parsed.mode == SendmailMode::Enqueue);
}

TEST_CASE("a recipient that looks like an option is one after two dashes, and after the first recipient")
{
    CHECK(options({"--", "-froot"}).recipients == Words{"-froot"});
    CHECK_FALSE(options({"--", "-froot"}).sender);
    CHECK(options({"ann", "-froot"}).recipients == Words{"ann", "-froot"});
}

TEST_CASE("the null sender may be given in any of its forms")
{
    CHECK(options({"-f", "", "a"}).sender == "");
    CHECK(options({"-f<>", "a"}).sender == "");
    CHECK(options({"-f", "<>", "a"}).sender == "");
    CHECK(options({"-f", "Ann <ann@x>", "a"}).sender == "ann@x");
}

TEST_CASE("the modes")
{
    CHECK(options({"-bs"}).mode == SendmailMode::Smtp);
    CHECK(options({"-bp"}).mode == SendmailMode::ListQueue);
    CHECK(options({"-bi"}).mode == SendmailMode::Aliases);
    CHECK(options({"-I"}).mode == SendmailMode::Aliases);
    CHECK(options({"-bd", "-q15m"}).mode == SendmailMode::Daemon);
    CHECK(options({"-q"}).mode == SendmailMode::FlushAll);
    CHECK(options({"-q5m"}).mode == SendmailMode::FlushAll);
    CHECK(options({"-qRexample.com"}).flush_argument == "example.com");
    CHECK(options({"-qI4Abc"}).mode == SendmailMode::FlushId);
    CHECK(options({"-bv", "a"}).trace == mail::TraceVerify);
    CHECK_FALSE(parse_sendmail_options({"-bt"}));
    CHECK_FALSE(parse_sendmail_options({"-b", ""}));
    CHECK_FALSE(parse_sendmail_options({"-f"}));
}

TEST_CASE("delivery status options, and bad values of them, which are only warned about")
{
    const SendmailOptions parsed = options({"-N", "success,delay", "-R", "hdrs", "-V", "id7", "a"});
    CHECK(parsed.notify == (mail::NotifySuccess | mail::NotifyDelay));
    CHECK(parsed.ret == mail::Return::Headers);
    CHECK(parsed.envid == "id7");
    CHECK(options({"-N", "never", "a"}).notify == mail::NotifyNever);
    CHECK(options({"-N", "never,delay", "-R", "x", "-V", "", "a"}).warnings.size() == 3);
}

TEST_CASE("a line with a dot ends the message, unless it must not")
{
    CHECK(passed("a\n.\nb\n") == "a\n");
    CHECK(passed("a\r\n.\r\nb\r\n") == "a\r\n");
    CHECK(passed("a\n..\n.b\nx.\n") == "a\n..\n.b\nx.\n");
    CHECK(passed("a\n.") == "a\n");
    CHECK(passed("a\n.\nb\n", false) == "a\n.\nb\n");
    CHECK(passed("a without end") == "a without end");
    CHECK(passed("").empty());
}

TEST_CASE("mbox lines before the header are skipped")
{
    CHECK(passed("From ann Mon\n>From bob Tue\nSubject: s\n\nFrom here\n") == "Subject: s\n\nFrom here\n");
    CHECK(passed("From: ann\n\n") == "From: ann\n\n");
}

TEST_CASE("recipients come from To, Cc and Bcc, and Bcc itself goes")
{
    const std::string header = "To: a@x, \"B, C\" <b@x>,\n (comment) c@x\nCC: group: d@x, e@x;\nBcc: f@x\nSubject: to: g@x\n\nTo: h@x\n";
    CHECK(recipients_of(header) == Words{"a@x", "b@x", "c@x", "d@x", "e@x", "f@x"});
    MessageInput input(false, true);
    const std::string out = through(input, header, 1);
    CHECK(out.find("f@x") == std::string::npos);
    CHECK(out.ends_with("\n\nTo: h@x\n"));
}

TEST_CASE("a resent message goes to its Resent- recipients alone")
{
    CHECK(recipients_of("Resent-To: new@x\nResent-Bcc: secret@x\nTo: old@x\n\n") == Words{"new@x", "secret@x"});
}

TEST_CASE("a header without an end still names its recipients")
{
    CHECK(recipients_of("To: a@x") == Words{"a@x"});
    CHECK(recipients_of("").empty());
}

TEST_CASE("no recipient is lost from a long list, and one that is too long is known to be cut")
{
    std::string header = "To: first@example.com";
    for (size_t i = 0; i < 2 * mail::most_listed_addresses; ++i)
        header += ",\n u@example.com";
    MessageInput input(false, true);
    (void)through(input, header + "\n\n", 65536);
    CHECK(input.recipients().size() == 2 * mail::most_listed_addresses + 1);
    CHECK_FALSE(input.recipients_cut());

    MessageInput endless(false, true);
    (void)through(endless, "To: first@example.com,\n" + std::string(17 << 20, ' ') + "last@example.com\n\n", 1 << 20);
    CHECK(endless.recipients_cut());
}
