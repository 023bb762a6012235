// Sends a message's content as this host can take it: see content_sender.h.
#include "smtp/content_sender.h"

#include "lib/base/cat.h"
#include "lib/log/log.h"

#include <algorithm>
#include <functional>
#include <memory>

namespace posthouse::smtp_client {

namespace {

// Up to here the content leaves with its final dot in one write.
constexpr size_t small_content = 65536;
constexpr size_t piece_size = 131072;

// Conversion makes lines of its own, so what intake knows of the lines is worth nothing then.
smtp::ContentFacts facts_to_send(const queue::DeliveryRequest& request, bool converted)
{
    smtp::ContentFacts facts = request.content.facts;
    facts.has_leading_dot = facts.has_leading_dot || converted;
    return facts;
}

} // namespace

bool needs_conversion(const queue::DeliveryRequest& request, const Features& features, const Settings& settings)
{
    // A host with SMTPUTF8 takes 8 bits (RFC 6531 section 3.1), whatever else it says.
    return settings.convert_8bit && !features.eight_bit && !features.smtputf8 && request.content.facts.has_8bit_body;
}

// The reader and a piece of its content while a thread reads it, which may outlast a cancelled delivery.
class ContentSender::FromDisk {
public:
    explicit FromDisk(queue::ContentReader its_reader) : reader(std::move(its_reader)) {}
    queue::ContentReader reader;
    std::string piece;
};

ContentSender::ContentSender(Session& session, const Settings& settings, const queue::DeliveryRequest& request,
                             ThreadPool& pool)
    : session_(session), settings_(settings), request_(request), pool_(pool), reader_(request.file.get(), request.content),
      writer_(facts_to_send(request, needs_conversion(request, session.features(), settings)), settings.line_limit)
{
    if (needs_conversion(request, session.features(), settings))
        converter_.emplace(settings.conversion_limits);
}

Task<std::optional<Trouble>> ContentSender::run()
{
    if (request_.content.size > small_content) {
        auto trouble = co_await send_large();
        co_return trouble;
    }
    auto trouble = co_await queue_small();
    if (trouble)
        co_return trouble;
    auto written = co_await session_.chat().flush(Deadline::after(settings_.data_xfer_timeout));
    if (!written)
        co_return lost(written.error());
    co_return std::nullopt;
}

// The whole content and its dot, so that they leave in one write.
Task<std::optional<Trouble>> ContentSender::queue_small()
{
    const auto size = static_cast<size_t>(request_.content.size);
    std::string& out = session_.chat().output();
    std::string content;
    std::string& into = goes_verbatim() ? out : content;
    into.resize(size);
    const auto cached = reader_.next_if_cached(into.data(), size);
    if (!cached || !*cached)
        into.clear();
    if (!cached)
        co_return unreadable(cached.error());
    if (!*cached) {
        const auto piece = co_await next_from_disk(size);
        if (!piece)
            co_return unreadable(piece.error());
        into.assign(*piece);
    }
    if (goes_verbatim())
        writer_.note_sent(into);
    else
        transform(into, out);
    finish(out);
    co_return std::nullopt;
}

// The next piece by way of a thread. It stays until the next call.
Task<Result<std::string_view>> ContentSender::next_from_disk(size_t size)
{
    auto detached = reader_.detached();
    if (!detached)
        co_return std::move(detached.error());
    const auto owned = std::make_shared<FromDisk>(std::move(*detached));
    from_disk_ = owned;
    std::function<Result<size_t>()> work = [owned, size]() -> Result<size_t> {
        owned->piece.resize(size);
        const auto got = owned->reader.next(owned->piece.data(), size);
        if (!got)
            return got.error();
        return got->size();
    };
    const auto got = co_await in_pool(pool_, std::move(work));
    if (!got)
        co_return got.error();
    reader_ = owned->reader;
    co_return std::string_view(owned->piece).substr(0, *got);
}

// In pieces, so that no message is ever whole in memory.
Task<std::optional<Trouble>> ContentSender::send_large()
{
    const std::unique_ptr<char[]> buffer(new char[piece_size]);
    const Instant began = Instant::now();
    while (!reader_.at_end()) {
        const auto cached = reader_.next_if_cached(buffer.get(), piece_size);
        if (!cached)
            co_return unreadable(cached.error());
        std::string_view piece = cached->value_or("");
        if (!*cached) {
            const auto read = co_await next_from_disk(piece_size);
            if (!read)
                co_return unreadable(read.error());
            piece = *read;
        }
        const Deadline deadline = piece_deadline(began, reader_.done());
        auto sent = co_await send_piece(piece, deadline);
        if (!sent)
            co_return lost(sent.error());
    }
    finish(session_.chat().output());
    co_return std::nullopt; // the final dot leaves with the wait for its reply
}

Task<Result<void>> ContentSender::send_piece(std::string_view piece, Deadline deadline)
{
    if (goes_verbatim()) {
        writer_.note_sent(piece);
        co_return co_await session_.chat().write(piece, deadline);
    }
    transform(piece, session_.chat().output());
    co_return co_await session_.chat().flush(deadline);
}

void ContentSender::transform(std::string_view piece, std::string& out)
{
    if (!converter_) {
        writer_.append(piece, out);
        return;
    }
    converted_.clear();
    converter_->append(piece, converted_);
    writer_.append(converted_, out);
}

void ContentSender::finish(std::string& out)
{
    if (converter_) {
        converted_.clear();
        converter_->finish(converted_);
        writer_.append(converted_, out);
    }
    writer_.finish(out);
}

Deadline ContentSender::piece_deadline(Instant began, uint64_t bytes) const
{
    if (!settings_.per_request_deadline)
        return Deadline::after(settings_.data_xfer_timeout);
    const auto earned = static_cast<int64_t>(bytes / settings_.min_data_rate);
    return Deadline::at(began + settings_.data_xfer_timeout + Duration::seconds(earned));
}

Trouble ContentSender::unreadable(const Error& error)
{
    fault_ = Fault::Message;
    log::error(request_.id(), ": ", error.full_text());
    return Trouble(error);
}

Trouble ContentSender::lost(const Error& error)
{
    fault_ = Fault::Connection;
    return Trouble::from_stream(error, session_.host().with_address(), "sending message body");
}

} // namespace posthouse::smtp_client
