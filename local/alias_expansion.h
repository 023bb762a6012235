// AliasExpander: what a local name stands for by aliases(5): nested aliases and :include: files taken
// apart, each end of it once, the owner- sender noted. A name that comes up again within its own
// expansion means that user's mailbox when it stands directly in its own alias, and nothing elsewhere.
#pragma once

#include "lib/base/result.h"
#include "lib/event/task.h"
#include "lib/event/thread_pool.h"
#include "lib/table/aliases.h"
#include "lib/table/maps.h"

#include <set>
#include <string>
#include <vector>

namespace posthouse::local {

// One end of an expansion.
class Destination {
public:
    enum class Kind : unsigned char {
        Mailbox, // of the user `text`, without further aliases
        User,    // the local name `text`, which is no alias: a mailbox, or unknown
        Remote,  // the address `text`
        File,    // the path `text`
        Command, // as it stands after the |
    };
    Destination(Kind its_kind, std::string its_text, std::string its_owner, bool is_from_include)
        : kind(its_kind), text(std::move(its_text)), owner(std::move(its_owner)), from_include(is_from_include)
    {
    }
    friend bool operator==(const Destination&, const Destination&) = default;

    Kind kind;
    std::string text;
    std::string owner; // "owner-list@domain" when there is such an alias: the new sender
    bool from_include;
};

class Expansion {
public:
    Expansion() = default;
    bool is_alias = false;
    std::vector<Destination> destinations;
};

class AliasExpander {
public:
    // `local`: is this domain ours. The maps, the pool and what `local` refers to outlive this.
    AliasExpander(table::Maps& maps, table::AddressMaps::LocalTest local, ThreadPool& pool, std::string delimiters,
                  std::string origin);

    // `name` unquoted, `domain` of the recipient. Errors: Temporary (a table or file could not be read),
    // Permanent (5.4.6 too deep or too many, 5.3.5 broken alias text).
    Task<Result<Expansion>> expand(std::string name, std::string domain);

private:
    struct Work;
    Task<Result<void>> expand_name(Work& work, std::string name, std::string owner, int depth);
    Task<Result<void>> expand_target(Work& work, table::AliasTarget target, std::string name, std::string owner,
                                     bool included, int depth);
    Task<Result<void>> expand_address(Work& work, std::string address, std::string name, std::string owner,
                                      bool included, int depth);
    Task<Result<void>> expand_include(Work& work, std::string path, std::string name, std::string owner, int depth);
    Task<table::Value> find_alias(std::string name);

    table::Maps& maps_;
    table::AddressMaps::LocalTest local_;
    ThreadPool& pool_;
    std::string delimiters_;
    std::string origin_;
};

} // namespace posthouse::local
