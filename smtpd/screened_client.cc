// One client under test: see screened_client.h.
#include "smtpd/screened_client.h"

#include "lib/base/cat.h"
#include "lib/event/loop.h"
#include "lib/log/log.h"
#include "smtpd/screening.h"

#include <cstdio>
#include <ctime>

namespace posthouse::smtpd {

namespace {

constexpr ScreenTest all_tests[] = {ScreenTest::Greet, ScreenTest::Dnsbl, ScreenTest::Pipelining, ScreenTest::NonSmtp,
                                    ScreenTest::BareNewline};

} // namespace

std::string seconds_text(Duration duration)
{
    const double seconds = duration.as_seconds();
    char text[32];
    snprintf(text, sizeof text, seconds < 1 ? "%.2f" : seconds < 10 ? "%.1f" : "%.0f", seconds);
    return text;
}

ScreenedClient::ScreenedClient(Screening& screening, Ends ends)
    : screening_(screening), ends_(std::move(ends)), since_(screening.loop().now())
{
}

Duration ScreenedClient::age() const { return screening_.loop().now() - since_; }

void ScreenedClient::recall()
{
    const int64_t now = ::time(nullptr);
    const auto record = screening_.recall(ends_.client.ip, now);
    known_ = record.has_value();
    record_ = record.value_or(PassRecord());
    for (const ScreenTest test : all_tests)
        if (screening_.settings().enabled.has(test) && !record_.holds(test, now))
            due_.add(test);
}

void ScreenedClient::pass(ScreenTest test)
{
    if (!due_.has(test))
        return;
    due_.remove(test);
    record_.pass(test, ::time(nullptr) + screening_.settings().of(test).ttl.whole_seconds());
    changed_ = true;
}

void ScreenedClient::pass_all()
{
    const int64_t until = ::time(nullptr) + screening_.settings().of(ScreenTest::Dnsbl).ttl.whole_seconds();
    for (const ScreenTest test : all_tests)
        if (due_.has(test))
            record_.pass(test, until);
    changed_ = true;
    due_ = TestSet();
}

std::optional<smtp::Reply> ScreenedClient::fail(ScreenTest test, const smtp::Reply& reply)
{
    due_.remove(test);
    failed_.add(test);
    return punish(screening_.settings().of(test).action, reply);
}

// The first offence is the one that is told.
std::optional<smtp::Reply> ScreenedClient::punish(ScreenAction action, const smtp::Reply& reply)
{
    if (action == ScreenAction::Enforce && !refusal_)
        refusal_ = reply;
    if (action != ScreenAction::Drop)
        return std::nullopt;
    smtp::Reply last_words = reply;
    last_words.code = 521;
    return last_words;
}

void ScreenedClient::conclude()
{
    if (std::exchange(changed_, false) && !forgetful_)
        screening_.remember(ends_.client.ip, record_, ::time(nullptr));
    if (done() && failed_.empty())
        log::info(known_ ? "PASS OLD " : "PASS NEW ", label());
}

} // namespace posthouse::smtpd
