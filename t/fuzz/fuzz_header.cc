// Address lists in header fields, and xtext: places lie within the text and in order. The fields that say how
// MIME parts are built: whatever they say, there is a type.
#include "lib/mail/address_list.h"
#include "lib/mail/mime_field.h"
#include "lib/mail/utf8.h"
#include "lib/mail/xtext.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace posthouse::mail;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    size_t end = 0;
    for (const ListedAddress& listed : parse_address_list(text)) {
        if (listed.begin < end || listed.end <= listed.begin || listed.end > text.size() || listed.address.empty())
            abort();
        end = listed.end;
    }
    const ContentType type = parse_content_type(text);
    if (type.type.empty() || type.subtype.empty() || parse_transfer_encoding(text).empty())
        abort();
    (void)quote_phrase(text);
    const auto orcpt = decode_orcpt(text);
    if (orcpt && decode_orcpt(encode_orcpt(*orcpt, false)) != orcpt)
        abort();
    const auto decoded = decode_xtext(text);
    if (decoded && decode_xtext(encode_xtext(*decoded)) != decoded)
        abort();
    return 0;
}
