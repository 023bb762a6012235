// The policy delegation protocol (Postfix's SMTPD_POLICY_README): a request is lines of name=value and an empty line, and
// so is the reply, of which only "action" counts. Pure functions; fuzzed by t/fuzz/fuzz_policy_protocol.cc.
#pragma once

#include "lib/base/result.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace posthouse::smtpd {

class PolicyRequest {
public:
    PolicyRequest();
    // Whatever stands in a value, it stays in its line: control characters, line breaks among them, become '?'.
    void add(std::string_view name, std::string_view value);
    std::string finish() &&;

private:
    std::string text_;
};

constexpr size_t longest_policy_reply = 16384;

// The action of a reply, once all of it is there; nothing while more has to be read. An Error (Corrupt) for what is no
// reply: no action, a line without `=`, or one that does not end. Control characters in the action become '?'.
Result<std::optional<std::string>> parse_policy_reply(std::string_view input);

// As RFC 3461's xtext: for names out of certificates.
std::string xtext(std::string_view text);

} // namespace posthouse::smtpd
