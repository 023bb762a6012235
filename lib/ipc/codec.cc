// Encoding and decoding of message fields: see codec.h.
#include "lib/ipc/codec.h"

namespace posthouse::ipc {

void Writer::string(std::string_view text)
{
    u32(static_cast<uint32_t>(text.size()));
    out_.append(text);
}

uint64_t Reader::get(size_t count)
{
    if (!ok_ || rest_.size() < count) {
        fail();
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < count; ++i)
        value |= static_cast<uint64_t>(static_cast<unsigned char>(rest_[i])) << (8 * i);
    rest_.remove_prefix(count);
    return value;
}

bool Reader::boolean()
{
    const uint8_t value = u8();
    if (value > 1)
        fail();
    return value == 1;
}

std::string_view Reader::view(size_t limit)
{
    const uint32_t length = u32();
    if (!ok_ || length > limit || length > rest_.size()) {
        fail();
        return std::string_view();
    }
    const std::string_view text = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return text;
}

uint32_t Reader::count(uint32_t limit, size_t least_bytes_each)
{
    const uint32_t value = u32();
    if (!ok_ || value > limit || value > rest_.size() / (least_bytes_each ? least_bytes_each : 1)) {
        fail();
        return 0;
    }
    return value;
}

} // namespace posthouse::ipc
