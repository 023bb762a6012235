// The one place that includes libevent: handles that free themselves.
#pragma once

#include <event2/event.h>
#include <memory>

namespace posthouse::libevent {

struct FreeBase {
    void operator()(event_base* base) const { event_base_free(base); }
};
struct FreeEvent {
    void operator()(event* e) const { event_free(e); }
};
using Base = std::unique_ptr<event_base, FreeBase>;
using Event = std::unique_ptr<event, FreeEvent>;

} // namespace posthouse::libevent
