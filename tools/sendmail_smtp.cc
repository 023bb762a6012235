// sendmail -bs: SMTP on standard input and output: see sendmail_smtp.h.
#include "tools/sendmail_smtp.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/queue/drop_file.h"
#include "lib/smtp/command.h"
#include "lib/smtp/data_reader.h"
#include "tools/postdrop_pipe.h"

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <sysexits.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace posthouse::tools {

namespace {

constexpr size_t longest_line = 2048;

class Dialogue {
public:
    explicit Dialogue(const config::Config& config) : config_(config) {}

    int run()
    {
        answer(smtp::Reply(220, "", cat(config_.text("myhostname"), " ESMTP ", config_.text("mail_name"))));
        while (!closing_) {
            const std::optional<std::string> line = read_line();
            if (!line)
                break;
            if (line->size() > longest_line)
                answer(smtp::Reply(500, "5.5.2", "Error: line too long"));
            else
                obey(*line);
        }
        return broken_ ? EX_IOERR : EX_OK;
    }

private:
    struct Verb {
        std::string_view name;
        smtp::Reply (Dialogue::*handle)(std::string_view argument);
    };
    static const Verb verbs[];

    void obey(std::string_view line)
    {
        line = ascii::trim(line);
        const size_t blank = line.find(' ');
        const std::string_view verb = line.substr(0, blank);
        const std::string_view argument =
            blank == std::string_view::npos ? std::string_view() : ascii::trim(line.substr(blank));
        for (const Verb* each = verbs; !each->name.empty(); ++each) {
            if (ascii::equal(each->name, verb)) {
                answer((this->*each->handle)(argument));
                return;
            }
        }
        answer(smtp::Reply(502, "5.5.2", "Error: command not recognized"));
    }

    smtp::Reply hello(std::string_view)
    {
        reset();
        return smtp::Reply(250, "", config_.text("myhostname"));
    }

    smtp::Reply extended_hello(std::string_view)
    {
        reset();
        smtp::Reply reply(250, "", config_.text("myhostname"));
        reply.add("PIPELINING");
        reply.add(cat("SIZE ", config_.number("message_size_limit")));
        reply.add("8BITMIME").add("SMTPUTF8").add("ENHANCEDSTATUSCODES");
        return reply;
    }

    smtp::Reply mail(std::string_view argument)
    {
        if (has_sender_)
            return smtp::Reply(503, "5.5.1", "Error: nested MAIL command");
        smtp::MailCommand command;
        if (auto refusal = smtp::parse_mail(argument, grammar(), command))
            return *refusal;
        const int64_t limit = config_.number("message_size_limit");
        if (limit > 0 && command.size.value_or(0) > static_cast<uint64_t>(limit))
            return smtp::Reply(552, "5.3.4", "Message size exceeds fixed limit");
        attributes_ = queue::DropAttributes();
        attributes_.sender = command.sender.to_text();
        attributes_.body_8bit = command.body == smtp::Body::EightBitMime;
        attributes_.smtputf8 = command.smtputf8;
        has_sender_ = true;
        return smtp::Reply(250, "2.1.0", "Ok");
    }

    smtp::Reply rcpt(std::string_view argument)
    {
        if (!has_sender_)
            return smtp::Reply(503, "5.5.1", "Error: need MAIL command");
        smtp::RcptCommand command;
        if (auto refusal = smtp::parse_rcpt(argument, grammar(), command))
            return *refusal;
        if (recipients_.size() >= queue::drop_recipient_limit)
            return smtp::Reply(452, "4.5.3", "Error: too many recipients");
        recipients_.push_back(command.recipient.to_text());
        return smtp::Reply(250, "2.1.5", "Ok");
    }

    smtp::Reply data(std::string_view)
    {
        if (recipients_.empty())
            return smtp::Reply(503, "5.5.1", "Error: need RCPT command");
        auto postdrop = PostdropPipe::start(config_);
        if (!postdrop)
            return smtp::Reply(451, "4.3.0", postdrop.error().full_text());
        queue::DropWriter writer;
        std::string head = writer.begin(attributes_);
        for (const std::string& recipient : recipients_)
            head += writer.recipient(recipient);
        bool taken = postdrop->write(head);
        answer(smtp::Reply(354, "", "End data with <CR><LF>.<CR><LF>"));
        smtp::DataReader reader(smtp::DataReader::LineEnds::Legacy);
        while (true) {
            const smtp::DataReader::Step step = reader.scan(input_);
            taken = taken && postdrop->write(writer.content(step.content));
            input_.erase(0, step.consumed);
            if (step.finished)
                break;
            if (step.consumed == 0 && !fill())
                return smtp::Reply(421, "4.4.2", "Error: end of input within the message");
        }
        if (taken)
            (void)postdrop->write(writer.end()); // the exit status tells
        return end_of_data(postdrop->finish());
    }

    smtp::Reply end_of_data(int status)
    {
        reset();
        if (status == EX_OK)
            return smtp::Reply(250, "2.0.0", "Ok: queued");
        if (status == EX_UNAVAILABLE)
            return smtp::Reply(552, "5.3.4", "Error: message file too big");
        if (status == EX_NOPERM)
            return smtp::Reply(554, "5.7.1", "Error: submission not allowed");
        return smtp::Reply(451, "4.3.0", "Error: queue file write error");
    }

    smtp::Reply rset(std::string_view)
    {
        reset();
        return smtp::Reply(250, "2.0.0", "Ok");
    }
    smtp::Reply noop(std::string_view) { return smtp::Reply(250, "2.0.0", "Ok"); }
    smtp::Reply vrfy(std::string_view argument)
    {
        return smtp::Reply(252, "2.0.0", argument.empty() ? std::string_view("Ok") : argument);
    }
    smtp::Reply quit(std::string_view)
    {
        closing_ = true;
        return smtp::Reply(221, "2.0.0", "Bye");
    }

    static smtp::GrammarOptions grammar()
    {
        smtp::GrammarOptions options;
        options.dsn = false; // the recipients of a drop file share their NOTIFY
        options.auth = false;
        return options;
    }

    void reset()
    {
        has_sender_ = false;
        recipients_.clear();
    }

    void answer(const smtp::Reply& reply)
    {
        if (!write_all(STDOUT_FILENO, reply.to_wire()))
            closing_ = broken_ = true;
    }

    // Without its line end; cut when it is far too long.
    std::optional<std::string> read_line()
    {
        size_t newline = 0;
        while ((newline = input_.find('\n')) == std::string::npos) {
            if (input_.size() > 2 * longest_line)
                input_.resize(longest_line + 1);
            if (!fill())
                return std::nullopt;
        }
        std::string line = input_.substr(0, newline);
        input_.erase(0, newline + 1);
        return line;
    }

    bool fill()
    {
        char buffer[65536];
        ssize_t count = 0;
        do
            count = ::read(STDIN_FILENO, buffer, sizeof buffer);
        while (count < 0 && errno == EINTR);
        closing_ = closing_ || count <= 0;
        if (count > 0)
            input_.append(buffer, static_cast<size_t>(count));
        return count > 0;
    }

    const config::Config& config_;
    std::string input_;
    queue::DropAttributes attributes_;
    std::vector<std::string> recipients_;
    bool has_sender_ = false;
    bool closing_ = false;
    bool broken_ = false;
};

constexpr Dialogue::Verb Dialogue::verbs[] = {
    {"HELO", &Dialogue::hello}, {"EHLO", &Dialogue::extended_hello}, {"MAIL", &Dialogue::mail},
    {"RCPT", &Dialogue::rcpt},  {"DATA", &Dialogue::data},           {"RSET", &Dialogue::rset},
    {"NOOP", &Dialogue::noop},  {"VRFY", &Dialogue::vrfy},           {"QUIT", &Dialogue::quit},
    {"", nullptr},
};

} // namespace

int serve_smtp(const config::Config& config)
{
    return Dialogue(config).run();
}

} // namespace posthouse::tools
