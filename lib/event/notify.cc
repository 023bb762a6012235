// Waiting for each other: see notify.h.
#include "lib/event/notify.h"

#include <cassert>

namespace posthouse {

Event::~Event() { assert(!first_); }

void Event::notify_one()
{
    if (!first_)
        return;
    Awaiter* awaiter = first_;
    awaiter->leave();
    awaiter->notified_ = true;
    awaiter->timer_.set(Instant()); // resumes from the loop's top level, and not if destroyed before
}

void Event::notify_all()
{
    while (first_)
        notify_one();
}

Event::Awaiter::Awaiter(Event& event, Deadline deadline)
    : event_(&event), deadline_(deadline), timer_(event.loop_, [this] {
          leave();
          waiter_.resume();
      })
{
}

Event::Awaiter::~Awaiter()
{
    if (waiter_)
        leave();
}

void Event::Awaiter::await_suspend(std::coroutine_handle<> waiter)
{
    waiter_ = waiter;
    previous_ = event_->last_;
    (previous_ ? previous_->next_ : event_->first_) = this;
    event_->last_ = this;
    timer_.set(deadline_.when());
}

void Event::Awaiter::leave()
{
    if (!event_)
        return;
    (previous_ ? previous_->next_ : event_->first_) = next_;
    (next_ ? next_->previous_ : event_->last_) = previous_;
    event_ = nullptr;
}

} // namespace posthouse
