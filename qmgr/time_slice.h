// TimeSlice: how long a task with much to do may go on before others have their turn of the loop.
#pragma once

#include "lib/base/time.h"

namespace posthouse::qmgr {

class TimeSlice {
public:
    TimeSlice() { renew(); }
    bool over() const { return Instant::now() >= end_; }
    void renew() { end_ = Instant::now() + length; }

private:
    static constexpr Duration length = Duration::milliseconds(5);
    Instant end_;
};

} // namespace posthouse::qmgr
