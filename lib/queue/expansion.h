// Expander: virtual_alias_maps applied to one envelope recipient until nothing matches any more, within
// virtual_alias_expansion_limit results and virtual_alias_recursion_limit levels. A table failure or an
// expansion out of bounds is an Error (temporary: the sender tries again after the table is mended).
#pragma once

#include "lib/base/result.h"
#include "lib/config/config.h"
#include "lib/event/task.h"
#include "lib/mail/envelope.h"
#include "lib/table/table.h"

#include <memory>
#include <string>
#include <vector>

namespace posthouse::queue {

class Rewriter;

class Expander {
public:
    // `rewriter` completes the addresses that the table gives; it must outlive the Expander.
    static Result<std::unique_ptr<Expander>> open(const config::Config& config, const table::Context& context,
                                                  const Rewriter& rewriter);
    ~Expander();
    Expander(const Expander&) = delete;
    Expander& operator=(const Expander&) = delete;

    // The recipient itself when nothing matches. Each result keeps original, orcpt and notify of
    // `recipient`. Equal results (the domain ignoring case) appear once. An alias of several members whose sender wants
    // to hear of success is among the results, marked NotifyExpanded.
    Task<Result<std::vector<mail::Recipient>>> expand(mail::Recipient recipient);

    bool empty() const; // no table: expand() never changes anything
    bool stale() const;

private:
    Expander();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// The key under which two recipients count as the same: the domain folded to lower case.
std::string duplicate_key(std::string_view address);

} // namespace posthouse::queue
