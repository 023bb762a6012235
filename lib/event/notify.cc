// Waiting for each other: see notify.h.
#include "lib/event/notify.h"

#include <cassert>

namespace posthouse {

void Event::List::add(Awaiter& awaiter)
{
    awaiter.in_ = this;
    awaiter.next_ = nullptr;
    awaiter.previous_ = last;
    (last ? last->next_ : first) = &awaiter;
    last = &awaiter;
}

void Event::List::remove(Awaiter& awaiter)
{
    (awaiter.previous_ ? awaiter.previous_->next_ : first) = awaiter.next_;
    (awaiter.next_ ? awaiter.next_->previous_ : last) = awaiter.previous_;
    awaiter.in_ = nullptr;
}

Event::~Event()
{
    assert(!waiting_.first);
    while (woken_.first)
        woken_.remove(*woken_.first);
}

Event::Awaiter* Event::wake_first()
{
    Awaiter* awaiter = waiting_.first;
    if (!awaiter)
        return nullptr;
    waiting_.remove(*awaiter);
    woken_.add(*awaiter);
    awaiter->notified_ = true;
    awaiter->timer_.set(Timer::soon()); // resumes from the loop's top level, and not if destroyed before
    return awaiter;
}

void Event::notify_one()
{
    if (Awaiter* awaiter = wake_first())
        awaiter->passes_on_ = true;
}

void Event::notify_all()
{
    while (wake_first())
        ;
}

Event::Awaiter::Awaiter(Event& event, Deadline deadline)
    : event_(event), deadline_(deadline), timer_(event.loop_, [this] { resume(); })
{
}

Event::Awaiter::~Awaiter()
{
    if (!in_)
        return;
    in_->remove(*this);
    if (passes_on_)
        event_.notify_one();
}

void Event::Awaiter::await_suspend(std::coroutine_handle<> waiter)
{
    waiter_ = waiter;
    event_.waiting_.add(*this);
    timer_.set(deadline_.when());
}

void Event::Awaiter::resume()
{
    if (in_)
        in_->remove(*this);
    waiter_.resume();
}

} // namespace posthouse
