// What an Intake holds while a message streams through; shared by intake.cc and intake_fields.cc.
#pragma once

#include "lib/queue/content_checks.h"
#include "lib/queue/header_scanner.h"
#include "lib/queue/intake.h"
#include "lib/queue/intake_tables.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace posthouse::queue {

// The header fields that intake takes notice of.
enum Seen : unsigned {
    SeenNone = 0,
    SeenReceived = 1,
    SeenMessageId = 2,
    SeenDate = 4,
    SeenFrom = 8,
    SeenVisibleRecipient = 16,
    SeenTlsRequired = 32,
};

constexpr std::string_view resent_prefix = "Resent-";

struct Intake::Impl {
    Impl(IntakeTables::Impl& the_tables, std::unique_ptr<NewMessage> the_message, RewriteContext the_context,
         AddressMappings the_mappings)
        : tables(the_tables), message(std::move(the_message)), context(the_context), mappings(the_mappings),
          rewrites_headers(tables.rewriter->rewrites_headers(context)), scanner(tables.header_size_limit)
    {
    }

    IntakeTables::Impl& tables;
    std::unique_ptr<NewMessage> message;
    const RewriteContext context;
    const AddressMappings mappings;
    const bool rewrites_headers;
    HeaderScanner scanner;
    std::unique_ptr<ContentCheck> check; // null: nothing is looked at

    std::optional<Error> failure;
    uint64_t received = 0;
    bool in_body = false;
    bool line_open = false;    // the last byte was no line end
    bool dropping = false;     // the long field at hand
    bool is_resent = false;
    bool tls_optional = false;       // RFC 8689 section 3
    unsigned seen = SeenNone;        // among the plain fields
    unsigned resent_seen = SeenNone; // among the Resent- ones
    int hops = 0;
    std::string sender, full_name;
    std::string ready; // to go out before what comes next: prepended, replaced or added fields
    smtp::ContentFacts ready_facts; // of all that went through `ready`

    Task<Result<void>> content(std::string_view piece);
    Task<Result<void>> scan();
    Task<Result<void>> emit(std::string_view text);
    Task<Result<void>> end_headers(std::string_view run, std::string_view separator);
    Task<Result<bool>> check_item(const HeaderItem& item, std::string& instead);
    Task<Result<bool>> keep_item(const HeaderItem& item, std::string& instead);
    Task<Result<void>> pass_body(std::string_view piece);
    Task<Result<void>> end_body();
    Task<Result<void>> add_missing_fields();
    Task<Result<void>> add_from(std::string_view prefix);
    void log_message_id(std::string_view id, bool resent) const;
    Result<void> note_field(const HeaderItem& item);
    bool is_dropped(std::string_view name) const;
    Error remember(Error error);
};

} // namespace posthouse::queue
