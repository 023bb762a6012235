// PCRE2 behind one class; nothing else includes its header. Matching is bounded in steps, memory and
// depth, so that no pattern and no text can hold up a process.
#pragma once

#include "lib/base/result.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::pcre {

class Expression {
public:
    // `flags`: Postfix's letters i (case), m (multi-line), s (dot and newline), x (extended),
    // A (anchored), E (dollar end only), U (ungreedy), X (extra, ignored).
    static Result<Expression> compile(const std::string& pattern, std::string_view flags);
    Expression(Expression&&) noexcept;
    Expression& operator=(Expression&&) noexcept;
    ~Expression();

    // An error when a limit was reached or the text is no valid UTF-8 for a pattern that wants it.
    Result<bool> match(std::string_view text, std::vector<std::string_view>& groups) const;
    size_t group_count() const;

    struct Impl;

private:
    explicit Expression(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace posthouse::pcre
