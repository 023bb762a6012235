// Runs whole SMTP sessions of a real Server against a queue in memory, with a client that is a script.
#pragma once

#include "lib/config/config.h"
#include "lib/event/loop.h"
#include "lib/event/thread_pool.h"
#include "lib/queue/new_message.h"
#include "lib/table/table.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "t/support/run_task.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace posthouse::test {

struct StoredMessage {
    mail::Envelope envelope;
    std::string content;
    smtp::ContentFacts facts;
};

// A queue that keeps what is committed, and fails where it is told to.
class MemoryQueue final : public queue::MessageSource {
public:
    Task<Result<std::unique_ptr<queue::NewMessage>>> begin(Deadline) override
    {
        if (fail_begin)
            co_return Error(*fail_begin);
        ++begun;
        std::unique_ptr<queue::NewMessage> message = std::make_unique<Message>(*this, std::to_string(begun));
        co_return message;
    }

    std::vector<StoredMessage> stored;
    size_t begun = 0;
    size_t dropped = 0;
    std::optional<Error> fail_begin, fail_append, fail_commit;

private:
    class Message final : public queue::NewMessage {
    public:
        Message(MemoryQueue& queue, std::string number) : queue_(queue), id_("QUEUEID" + number) {}
        ~Message() override { queue_.dropped += committed_ ? 0 : 1; }
        const std::string& id() const override { return id_; }
        int64_t arrival_us() const override { return 1795318681000000; } // Sun, 22 Nov 2026 03:38:01
        uint64_t size() const override { return content_.size(); }
        Task<Result<void>> append(std::string_view content) override
        {
            if (queue_.fail_append)
                co_return Error(*queue_.fail_append);
            content_.append(content);
            co_return Result<void>();
        }
        Task<Result<void>> commit(mail::Envelope envelope, smtp::ContentFacts facts, Deadline) override
        {
            if (queue_.fail_commit)
                co_return Error(*queue_.fail_commit);
            committed_ = true;
            StoredMessage message;
            message.envelope = std::move(envelope);
            message.content = std::move(content_);
            message.facts = facts;
            queue_.stored.push_back(std::move(message));
            co_return Result<void>();
        }

    private:
        MemoryQueue& queue_;
        std::string id_;
        std::string content_;
        bool committed_ = false;
    };
};

// A client that sends its next chunk when the server waits for it, `piece` bytes at a time, and then ends.
class ScriptedClient final : public ByteStream {
public:
    ScriptedClient(Loop& loop, std::vector<std::string> chunks, size_t piece)
        : loop_(loop), chunks_(std::move(chunks)), piece_(piece)
    {
    }

    Task<Result<size_t>> read_some(char* into, size_t size, Deadline) override
    {
        co_await sleep_until(loop_, Instant());
        while (chunk_ < chunks_.size() && at_ == chunks_[chunk_].size()) {
            ++chunk_;
            at_ = 0;
        }
        if (chunk_ == chunks_.size())
            co_return size_t(0);
        const std::string& chunk = chunks_[chunk_];
        const size_t count = std::min({size, piece_, chunk.size() - at_});
        std::memcpy(into, chunk.data() + at_, count);
        at_ += count;
        co_return count;
    }
    Task<Result<void>> write_all(std::string_view bytes, Deadline) override
    {
        written.append(bytes);
        co_return Result<void>();
    }
    Task<Result<void>> wait_readable(Deadline) override { co_return Result<void>(); }
    int fd() const override { return -1; }

    std::string written;

private:
    Loop& loop_;
    std::vector<std::string> chunks_;
    size_t piece_;
    size_t chunk_ = 0;
    size_t at_ = 0;
};

constexpr std::string_view session_main_cf = R"(
compatibility_level = 3.9
myhostname = mx.example.org
mydomain = example.org
myorigin = example.org
mydestination = example.org, localhost
mynetworks = 192.0.2.0/24
local_recipient_maps = inline:{ friend=x, postmaster=x, first.last=x }
alias_maps =
relay_domains = relay.example
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
)";

struct SmtpdFixture {
    explicit SmtpdFixture(const std::string& more = "") : pool(loop, 1)
    {
        std::vector<config::Fault> faults;
        auto parsed = config::Config::parse(std::string(session_main_cf) + more, config::Overrides(), faults);
        if (!parsed)
            throw std::runtime_error(faults.empty() ? parsed.error().full_text() : faults.front().to_text());
        config = std::move(*parsed);
        const table::Context context(loop, pool, *config);
        auto opened = smtpd::Server::open(*config, context);
        if (!opened)
            throw std::runtime_error(opened.error().full_text());
        server = std::move(*opened);
        server->source = &queue;
    }

    static Task<void> serve(smtpd::Server& server, ByteStream& stream, smtpd::Client client)
    {
        smtpd::Session session(server, stream, std::move(client));
        co_await session.serve();
    }

    // All that the server says to these chunks.
    std::string talk(std::vector<std::string> chunks, size_t piece = SIZE_MAX)
    {
        ScriptedClient stream(loop, std::move(chunks), piece);
        const net::SocketAddress peer(*net::IpAddress::parse(client_address), 4711);
        smtpd::Client client(peer);
        run_task(loop, serve(*server, stream, std::move(client)), Duration::seconds(60));
        return stream.written;
    }

    Loop loop;
    ThreadPool pool;
    std::unique_ptr<config::Config> config;
    MemoryQueue queue;
    std::unique_ptr<smtpd::Server> server;
    std::string client_address = "198.51.100.7"; // a stranger
};

// The replies' codes, one for each reply: "220 250 250 354 250".
inline std::string codes(std::string_view output)
{
    std::string text;
    while (!output.empty()) {
        const size_t end = std::min(output.find('\n'), output.size() - 1);
        const std::string_view line = output.substr(0, end);
        output.remove_prefix(end + 1);
        if (line.size() >= 4 && line[3] == '-')
            continue;
        text.append(text.empty() ? "" : " ").append(line.substr(0, 3));
    }
    return text;
}

} // namespace posthouse::test
