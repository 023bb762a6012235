// The window of one destination, see concurrency.h: transport.cc tells it what happened, dispatch_order.cc asks it.
#include "qmgr/concurrency.h"

#include "lib/base/cat.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace posthouse::qmgr {

Result<Feedback> Feedback::parse(std::string_view text)
{
    Feedback feedback;
    const auto slash = text.find('/');
    const std::string_view number = text.substr(0, slash);
    const auto [end, fault] = std::from_chars(number.data(), number.data() + number.size(), feedback.value_);
    const bool whole = fault == std::errc() && end == number.data() + number.size();
    if (!whole || feedback.value_ < 0 || feedback.value_ > 1)
        return Error(ErrorKind::Config, cat("not a number from 0 to 1: ", text));
    if (slash == std::string_view::npos)
        return feedback;
    const std::string_view divisor = text.substr(slash + 1);
    if (divisor == "concurrency")
        feedback.divisor_ = Divisor::Window;
    else if (divisor == "sqrt_concurrency")
        feedback.divisor_ = Divisor::RootOfWindow;
    else
        return Error(ErrorKind::Config, cat("neither concurrency nor sqrt_concurrency: ", text));
    return feedback;
}

double Feedback::at(unsigned window) const
{
    switch (divisor_) {
    case Divisor::One:
        return value_;
    case Divisor::Window:
        return value_ / window;
    case Divisor::RootOfWindow:
        return value_ / std::sqrt(static_cast<double>(window));
    }
    return value_;
}

ConcurrencyWindow::ConcurrencyWindow(const ConcurrencyLimits& limits) : limits_(limits), window_(first_window()) {}

unsigned ConcurrencyWindow::first_window() const
{
    if (limits_.rate_delay > Duration())
        return 1;
    const unsigned most = limits_.most == 0 ? limits_.initial : std::min(limits_.initial, limits_.most);
    return std::max(1U, most);
}

bool ConcurrencyWindow::may_start(Instant now) const
{
    return running_ < window_ && now >= dead_until_ && now >= paused_until_;
}

Instant ConcurrencyWindow::opens_at(Instant now) const
{
    const Instant later = std::max(dead_until_, paused_until_);
    return running_ < window_ && later > now ? later : Instant::never();
}

void ConcurrencyWindow::started()
{
    ++running_;
}

// The window grows only while it is really used: at most `initial` ahead of what runs.
void ConcurrencyWindow::reached()
{
    const unsigned busy = running_--;
    failed_cohorts_ = 0;
    if (dead_until_ > Instant::from_ns(INT64_MIN)) {
        revive();
        window_ = std::max(window_, std::min(busy, limits_.most == 0 ? busy : limits_.most));
        return;
    }
    const bool at_limit = limits_.most != 0 && window_ >= limits_.most;
    if (limits_.rate_delay > Duration() || at_limit || window_ >= busy + limits_.initial)
        return;
    const double step = limits_.positive.at(window_);
    success_ += step;
    // Half a step of tolerance: sums of fractions fall short of one by rounding.
    while (success_ + step / 2 >= 1) {
        ++window_;
        success_ -= 1;
        failure_ = 0;
    }
    if (limits_.most != 0)
        window_ = std::min(window_, limits_.most);
}

void ConcurrencyWindow::missed(Instant now)
{
    --running_;
    if (dead(now))
        return;
    if (limits_.failed_cohorts > 0) {
        failed_cohorts_ += 1.0 / window_;
        if (failed_cohorts_ + 1e-9 >= limits_.failed_cohorts) {
            dead_until_ = now + limits_.dead_time;
            failed_cohorts_ = 0;
            window_ = first_window();
            success_ = failure_ = 0;
            return;
        }
    }
    failure_ -= limits_.negative.at(window_);
    // At the start of a cycle, not at its end: the first failure already takes one away.
    while (failure_ < -1e-9) {
        window_ = window_ > 1 ? window_ - 1 : 1;
        failure_ += 1;
        success_ = 0;
    }
}

void ConcurrencyWindow::withdrawn()
{
    --running_;
}

void ConcurrencyWindow::rate_pause(Instant now)
{
    if (limits_.rate_delay > Duration())
        paused_until_ = now + limits_.rate_delay;
}

void ConcurrencyWindow::revive()
{
    dead_until_ = paused_until_ = Instant::from_ns(INT64_MIN);
    failed_cohorts_ = success_ = failure_ = 0;
    window_ = first_window();
}

} // namespace posthouse::qmgr
