// OperatorRights: who may look at the queue and who may flush it (authorized_mailq_users,
// authorized_flush_users). The super-user and the mail owner always may.
#pragma once

#include "lib/config/config.h"
#include "lib/event/task.h"
#include "lib/table/match_list.h"

#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>

namespace posthouse::qmgr {

class OperatorRights {
public:
    enum class To : unsigned char { View, Flush };

    // Before use, and again after a reload. On an Error the old lists stay in use. The configuration must stay
    // until the next call.
    Result<void> open(const config::Config& config, const table::Context& context);

    // An Error tells the user why not: of kind Permanent when it is a refusal.
    Task<Result<void>> check(To what, uid_t user);

private:
    class Lists {
    public:
        std::unique_ptr<table::MatchList> view;
        std::unique_ptr<table::MatchList> flush;
    };

    const config::Config* config_ = nullptr;
    std::optional<table::Context> context_;
    std::shared_ptr<Lists> lists_; // owners: this, and the lookups that began with it
};

} // namespace posthouse::qmgr
