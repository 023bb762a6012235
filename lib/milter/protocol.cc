// Bytes of the milter protocol, see protocol.h.
#include "lib/milter/protocol.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

#include <algorithm>
#include <iterator>

namespace posthouse::milter {

namespace {

constexpr size_t most_macros = 1000; // that a filter may ask for at a stage

void append_number(std::string& out, uint32_t value)
{
    for (const int shift : {24, 16, 8, 0})
        out.push_back(static_cast<char>(value >> shift & 0xff));
}

Error corrupt(std::string what)
{
    return Error(ErrorKind::Corrupt, std::move(what));
}

// Takes the parts of a packet's data one after the other.
class Data {
public:
    explicit Data(std::string_view data) : left_(data) {}

    bool number(uint32_t& value)
    {
        if (left_.size() < 4)
            return false;
        value = 0;
        for (const char c : left_.substr(0, 4))
            value = value << 8 | static_cast<unsigned char>(c);
        left_.remove_prefix(4);
        return true;
    }
    bool text(std::string& value)
    {
        const size_t end = left_.find('\0');
        if (end == std::string_view::npos)
            return false;
        value = left_.substr(0, end);
        left_.remove_prefix(end + 1);
        return true;
    }
    bool empty() const { return left_.empty(); }

private:
    std::string_view left_;
};

enum class Form : uint8_t { Nothing, Smtp, NameValue, IndexNameValue, Address, AddressParameters, Bytes, Text };

struct Row {
    char code;
    Reply::Kind kind;
    Form form;
    uint32_t action;
};
using Kind = Reply::Kind;
constexpr Row rows[] = {
    {'c', Kind::Continue, Form::Nothing, 0},
    {'a', Kind::Accept, Form::Nothing, 0},
    {'r', Kind::Reject, Form::Nothing, 0},
    {'t', Kind::TempFail, Form::Nothing, 0},
    {'f', Kind::TempFail, Form::Nothing, 0}, // "connection failure" of old filters
    {'d', Kind::Discard, Form::Nothing, 0},
    {'y', Kind::Custom, Form::Smtp, 0},
    {'s', Kind::Skip, Form::Nothing, 0},
    {'p', Kind::Progress, Form::Nothing, 0},
    {'4', Kind::Shutdown, Form::Nothing, 0},
    {'h', Kind::AddHeader, Form::NameValue, MayAddHeader},
    {'i', Kind::InsertHeader, Form::IndexNameValue, MayAddHeader},
    {'m', Kind::ChangeHeader, Form::IndexNameValue, MayChangeHeader},
    {'e', Kind::ChangeSender, Form::AddressParameters, MayChangeSender},
    {'+', Kind::AddRecipient, Form::Address, MayAddRecipient},
    {'2', Kind::AddRecipient, Form::AddressParameters, MayAddRecipientWithParameters},
    {'-', Kind::DeleteRecipient, Form::Address, MayDeleteRecipient},
    {'b', Kind::ReplaceBody, Form::Bytes, MayReplaceBody},
    {'q', Kind::Quarantine, Form::Text, MayQuarantine},
};

bool take(Form form, Data data, std::string_view all, Reply& reply)
{
    switch (form) {
    case Form::Nothing:
        return data.empty();
    case Form::NameValue:
        return data.text(reply.name) && data.text(reply.value) && data.empty();
    case Form::IndexNameValue:
        return data.number(reply.index) && data.text(reply.name) && data.text(reply.value) && data.empty();
    case Form::Address:
        return data.text(reply.name) && data.empty();
    case Form::AddressParameters:
        return data.text(reply.name) && (data.empty() || (data.text(reply.value) && data.empty()));
    case Form::Bytes:
        reply.value = all;
        return true;
    case Form::Text:
        return data.text(reply.value) && data.empty();
    case Form::Smtp:
        break;
    }
    return false;
}

// '4' or '5', and two digits.
int code_of(std::string_view line)
{
    const auto number = line.size() >= 3 ? ascii::parse_unsigned(line.substr(0, 3)) : std::nullopt;
    return number && *number >= 400 && *number <= 599 ? static_cast<int>(*number) : 0;
}

// Of a template for printf, as which smfi_setreply takes it.
std::string without_doubled_percent(std::string_view text)
{
    std::string single;
    for (size_t at = 0; at < text.size(); ++at) {
        single.push_back(text[at]);
        if (text[at] == '%' && at + 1 < text.size() && text[at + 1] == '%')
            ++at;
    }
    return single;
}

} // namespace

Terms offer_for(uint32_t version)
{
    Terms offer;
    offer.version = version;
    offer.actions = MayAddHeader | MayReplaceBody | MayAddRecipient | MayDeleteRecipient | MayChangeHeader | MayQuarantine;
    offer.steps = NoConnect | NoHelo | NoMail | NoRcpt | NoBody | NoHeaders | NoEndOfHeader;
    if (version >= 3)
        offer.steps |= NoUnknown;
    if (version >= 4)
        offer.steps |= NoData;
    if (version >= 6) {
        offer.actions |= MayChangeSender | MayAddRecipientWithParameters | MaySetMacros;
        offer.steps |= NoReplyHeader | MaySkip | RefusedRecipients | NoReplyConnect | NoReplyHelo | NoReplyMail | NoReplyRcpt
                       | NoReplyData | NoReplyUnknown | NoReplyEndOfHeader | NoReplyBody | HeaderLeadingSpace;
    }
    return offer;
}

void append_packet(std::string& out, char command, std::string_view data)
{
    append_number(out, static_cast<uint32_t>(data.size() + 1));
    out.push_back(command);
    out.append(data);
}

void append_negotiation(std::string& out, const Terms& offer)
{
    std::string data;
    append_number(data, offer.version);
    append_number(data, offer.actions);
    append_number(data, offer.steps);
    append_packet(out, CmdNegotiate, data);
}

void append_macros(std::string& out, char of_command, std::string_view data)
{
    append_number(out, static_cast<uint32_t>(data.size() + 2));
    out.push_back(CmdMacros);
    out.push_back(of_command);
    out.append(data);
}

void append_text(std::string& data, std::string_view text)
{
    data.append(text.substr(0, text.find('\0')));
    data.push_back('\0');
}

void PacketReader::feed(std::string_view bytes)
{
    buffer_.erase(0, at_);
    at_ = 0;
    buffer_.append(bytes);
}

Result<std::optional<std::string_view>> PacketReader::next()
{
    const std::string_view left = std::string_view(buffer_).substr(at_);
    uint32_t length = 0;
    if (!Data(left).number(length))
        return std::optional<std::string_view>();
    if (length == 0 || length > largest_received)
        return corrupt(cat("a packet of ", length, " bytes"));
    if (left.size() - 4 < length)
        return std::optional<std::string_view>();
    at_ += 4 + length;
    return std::optional<std::string_view>(left.substr(4, length));
}

Result<Reply> parse_reply(std::string_view packet)
{
    const char code = packet.empty() ? '\0' : packet.front();
    const auto* row = std::find_if(std::begin(rows), std::end(rows), [code](const Row& r) { return r.code == code; });
    if (row == std::end(rows))
        return corrupt(cat("an unknown reply (byte ", static_cast<unsigned char>(code), ')'));
    packet.remove_prefix(1);
    Reply reply;
    reply.kind = row->kind;
    reply.needed_action = row->action;
    if (row->form == Form::Smtp) {
        std::string text;
        Data data(packet);
        if (!data.text(text) || !data.empty())
            return corrupt("a reply code without its end");
        auto parsed = parse_smtp_reply(text);
        if (!parsed)
            return std::move(parsed.error());
        reply.smtp = std::move(*parsed);
        return reply;
    }
    if (!take(row->form, Data(packet), packet, reply))
        return corrupt(cat("a reply '", code, "' whose data is malformed"));
    return reply;
}

Result<Negotiated> parse_negotiation(std::string_view packet, const Terms& offer)
{
    Negotiated answer;
    Terms& terms = answer.terms;
    Data data(packet.substr(std::min<size_t>(packet.size(), 1)));
    if (!packet.starts_with(CmdNegotiate) || !data.number(terms.version) || !data.number(terms.actions)
        || !data.number(terms.steps))
        return corrupt("the reply to the negotiation is malformed");
    if (terms.version < oldest_version || terms.version > offer.version)
        return Error(ErrorKind::Permanent, cat("it wants protocol version ", terms.version, ", and was offered ", offer.version));
    if ((terms.actions & ~offer.actions) != 0 || (terms.steps & ~offer.steps) != 0)
        return Error(ErrorKind::Permanent, cat("it wants actions ", terms.actions, " and steps ", terms.steps,
                                               ", and was offered ", offer.actions, " and ", offer.steps));
    while (!data.empty()) {
        uint32_t stage = 0;
        std::string names;
        if (!data.number(stage) || !data.text(names) || stage >= stage_count)
            return corrupt("the list of macros in the negotiation is malformed");
        const auto words = ascii::split(names, " \t,");
        if (words.size() > most_macros)
            return corrupt("too many macros in the negotiation");
        answer.macros.emplace_back(static_cast<Stage>(stage), std::vector<std::string>(words.begin(), words.end()));
    }
    return answer;
}

Result<smtp::Reply> parse_smtp_reply(std::string_view text)
{
    smtp::Reply reply;
    bool last = false;
    for (std::string_view line : ascii::split(text, "\r\n")) {
        const int code = code_of(line);
        const char mark = line.size() > 3 ? line[3] : ' ';
        if (code == 0 || (mark != ' ' && mark != '-') || (reply.code != 0 && code != reply.code) || last)
            return corrupt("a reply code that is malformed");
        last = mark == ' ';
        line.remove_prefix(std::min<size_t>(line.size(), 4));
        const size_t dsn = smtp::enhanced_code_length(line, static_cast<char>('0' + code / 100));
        if (dsn > 0 && (reply.code == 0 || line.substr(0, dsn) == reply.dsn)) {
            reply.dsn = line.substr(0, dsn);
            line.remove_prefix(std::min(line.size(), dsn + 1));
        }
        if (reply.code == 0)
            reply.text = without_doubled_percent(line);
        else
            reply.add(without_doubled_percent(line));
        reply.code = code;
    }
    if (!last)
        return corrupt("a reply code without its last line");
    return reply;
}

} // namespace posthouse::milter
