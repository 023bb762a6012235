// BoundaryStack: what encloses the place in a message that a reader has come to, and which lines end it (RFC 2046
// section 5.1.1). For those who go through a message's MIME structure line by line. Pure; its size is bounded by the
// depth that its user allows times the longest boundary.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::mail {

class BoundaryStack {
public:
    // mime_boundary_length_limit: of longer boundaries this much counts.
    explicit BoundaryStack(size_t longest) : longest_(longest) {}

    // As much of a line as it takes to know a boundary.
    size_t line_length() const { return longest_ + 1024; }
    size_t depth() const { return enclosing_.size(); }
    bool empty() const { return enclosing_.empty(); }

    // `digest`: parts that say nothing are messages (RFC 2046 section 5.1.5).
    void push_multipart(std::string_view boundary, bool digest);
    // A message within: counts for the depth, ends with what it is in.
    void push_message();

    class Hit {
    public:
        enum class How : unsigned char { None, Begins, Is, Closes };
        How how = How::None;
        size_t at = 0; // depth of what it belongs to
        bool found() const { return how != How::None; }
        bool closes() const { return how == How::Closes; }
    };
    // The innermost whose boundary it is. `line` begins with "--"; with or without its line end.
    Hit match(std::string_view line) const;
    // Leaves all that the boundary ends. True: its parts are messages when they say nothing.
    bool leave(const Hit& hit);

private:
    struct Enclosing {
        std::string boundary; // "" for a message
        bool digest = false;
    };
    static Hit::How match_one(std::string_view line, std::string_view boundary);

    size_t longest_;
    std::vector<Enclosing> enclosing_;
};

} // namespace posthouse::mail
