// Showing drops: see postcat_drop.h.
#include "tools/postcat_drop.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/queue/drop_file.h"

#include <cstdio>
#include <functional>
#include <sys/stat.h>

namespace posthouse::tools {

namespace {

constexpr std::string_view magic = "PHdrop1\n";

// Feeds the file to a reader; `content` gets its pieces.
Result<queue::DropAttributes> read_drop(int fd, const std::function<void(std::string_view)>& content)
{
    queue::DropReader reader;
    char chunk[65536];
    for (uint64_t at = 0;;) {
        auto found = reader.next();
        while (found && *found == queue::DropReader::Found::Content) {
            content(reader.content());
            found = reader.next();
        }
        if (!found)
            return std::move(found.error());
        if (*found == queue::DropReader::Found::End)
            return reader.attributes();
        auto got = pread_full(fd, chunk, sizeof chunk, at);
        if (!got)
            return std::move(got.error());
        if (*got == 0)
            return Error(ErrorKind::Corrupt, "the end is missing: sendmail still writes it, or was interrupted");
        reader.feed(std::string_view(chunk, *got));
        at += *got;
    }
}

class DropPrinter {
public:
    DropPrinter(const std::string& name, const DropView& view) : name_(name), view_(view) {}

    void record(std::string_view label, std::string_view value) const
    {
        if (view_.envelope)
            line(cat(label, ": ", value));
    }
    void attribute(std::string_view label, std::string_view value) const
    {
        if (!value.empty())
            record("named_attribute", cat(label, '=', value));
    }
    void mark(std::string_view text) const
    {
        if (view_.envelope && view_.marks)
            line(cat("*** ", text, ' ', name_, " ***"));
    }
    void envelope(const queue::DropAttributes& drop) const;
    // Pieces are cut anywhere.
    void content(std::string_view piece);
    void content_end();

private:
    void line(std::string_view text) const
    {
        std::fputs(cat(view_.file_names ? cat(name_, ": ") : std::string(), text, '\n').c_str(), stdout);
    }
    void content_line(std::string_view text);

    const std::string& name_;
    const DropView& view_;
    std::string rest_;
    bool in_header_ = true;
};

void DropPrinter::envelope(const queue::DropAttributes& drop) const
{
    mark("ENVELOPE RECORDS");
    record("sender", drop.sender);
    if (!drop.full_name.empty())
        record("sender_fullname", drop.full_name);
    attribute("envelope_id", drop.envid);
    attribute("encoding", drop.body_8bit ? "8bit" : "");
    attribute("smtputf8", drop.smtputf8 ? "1" : "");
    attribute("notify_flags", drop.notify == mail::NotifyDefault ? "" : cat(static_cast<int>(drop.notify)));
    for (const std::string& recipient : drop.recipients)
        record("recipient", recipient);
    mark("MESSAGE CONTENTS");
}

void DropPrinter::content(std::string_view piece)
{
    rest_.append(piece);
    size_t start = 0;
    for (size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', start)) {
        std::string_view text = std::string_view(rest_).substr(start, end - start);
        if (text.ends_with('\r'))
            text.remove_suffix(1);
        content_line(text);
        start = end + 1;
    }
    rest_.erase(0, start);
}

void DropPrinter::content_end()
{
    if (!rest_.empty())
        content_line(rest_);
    mark("MESSAGE FILE END");
}

// The empty line belongs to the body, as in a queue file's listing.
void DropPrinter::content_line(std::string_view text)
{
    const bool folded = !text.empty() && ascii::is_blank(text.front());
    if (in_header_ && !folded && (text.empty() || text.find(':') == std::string_view::npos))
        in_header_ = false;
    if (in_header_ ? view_.header : view_.body)
        line(view_.line_types ? cat("regular_text: ", text) : std::string(text));
}

} // namespace

bool is_drop(int fd)
{
    char start[magic.size()];
    const auto got = pread_full(fd, start, sizeof start, 0);
    return got && std::string_view(start, *got) == magic;
}

Result<void> show_drop(int fd, const std::string& name, const DropView& view)
{
    // Recipients may stand behind the content: twice over the file.
    auto drop = read_drop(fd, [](std::string_view) {});
    DropPrinter printer(name, view);
    if (drop)
        printer.envelope(*drop);
    auto again = read_drop(fd, [&](std::string_view piece) { printer.content(piece); });
    printer.content_end();
    if (!drop)
        return std::move(drop.error());
    return again ? Result<void>() : Result<void>(std::move(again.error()));
}

} // namespace posthouse::tools
