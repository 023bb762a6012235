// OpenSSL's error queue as text: see openssl.h.
#include "lib/tls/openssl.h"

#include "lib/base/cat.h"

namespace posthouse::tls {

namespace {

constexpr size_t most_reasons = 8; // the rest repeats them

// Calls `add(code, file, line, data)` for each entry, the oldest first.
template <class Add>
void drain(Add add)
{
    const char* file = nullptr;
    const char* data = nullptr;
    int line = 0;
    int flags = 0;
    for (size_t count = 0; const unsigned long code = ERR_get_error_all(&file, &line, nullptr, &data, &flags); ++count)
        if (count < most_reasons)
            add(code, file ? file : "", line, data && (flags & ERR_TXT_STRING) != 0 ? data : "");
}

} // namespace

std::string take_reasons()
{
    std::string text;
    drain([&](unsigned long code, const char*, int, const char* data) {
        const char* reason = ERR_reason_error_string(code);
        if (!text.empty())
            text += "; ";
        if (reason)
            text += reason;
        else
            append_to(text, "error ", code);
        if (*data)
            append_to(text, " (", data, ')');
    });
    return text.empty() ? "no reason given" : text;
}

std::string take_library_lines()
{
    std::string text;
    drain([&](unsigned long code, const char* file, int line, const char* data) {
        char words[256];
        ERR_error_string_n(code, words, sizeof words);
        append_to(text, text.empty() ? "" : "\n", words, ':', file, ':', line, ':');
        if (*data)
            append_to(text, data, ':');
    });
    return text;
}

Error library_error(std::string_view what, ErrorKind kind)
{
    return Error(kind, cat(what, ": ", take_reasons()));
}

} // namespace posthouse::tls
