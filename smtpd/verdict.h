// Verdict: what a restriction says. Actions: what it wants to be done with the message besides.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::smtpd {

class Verdict {
public:
    enum class Kind : unsigned char { Dunno, Permit, Refuse };

    Verdict() = default;
    static Verdict permit() { return Verdict(Kind::Permit); }
    static Verdict refuse(int code, std::string_view dsn, std::string text);

    bool refused() const { return kind == Kind::Refuse; }
    // 5xx becomes 4xx, in code and enhanced status code.
    void soften(int soft_code);

    Kind kind = Kind::Dunno;
    int code = 0;
    std::string dsn;
    std::string text; // "<user@example.com>: Relay access denied"

private:
    explicit Verdict(Kind its_kind) : kind(its_kind) {}
};

struct Actions {
    bool hold = false;
    bool discard = false;
    std::string redirect;
    std::string filter;
    std::vector<std::string> prepend; // header lines without line end
    std::vector<std::string> bcc;
    // With smtpd_delay_reject = no: what the lists at CONNECT, HELO and MAIL have left for RCPT.
    std::optional<Verdict> defer_if_permit, defer_if_reject;

    // All but these two.
    void add(const Actions& other);
    void take_deferrals(const Actions* other); // null: none
};

} // namespace posthouse::smtpd
