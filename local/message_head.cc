// Delivered-To: fields: see message_head.h.
#include "local/message_head.h"

#include "lib/base/ascii.h"
#include "lib/queue/content_reader.h"

#include <algorithm>
#include <functional>
#include <sys/uio.h>

namespace posthouse::local {

namespace {
constexpr std::string_view field_name = "delivered-to:";
constexpr size_t first_piece = 8192;
constexpr size_t longest_head = 256 * 1024;

bool header_ends_in(std::string_view text)
{
    return text.find("\r\n\r\n") != std::string_view::npos || text.starts_with("\r\n");
}

// Most messages were written a moment ago: their pages are in memory, and a thread would only cost.
// Anything not there now is an empty result.
std::string read_if_cached(int file, uint64_t offset, size_t size)
{
    std::string text(size, '\0');
    iovec part = {text.data(), text.size()};
    const ssize_t got = ::preadv2(file, &part, 1, static_cast<off_t>(offset), RWF_NOWAIT);
    text.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return text;
}
} // namespace

std::vector<std::string> delivered_to_addresses(std::string_view header)
{
    std::vector<std::string> addresses;
    while (!header.empty() && header != "\r\n" && !header.starts_with("\r\n")) {
        size_t end = header.find("\r\n");
        while (end != std::string_view::npos && end + 2 < header.size() && ascii::is_blank(header[end + 2]))
            end = header.find("\r\n", end + 2);
        const std::string_view field = header.substr(0, end);
        header.remove_prefix(end == std::string_view::npos ? header.size() : end + 2);
        if (ascii::starts_with(field, field_name))
            addresses.push_back(ascii::lower(ascii::trim(field.substr(field_name.size()))));
    }
    return addresses;
}

Task<Result<MessageHead>> MessageHead::read(ThreadPool& pool, int file, queue::ContentInfo content)
{
    const auto first = static_cast<size_t>(std::min<uint64_t>(content.size, first_piece));
    const std::string start = read_if_cached(file, content.offset, first);
    if (header_ends_in(start) || (start.size() == first && first == content.size))
        co_return MessageHead(delivered_to_addresses(start));

    const auto detached = queue::ContentReader(file, content).detached(); // the work may outlast a cancelled task
    if (!detached)
        co_return detached.error();
    std::function<Result<std::string>()> work = [reader = *detached]() mutable -> Result<std::string> {
        std::string text(longest_head, '\0');
        const auto got = reader.next(text.data(), text.size());
        if (!got)
            return got.error();
        text.resize(got->size());
        return text;
    };
    auto text = co_await in_pool(pool, std::move(work));
    if (!text)
        co_return std::move(text.error()).within("read queue file");
    co_return MessageHead(delivered_to_addresses(*text));
}

bool MessageHead::was_delivered_to(std::string_view address) const
{
    return std::any_of(delivered_to_.begin(), delivered_to_.end(),
                       [address](const std::string& known) { return ascii::equal(known, address); });
}

} // namespace posthouse::local
