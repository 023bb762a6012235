// What Rewriter holds; shared by rewrite.cc (envelope) and rewrite_header.cc (headers).
#pragma once

#include "lib/queue/local_domains.h"
#include "lib/queue/rewrite.h"
#include "lib/table/maps.h"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace posthouse::queue {

// What a *_classes parameter names.
class RoleSet {
public:
    void add(AddressRole role) { bits_ |= bit(role); }
    bool has(AddressRole role) const { return (bits_ & bit(role)) != 0; }

private:
    static unsigned bit(AddressRole role) { return 1U << static_cast<unsigned>(role); }
    unsigned bits_ = 0;
};

struct CanonicalStep {
    std::unique_ptr<table::AddressMaps> maps;
    RoleSet roles;
};

struct Rewriter::Impl {
    Result<void> open(const config::Config& config, const table::Context& context);
    Task<Result<std::string>> rewrite_completed(std::string address, AddressRole role);
    Task<Result<std::string>> apply_canonical(std::string address, CanonicalStep& step);
    std::string masquerade(std::string address) const;

    CompletionRules local_rules, remote_rules;
    std::unique_ptr<LocalDomains> local_domains;
    std::array<CanonicalStep, 3> steps; // in the order in which they are applied
    bool propagate_extensions = false;
    std::vector<std::string> masquerade_domains, masquerade_exceptions;
    RoleSet masquerade_roles;
};

} // namespace posthouse::queue
