// What IntakeTables holds; shared by intake.cc and intake_envelope.cc.
#pragma once

#include "lib/queue/expansion.h"
#include "lib/queue/intake.h"
#include "lib/queue/local_domains.h"
#include "lib/queue/rewrite.h"
#include "lib/table/maps.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace posthouse::queue {

struct IntakeTables::Impl {
    Result<void> open(const config::Config& config, const table::Context& context);
    // Rewrites and expands sender and recipients in place and adds the copies.
    Task<Result<void>> rewrite_envelope(mail::Envelope& envelope, AddressMappings mappings);

    std::string hostname;
    uint64_t message_size_limit = 0;
    size_t header_size_limit = 102400;
    int hopcount_limit = 50;
    bool always_add_missing_headers = false;
    std::vector<std::string> drop_headers;
    std::string undisclosed_recipients_header;
    std::string mailer_daemon; // completed: From: of a message with the null sender
    bool keep_original = true; // enable_original_recipient
    std::string always_bcc;
    bool tls_required = true; // tls_required_enable
    bool obsolete_from = false; // header_from_format: the name behind the address

    std::unique_ptr<Rewriter> rewriter;
    std::unique_ptr<Expander> expander;
    std::unique_ptr<LocalDomains> local_domains;
    std::unique_ptr<table::AddressMaps> sender_bcc, recipient_bcc;

private:
    Task<Result<void>> add_copies(mail::Envelope& envelope);
    Task<Result<void>> find_copy(table::AddressMaps& maps, std::string address, std::vector<std::string>& copies);
    Task<Result<std::vector<mail::Recipient>>> expand_all(std::vector<mail::Recipient> recipients);
};

} // namespace posthouse::queue
