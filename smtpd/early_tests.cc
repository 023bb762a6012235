// Before the greeting: see early_tests.h.
#include "smtpd/early_tests.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/trust/dns_list.h"

#include <algorithm>
#include <cstdio>
#include <sys/socket.h>

namespace posthouse::smtpd {

namespace {

constexpr size_t most_peeked = 1024;
constexpr size_t most_shown = 100;
constexpr Duration teaser_time = Duration::seconds(5); // a few bytes into an empty socket

// Up to what may be a password.
std::string_view without_login(std::string_view bytes)
{
    for (size_t at = 0; at < bytes.size(); ++at) {
        const bool begins_line = at == 0 || bytes[at - 1] == '\n';
        if (begins_line && ascii::starts_with(bytes.substr(at), "AUTH"))
            return bytes.substr(0, at + 4);
    }
    return bytes;
}

// As in C: the log has one line, and who reads it wants to see where the client's lines end.
std::string escaped(std::string_view bytes)
{
    std::string text;
    for (const char byte : bytes) {
        if (byte == '\r')
            text += "\\r";
        else if (byte == '\n')
            text += "\\n";
        else if (byte == '\\')
            text += "\\\\";
        else if (!ascii::is_control(byte) && static_cast<unsigned char>(byte) < 0x80)
            text += byte;
        else {
            char octal[8];
            snprintf(octal, sizeof octal, "\\%03o", static_cast<unsigned>(static_cast<unsigned char>(byte)));
            text += octal;
        }
    }
    return text;
}

} // namespace

EarlyTests::EarlyTests(Screening& screening, ByteStream& stream, ScreenedClient& client)
    : screening_(screening), stream_(stream), client_(client), stopped_(screening.stopping_), changed_(screening.loop()),
      tasks_(screening.loop())
{
    screening_.waiting_.insert(this);
}

EarlyTests::~EarlyTests() { screening_.waiting_.erase(this); }

void EarlyTests::stop()
{
    stopped_ = true;
    changed_.notify_all();
}

Task<EarlyTests::End> EarlyTests::run()
{
    const ScreeningSettings& settings = screening_.settings();
    const bool greets = client_.due().has(ScreenTest::Greet);
    greet_end_ = screening_.loop().now() + (greets ? settings.greet_wait : Duration());
    dns_deadline_ = Deadline::after(settings.dnsbl_timeout);
    if (greets && !settings.teaser.empty()) {
        const Deadline deadline = Deadline::after(teaser_time);
        auto written = co_await stream_.write_all(settings.teaser, deadline);
        if (!written)
            co_return End::Gone;
    }
    tasks_.spawn(listen());
    answered_ = judged_ = !client_.due().has(ScreenTest::Dnsbl);
    if (!answered_)
        tasks_.spawn(ask_dns_lists());
    const End end = co_await wait();
    tasks_.cancel_all();
    co_await tasks_.drained();
    if (end == End::Over && trusted_)
        client_.pass_all();
    else if (end == End::Over)
        client_.pass(ScreenTest::Greet); // unless it has failed
    co_return end;
}

Task<EarlyTests::End> EarlyTests::wait()
{
    while (true) {
        if (stopped_)
            co_return End::Stopped;
        if (gone_)
            co_return End::Gone;
        if (answered_ && !judged_)
            co_await judge_score();
        if (last_words_)
            co_return End::Dropped;
        if (trusted_ || time_is_over())
            co_return End::Over;
        const bool greeting_next = screening_.loop().now() < greet_end_;
        const Deadline next = greeting_next ? Deadline::at(greet_end_) : Deadline::never(); // DNS lists have their own
        (void)co_await changed_.wait(next);
    }
}

bool EarlyTests::time_is_over() const { return judged_ && screening_.loop().now() >= greet_end_; }

// What arrives stays in the socket, for the session.
Task<void> EarlyTests::listen()
{
    auto ready = co_await stream_.wait_readable(Deadline::never()); // cancelled when the tests are over
    char bytes[most_peeked];
    const ssize_t count = ready ? ::recv(stream_.fd(), bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT) : -1;
    if (count > 0)
        spoke(static_cast<size_t>(count), std::string_view(bytes, std::min(static_cast<size_t>(count), most_shown)));
    else
        gone_ = true;
    changed_.notify_all();
}

void EarlyTests::spoke(size_t count, std::string_view beginning)
{
    if (!client_.due().has(ScreenTest::Greet))
        return; // it has passed: an old friend in a hurry
    log::info("PREGREET ", count, " after ", seconds_text(client_.age()), " from ", client_.label(), ": ", escaped(without_login(beginning)));
    last_words_ = client_.fail(ScreenTest::Greet, smtp::Reply(550, "5.5.1", "Protocol error"));
}

Task<void> EarlyTests::ask_dns_lists()
{
    const std::vector<trust::DnsList>& lists = screening_.dns_lists();
    const std::string address = client_.ends().client.ip.to_text();
    auto answers = co_await trust::ask_lists(screening_.loop(), screening_.resolver(), lists,
                                             trust::list_key(client_.ends().client.ip), dns_deadline_);
    for (size_t at = 0; at < answers.size(); ++at) {
        const trust::ListAnswer& answer = answers[at];
        if (answer.state == trust::ListState::Unknown)
            log::warning("DNS list ", lists[at].domain, " gave no answer about ", address, ": ", answer.detail);
        if (answer.state != trust::ListState::Listed)
            continue;
        for (const net::IpAddress& as : answer.addresses)
            log::info("addr ", address, " listed by domain ", lists[at].domain, " as ", as.to_text());
        if (lists[at].weight > best_weight_) {
            best_weight_ = lists[at].weight;
            listed_by_ = lists[at].domain;
        }
    }
    score_ = trust::total_weight(lists, answers);
    answered_ = true;
    changed_.notify_all();
}

Task<void> EarlyTests::judge_score()
{
    judged_ = true;
    const ScreeningSettings& settings = screening_.settings();
    if (score_ < settings.dnsbl_threshold) {
        client_.pass(ScreenTest::Dnsbl);
        trusted_ = settings.dnsbl_allow_threshold < 0 && score_ <= settings.dnsbl_allow_threshold;
        co_return;
    }
    log::info("DNSBL rank ", score_, " for ", client_.label());
    const std::string name = co_await screening_.public_name(listed_by_);
    const std::string text = cat("Service unavailable; client [", client_.ends().client.ip.to_text(), "] blocked using ", name);
    last_words_ = client_.fail(ScreenTest::Dnsbl, smtp::Reply(550, "5.7.1", text));
}

} // namespace posthouse::smtpd
