// ScreeningAccess: postscreen_access_list, who is let in or shut out for good, before any test. Words and tables, asked
// for the client's address; the first that says something decides.
#pragma once

#include "lib/base/result.h"
#include "lib/event/task.h"
#include "lib/net/address.h"
#include "lib/table/match_list.h"
#include "lib/table/table.h"

#include <memory>
#include <string_view>
#include <vector>

namespace posthouse::smtpd {

class ScreeningAccess {
public:
    enum class Answer : unsigned char { Unknown, Permit, Reject };

    // `mynetworks` is for permit_mynetworks, and outlives this.
    static Result<std::unique_ptr<ScreeningAccess>> open(std::string_view value, table::MatchList* mynetworks,
                                                         const table::Context& context);
    // A table that gives no answer is passed over, as are results that are none; the log says so.
    Task<Answer> look_up(net::IpAddress client);
    bool stale() const;

private:
    struct Item {
        Answer answer = Answer::Unknown;      // of a word
        bool mynetworks = false;              // permit_mynetworks
        std::unique_ptr<table::Table> table;
    };
    explicit ScreeningAccess(table::MatchList* mynetworks) : mynetworks_(mynetworks) {}
    Task<Answer> ask(Item& item, net::IpAddress client);

    table::MatchList* mynetworks_;
    std::vector<Item> items_;
};

} // namespace posthouse::smtpd
