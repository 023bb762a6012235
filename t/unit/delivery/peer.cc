#include "t/unit/delivery/peer.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/crc32c.h"
#include "lib/base/file.h"
#include "lib/smtp/chat.h"
#include "t/support/run_task.h"

#include <algorithm>
#include <sys/mman.h>
#include <sys/socket.h>

namespace posthouse::test {

namespace {
UniqueFd listen_at(const std::string& address, uint16_t port)
{
    if (address.starts_with('/')) {
        auto socket = net::listen_unix(address, 0600, 10);
        if (!socket)
            throw std::runtime_error(socket.error().full_text());
        return std::move(*socket);
    }
    auto fd = net::listen_tcp(net::SocketAddress(*net::IpAddress::parse(address), port), 10);
    if (!fd)
        throw std::runtime_error(fd.error().full_text());
    return std::move(*fd);
}
} // namespace

Peer::Peer(Loop& loop, std::vector<std::string> scripts, const std::string& address, uint16_t port)
    : loop_(loop), scripts_(std::move(scripts)), listener_(listen_at(address, port)),
      port_(net::SocketAddress::local_of(listener_.get()).port), watch_(loop, listener_.get()), tasks_(loop)
{
    tasks_.spawn(accept_all());
}

Task<void> Peer::accept_all()
{
    while (true) {
        UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!connection) {
            (void)co_await watch_.readable(Deadline::never());
            continue;
        }
        std::string script = connections < scripts_.size() ? scripts_[connections] : std::string("CLOSE");
        ++connections;
        tasks_.spawn(converse(std::move(connection), std::move(script)));
    }
}

Task<void> Peer::converse(UniqueFd connection, std::string script)
{
    const Deadline never = Deadline::never();
    Socket socket(loop_, std::move(connection));
    smtp::Chat chat(socket);
    for (std::string_view step : ascii::split(script, "\n")) {
        step = ascii::trim(step);
        if (step == "CLOSE")
            co_return;
        if (step == "HANG") {
            co_await sleep_for(loop_, Duration::seconds(1000));
        } else if (step == "WAIT") {
            co_await sleep_for(loop_, Duration::milliseconds(300));
        } else if (step == "SLOWLY") {
            std::string some(20000, '\0');
            while (true) {
                auto got = co_await socket.read_some(some.data(), some.size(), never);
                if (!got || *got == 0)
                    co_return;
                co_await sleep_for(loop_, Duration::milliseconds(10));
            }
        } else if (step == "D") {
            smtp::DataReader reader;
            std::string content;
            bool finished = false;
            while (!finished) {
                auto chunk = co_await chat.read_data(reader, never);
                if (!chunk)
                    co_return;
                content.append(chunk->content);
                finished = chunk->finished;
            }
            contents.push_back(content);
        } else if (step.starts_with("S: ")) {
            chat.queue(cat(step.substr(3), "\r\n"));
        } else {
            auto line = co_await chat.read_line(100000, never);
            if (!line)
                co_return;
            lines.push_back(line->line);
            if (!line->line.starts_with(step.substr(3)) && problem.empty())
                problem = cat("wanted ", step.substr(3), ", got ", line->line);
            continue;
        }
        auto flushed = co_await chat.flush(never);
        if (!flushed)
            co_return;
    }
}

Task<net::MxAnswer> FakeNames::mx(std::string domain, Deadline)
{
    const auto found = mx_.find(domain);
    net::MxAnswer answer(net::Answer::State::NoDomain);
    answer.detail = cat("Name service error for name=", domain, " type=MX: Host not found");
    if (found != mx_.end())
        answer = found->second;
    co_return answer;
}

Task<net::AddressAnswer> FakeNames::addresses(std::string host, Deadline)
{
    const auto found = addresses_.find(host);
    net::AddressAnswer answer(net::Answer::State::NoDomain);
    answer.detail = cat("Name service error for name=", host, " type=A: Host not found");
    if (found != addresses_.end())
        answer = found->second;
    co_return answer;
}

void FakeNames::add_mx(const std::string& domain, uint16_t preference, const std::string& host)
{
    net::MxAnswer& answer = mx_[domain];
    answer.state = net::Answer::State::Found;
    answer.records.push_back(net::MxRecord(preference, host));
    std::stable_sort(answer.records.begin(), answer.records.end(),
                     [](const auto& a, const auto& b) { return a.preference < b.preference; });
}

void FakeNames::add_address(const std::string& host, const std::string& address)
{
    net::AddressAnswer& answer = addresses_[host];
    answer.state = net::Answer::State::Found;
    answer.addresses.push_back(*net::IpAddress::parse(address));
}

void FakeNames::fail_mx(const std::string& domain, net::Answer::State state)
{
    mx_[domain] = net::MxAnswer(state);
    mx_[domain].detail = cat("Name service error for name=", domain, " type=MX: failed");
}

void FakeNames::fail_address(const std::string& host, net::Answer::State state)
{
    addresses_[host] = net::AddressAnswer(state);
    addresses_[host].detail = cat("Name service error for name=", host, " type=A: failed");
}

Client::Client() : pool(loop, 2)
{
    log::Sink sink;
    sink.to = log::Sink::To::File;
    sink.path = "/dev/null";
    log::open(sink);
    settings.hostname = settings.helo_name = "client.example";
    cache = std::make_unique<smtp_client::SessionCache>(loop, settings);
}

queue::DeliveryRequest Client::request(std::string nexthop, std::vector<std::string> recipients, std::string_view content)
{
    queue::DeliveryRequest request;
    request.serial = 7;
    request.transport = "smtp";
    request.nexthop = std::move(nexthop);
    request.envelope.id = "4Wxyz";
    request.envelope.sender = "sender@example.com";
    for (std::string& recipient : recipients) {
        request.indexes.push_back(static_cast<uint32_t>(request.indexes.size() + 10));
        request.envelope.recipients.push_back(mail::Recipient(std::move(recipient)));
    }
    request.file = UniqueFd(::memfd_create("message", MFD_CLOEXEC));
    constexpr std::string_view before = "HEADER";
    (void)pwrite_all(request.file.get(), before, 0);
    (void)pwrite_all(request.file.get(), content, before.size());
    request.content.offset = before.size();
    request.content.size = content.size();
    request.content.crc32c = crc32c(content);
    smtp::DataReader reader;
    for (std::string_view rest = content; !rest.empty();)
        rest.remove_prefix(reader.scan_chunk(rest).consumed);
    request.content.facts = reader.facts();
    return request;
}

namespace {
Task<queue::DeliveryDone> run(smtp_client::Delivery& delivery)
{
    auto done = co_await delivery.run();
    co_return done;
}
} // namespace

queue::DeliveryDone Client::deliver(queue::DeliveryRequest what)
{
    std::vector<queue::RecipientOutcome> early;
    const auto report = [&early](queue::RecipientOutcome outcome) { early.push_back(std::move(outcome)); };
    smtp_client::Delivery delivery(loop, pool, settings, names, *cache, what, report);
    queue::DeliveryDone done = run_task(loop, run(delivery));
    reported_early = early.size();
    for (auto& outcome : early)
        done.outcomes.push_back(std::move(outcome));
    std::sort(done.outcomes.begin(), done.outcomes.end(), [](const auto& a, const auto& b) { return a.index < b.index; });
    return done;
}

queue::DeliveryDone Client::deliver(const std::string& nexthop, std::vector<std::string> recipients)
{
    return deliver(request(nexthop, std::move(recipients)));
}

std::string bracketed(const Peer& peer)
{
    return cat("[127.0.0.1]:", peer.port());
}

} // namespace posthouse::test
