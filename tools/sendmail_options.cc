// sendmail's command line, where unknown letters are swallowed: see sendmail_options.h.
#include "tools/sendmail_options.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

#include <utility>

namespace posthouse::tools {

namespace {

// Letters whose argument stands behind them or in the next word, and those that take it only attached.
constexpr std::string_view with_argument = "BCFLMNORVXbefhopr";
constexpr std::string_view with_attached_argument = "AQTdq";

uint8_t notify_from(std::string_view text)
{
    uint8_t notify = 0;
    for (const std::string_view word : ascii::split(text, ", ")) {
        if (ascii::equal(word, "never"))
            notify |= mail::NotifyNever;
        else if (ascii::equal(word, "success"))
            notify |= mail::NotifySuccess;
        else if (ascii::equal(word, "failure"))
            notify |= mail::NotifyFailure;
        else if (ascii::equal(word, "delay"))
            notify |= mail::NotifyDelay;
        else
            return mail::NotifyDefault;
    }
    const bool mixed = (notify & mail::NotifyNever) && notify != mail::NotifyNever; // RFC 3461 section 4.1
    return mixed ? uint8_t(mail::NotifyDefault) : notify;
}

// "Some Body <a@b>" and "<a@b>" as well as "a@b".
std::string bare_address(std::string_view text)
{
    text = ascii::trim(text);
    const size_t open = text.rfind('<');
    if (open != std::string_view::npos && text.ends_with('>'))
        text = ascii::trim(text.substr(open + 1, text.size() - open - 2));
    return std::string(text);
}

class Parser {
public:
    explicit Parser(const std::vector<std::string>& arguments) : arguments_(arguments) {}

    Result<SendmailOptions> parse()
    {
        while (next_ < arguments_.size()) {
            const std::string& word = arguments_[next_];
            if (word.size() < 2 || word.front() != '-')
                break;
            ++next_;
            if (word == "--")
                break;
            RETURN_IF_ERROR(take_word(std::string_view(word).substr(1)));
        }
        options_.recipients.assign(arguments_.begin() + static_cast<std::ptrdiff_t>(next_), arguments_.end());
        if (verbose_ == 1)
            options_.trace |= mail::TraceDelivery;
        return std::move(options_);
    }

private:
    Result<void> take_word(std::string_view letters)
    {
        while (!letters.empty()) {
            const char letter = letters.front();
            letters.remove_prefix(1);
            if (with_attached_argument.find(letter) != std::string_view::npos)
                return take_argument(letter, letters);
            if (with_argument.find(letter) == std::string_view::npos) {
                take_flag(letter);
                continue;
            }
            if (!letters.empty())
                return take_argument(letter, letters);
            if (next_ == arguments_.size())
                return Error(ErrorKind::Permanent, cat("option -", letter, " needs an argument"));
            return take_argument(letter, arguments_[next_++]);
        }
        return {};
    }

    void take_flag(char letter)
    {
        switch (letter) {
        case 'G': options_.gateway = true; break;
        case 'I': options_.mode = SendmailMode::Aliases; break;
        case 'U': options_.smtputf8 = true; break;
        case 'i': options_.dot_ends = false; break;
        case 't': options_.recipients_from_header = true; break;
        case 'v': ++verbose_; break;
        default: break;
        }
    }

    Result<void> take_argument(char letter, std::string_view value)
    {
        switch (letter) {
        case 'B': options_.body_8bit = ascii::equal(value, "8BITMIME"); break;
        case 'C': options_.config = value; break;
        case 'F': options_.full_name = value; break;
        case 'N': take_notify(value); break;
        case 'R': take_return(value); break;
        case 'V': take_envid(value); break;
        case 'f':
        case 'r': options_.sender = bare_address(value); break;
        case 'o':
            if (value == "i" || value == "i1")
                options_.dot_ends = false;
            break;
        case 'b': return take_mode(value);
        case 'q': take_flush(value); break;
        default: break;
        }
        return {};
    }

    Result<void> take_mode(std::string_view value)
    {
        switch (value.empty() ? ' ' : value.front()) {
        case 'm': options_.mode = SendmailMode::Enqueue; break;
        case 'p': options_.mode = SendmailMode::ListQueue; break;
        case 'i': options_.mode = SendmailMode::Aliases; break;
        case 's': options_.mode = SendmailMode::Smtp; break;
        case 'd':
        case 'D':
        case 'l': options_.mode = SendmailMode::Daemon; break;
        case 'v':
            options_.mode = SendmailMode::Enqueue;
            options_.trace |= mail::TraceVerify;
            break;
        default: return Error(ErrorKind::Permanent, cat("unsupported mode: -b", value.substr(0, 10)));
        }
        return {};
    }

    void take_flush(std::string_view value)
    {
        if (value.empty() || ascii::is_digit(value.front())) {
            // "-bd -q15m" is a daemon with an interval, which queue_run_delay sets here.
            if (options_.mode == SendmailMode::Enqueue)
                options_.mode = SendmailMode::FlushAll;
            return;
        }
        if (value.front() == 'R' || value.front() == 'I') {
            options_.mode = value.front() == 'R' ? SendmailMode::FlushSite : SendmailMode::FlushId;
            options_.flush_argument = value.substr(1);
            return;
        }
        options_.warnings.push_back(cat("option -q", value, " is not supported -- ignored"));
    }

    void take_notify(std::string_view value)
    {
        options_.notify = notify_from(value);
        if (options_.notify == mail::NotifyDefault)
            options_.warnings.emplace_back("bad -N option value -- ignored");
    }

    void take_return(std::string_view value)
    {
        if (ascii::equal(value, "full"))
            options_.ret = mail::Return::Full;
        else if (ascii::equal(value, "hdrs"))
            options_.ret = mail::Return::Headers;
        else
            options_.warnings.emplace_back("bad -R option value -- ignored");
    }

    void take_envid(std::string_view value)
    {
        bool good = !value.empty() && value.size() <= 100; // RFC 3461 section 4.4
        for (const char c : value)
            good = good && c >= ' ' && c < 0x7f;
        if (good)
            options_.envid = value;
        else
            options_.warnings.emplace_back("bad -V option value -- ignored");
    }

    const std::vector<std::string>& arguments_;
    size_t next_ = 0;
    int verbose_ = 0;
    SendmailOptions options_;
};

} // namespace

Result<SendmailOptions> parse_sendmail_options(const std::vector<std::string>& arguments)
{
    return Parser(arguments).parse();
}

} // namespace posthouse::tools
