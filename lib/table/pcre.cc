// PCRE2: see pcre.h.
#include "lib/table/pcre.h"

#include "lib/base/cat.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace posthouse::pcre {

namespace {
struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
    void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

constexpr uint32_t most_steps = 1000000;
constexpr uint32_t most_heap_kib = 8192;
constexpr uint32_t most_depth = 10000;

struct Flag {
    char letter;
    uint32_t option;
};
constexpr Flag flags_known[] = {
    {'i', PCRE2_CASELESS},       {'m', PCRE2_MULTILINE}, {'s', PCRE2_DOTALL},  {'x', PCRE2_EXTENDED},
    {'A', PCRE2_ANCHORED},       {'U', PCRE2_UNGREEDY},  {'E', PCRE2_DOLLAR_ENDONLY}, {'X', 0},
};

std::string message(int code)
{
    PCRE2_UCHAR text[256];
    pcre2_get_error_message(code, text, sizeof text);
    return reinterpret_cast<const char*>(text);
}
} // namespace

struct Expression::Impl {
    std::unique_ptr<pcre2_code, Free> code;
    std::unique_ptr<pcre2_match_data, Free> data;
    std::unique_ptr<pcre2_match_context, Free> context;
    uint32_t groups = 0;
};

Expression::Expression(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Expression::Expression(Expression&&) noexcept = default;
Expression& Expression::operator=(Expression&&) noexcept = default;
Expression::~Expression() = default;

Result<Expression> Expression::compile(const std::string& pattern, std::string_view flags)
{
    uint32_t options = PCRE2_CASELESS | PCRE2_DOTALL; // Postfix's defaults; a letter turns its option over
    for (const char letter : flags) {
        const Flag* known = nullptr;
        for (const Flag& flag : flags_known)
            if (flag.letter == letter)
                known = &flag;
        if (!known)
            return Error(ErrorKind::Config, cat("unknown pcre option \"", letter, '"'));
        options ^= known->option;
    }
    int code = 0;
    size_t offset = 0;
    auto impl = std::make_unique<Impl>();
    impl->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), options, &code,
                                   &offset, nullptr));
    if (!impl->code)
        return Error(ErrorKind::Config, cat("pattern at offset ", offset, ": ", message(code)));
    pcre2_jit_compile(impl->code.get(), PCRE2_JIT_COMPLETE); // only speed; may be refused
    pcre2_pattern_info(impl->code.get(), PCRE2_INFO_CAPTURECOUNT, &impl->groups);
    impl->data.reset(pcre2_match_data_create_from_pattern(impl->code.get(), nullptr));
    impl->context.reset(pcre2_match_context_create(nullptr));
    pcre2_set_match_limit(impl->context.get(), most_steps);
    pcre2_set_heap_limit(impl->context.get(), most_heap_kib);
    pcre2_set_depth_limit(impl->context.get(), most_depth);
    return Expression(std::move(impl));
}

Result<bool> Expression::match(std::string_view text, std::vector<std::string_view>& groups) const
{
    const int count = pcre2_match(impl_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0,
                                  impl_->data.get(), impl_->context.get());
    if (count == PCRE2_ERROR_NOMATCH)
        return false;
    if (count < 0)
        return Error(ErrorKind::Temporary, cat("regular expression: ", message(count)));
    const size_t* ends = pcre2_get_ovector_pointer(impl_->data.get());
    groups.clear();
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
        const size_t from = ends[2 * i];
        const size_t to = ends[2 * i + 1];
        const bool took_part = from != PCRE2_UNSET && to >= from; // \K can turn them around
        groups.push_back(took_part ? text.substr(from, to - from) : std::string_view());
    }
    return true;
}

size_t Expression::group_count() const { return impl_->groups; }

} // namespace posthouse::pcre
