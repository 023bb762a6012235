// Copying a message: see message_copy.h.
#include "local/message_copy.h"

#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/queue/content_reader.h"

#include <cerrno>
#include <cstring>

namespace posthouse::local {

namespace {
constexpr std::string_view from_line = "From ";
constexpr size_t piece_size = 256 * 1024;
} // namespace

void LineConverter::add(std::string_view piece, std::string& out)
{
    while (!piece.empty()) {
        if (held_cr_) {
            held_cr_ = false;
            if (piece.front() != '\n')
                add_line_bytes("\r", out);
        }
        const size_t cr = piece.find('\r');
        add_line_bytes(piece.substr(0, cr), out);
        if (cr == std::string_view::npos)
            return;
        held_cr_ = true; // dropped when LF follows
        piece.remove_prefix(cr + 1);
    }
}

void LineConverter::add_line_bytes(std::string_view bytes, std::string& out)
{
    if (bytes.empty())
        return;
    if (!quote_from_) {
        out.append(bytes);
        in_line_ = bytes.back() != '\n';
        return;
    }
    while (!bytes.empty()) {
        if (!in_line_) {
            // At a line's start: hold back what may be "From ".
            const size_t wanted = from_line.size() - held_.size();
            const std::string_view next = bytes.substr(0, wanted);
            if (next != from_line.substr(held_.size(), next.size())) {
                out.append(held_);
                held_.clear();
                in_line_ = true;
                continue;
            }
            held_.append(next);
            bytes.remove_prefix(next.size());
            if (held_.size() < from_line.size())
                return;
            append_to(out, '>', held_);
            held_.clear();
            in_line_ = true;
            continue;
        }
        const size_t end = bytes.find('\n');
        const size_t count = end == std::string_view::npos ? bytes.size() : end + 1;
        out.append(bytes.substr(0, count));
        bytes.remove_prefix(count);
        in_line_ = end == std::string_view::npos;
    }
}

void LineConverter::finish(std::string& out)
{
    if (held_cr_)
        out.push_back('\r');
    in_line_ = in_line_ || held_cr_ || !held_.empty();
    out.append(held_);
    if (in_line_)
        out.push_back('\n');
}

Result<Copied> copy_message(int from, const MailboxJob& job, std::string_view first_line, bool quote_from, int to)
{
    LineConverter converter(quote_from);
    std::string in;
    std::string out;
    in.resize(static_cast<size_t>(std::min<uint64_t>(job.content.size, piece_size)));
    out.reserve(in.size() + job.headers.size() + first_line.size() + 16);
    append_to(out, first_line, job.headers);
    Copied copied{0};
    queue::ContentReader reader(from, job.content);
    while (!reader.at_end()) {
        const auto piece = reader.next(in.data(), in.size());
        if (!piece)
            return piece.error();
        converter.add(*piece, out);
        if (reader.at_end())
            break;
        RETURN_IF_ERROR(write_all(to, out));
        copied.bytes += out.size();
        out.clear();
    }
    converter.finish(out);
    RETURN_IF_ERROR(write_all(to, out));
    copied.bytes += out.size();
    return copied;
}

MailboxResult system_failure(std::string_view what, int errno_value)
{
    const char* dsn = "4.2.0";
    if (errno_value == EDQUOT || errno_value == EFBIG)
        dsn = "4.2.2";
    else if (errno_value == ENOSPC)
        dsn = "4.3.1";
    return MailboxResult(MailboxResult::Status::Deferred, dsn, cat(what, ": ", strerror(errno_value)));
}

} // namespace posthouse::local
