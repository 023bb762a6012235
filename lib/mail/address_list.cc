// Address lists: see address_list.h.
#include "lib/mail/address_list.h"

#include "lib/base/ascii.h"

#include <algorithm>

namespace posthouse::mail {

namespace {

constexpr std::string_view specials = "()<>[]:;@\\,.\"";

struct Token {
    enum class Kind : unsigned char { End, Word, Special, Literal };
    Kind kind = Kind::End;
    size_t begin = 0;
    size_t end = 0;
    char special = 0;
};

// Passes over white space and comments. A quote, comment or literal without an end runs to the end.
class Tokens {
public:
    explicit Tokens(std::string_view text) : text_(text) {}

    Token next()
    {
        skip_space();
        Token token;
        token.begin = position_;
        if (position_ == text_.size())
            return token;
        const char c = text_[position_];
        if (c == '"') {
            token.kind = Token::Kind::Word;
            skip_quoted('"');
        } else if (c == '[') {
            token.kind = Token::Kind::Literal;
            skip_quoted(']');
        } else if (specials.find(c) != std::string_view::npos && c != '\\') {
            token.kind = Token::Kind::Special;
            token.special = c;
            ++position_;
        } else {
            token.kind = Token::Kind::Word;
            skip_atom();
        }
        token.end = position_;
        return token;
    }

private:
    void skip_space()
    {
        while (position_ < text_.size()) {
            if (text_[position_] == '(')
                skip_comment();
            else if (ascii::is_space(text_[position_]))
                ++position_;
            else
                return;
        }
    }
    void skip_comment()
    {
        size_t depth = 0;
        while (position_ < text_.size()) {
            const char c = text_[position_++];
            if (c == '\\')
                position_ = std::min(position_ + 1, text_.size());
            else if (c == '(')
                ++depth;
            else if (c == ')' && --depth == 0)
                return;
        }
    }
    void skip_quoted(char close)
    {
        ++position_;
        while (position_ < text_.size()) {
            const char c = text_[position_++];
            if (c == '\\')
                position_ = std::min(position_ + 1, text_.size());
            else if (c == close)
                return;
        }
    }
    void skip_atom()
    {
        while (position_ < text_.size()) {
            const char c = text_[position_];
            if (c == '\\')
                ++position_;
            else if (ascii::is_space(c) || specials.find(c) != std::string_view::npos)
                return;
            position_ = std::min(position_ + 1, text_.size());
        }
    }

    std::string_view text_;
    size_t position_ = 0;
};

// Puts one address together from its tokens.
class Collected {
public:
    explicit Collected(std::string_view text) : text_(text) {}

    void add(const Token& token)
    {
        const bool is_word = token.kind == Token::Kind::Word;
        const bool stray = token.special != 0 && std::string_view("@.,:").find(token.special) == std::string_view::npos;
        if (stray || (is_word && last_was_word_))
            is_phrase_ = true; // two words side by side are a name, and no address
        last_was_word_ = is_word;
        if (address_.empty())
            begin_ = token.begin;
        end_ = token.end;
        address_.append(text_.substr(token.begin, token.end - token.begin));
    }
    bool usable() const { return !address_.empty() && !is_phrase_; }
    ListedAddress take() { return ListedAddress(std::move(address_), begin_, end_); }

private:
    std::string_view text_;
    std::string address_;
    size_t begin_ = 0;
    size_t end_ = 0;
    bool last_was_word_ = false;
    bool is_phrase_ = false;
};

// Reads what stands between '<' and '>'.
Collected read_angle(Tokens& tokens, std::string_view text)
{
    Collected inside(text);
    for (Token token = tokens.next(); token.kind != Token::Kind::End; token = tokens.next()) {
        if (token.special == '>')
            break;
        inside.add(token);
    }
    return inside;
}

} // namespace

std::vector<ListedAddress> parse_address_list(std::string_view body, size_t limit)
{
    std::vector<ListedAddress> found;
    Tokens tokens(body);
    Collected bare(body);
    bool had_angle = false;
    const auto end_item = [&] {
        if (!had_angle && bare.usable() && found.size() < limit)
            found.push_back(bare.take());
        bare = Collected(body);
        had_angle = false;
    };
    while (true) {
        const Token token = tokens.next();
        if (token.kind == Token::Kind::End)
            break;
        if (token.special == ',' || token.special == ';') {
            end_item();
        } else if (token.special == ':') {
            bare = Collected(body); // what stood before was the name of a group
        } else if (token.special == '<') {
            Collected inside = read_angle(tokens, body);
            if (inside.usable() && !had_angle && found.size() < limit)
                found.push_back(inside.take());
            had_angle = true;
        } else {
            bare.add(token);
        }
    }
    end_item();
    return found;
}

std::vector<std::string> addresses_of(std::string_view body, size_t limit)
{
    std::vector<std::string> addresses;
    for (ListedAddress& listed : parse_address_list(body, limit))
        addresses.push_back(std::move(listed.address));
    return addresses;
}

std::string quote_phrase(std::string_view phrase)
{
    bool plain = !phrase.empty();
    for (char c : phrase)
        plain = plain && (c == ' ' || (specials.find(c) == std::string_view::npos && !ascii::is_control(c)));
    if (plain)
        return std::string(phrase);
    std::string out = "\"";
    for (char c : phrase) {
        if (c == '"' || c == '\\')
            out.push_back('\\');
        out.push_back(ascii::is_control(c) ? ' ' : c);
    }
    out.push_back('"');
    return out;
}

} // namespace posthouse::mail
