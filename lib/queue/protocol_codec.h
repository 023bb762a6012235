// What the codecs of the three protocols share; private to lib/queue.
#pragma once

#include "lib/base/cat.h"
#include "lib/base/result.h"
#include "lib/ipc/channel.h"
#include "lib/ipc/codec.h"
#include "lib/mail/envelope.h"
#include "lib/queue/content_info.h"

#include <string_view>

namespace posthouse::queue::codec {

inline constexpr size_t longest_text = 65536;

inline Error malformed(std::string_view message)
{
    return Error(ErrorKind::Corrupt, cat("malformed message between programs: ", message));
}

// Before a decoder looks at the body: is it this message, with so many descriptors?
inline bool is_frame(const ipc::Frame& frame, uint16_t type, size_t descriptors)
{
    return frame.type == type && frame.fds.size() == descriptors;
}

void write(ipc::Writer& out, const mail::Envelope& envelope);
void write(ipc::Writer& out, const ContentInfo& content);
mail::Envelope read_envelope(ipc::Reader& in); // marks `in` failed when it is malformed
ContentInfo read_content_info(ipc::Reader& in);

// An enum of one byte with all values from `first` to `last`.
template <class Enum>
Enum read_enum(ipc::Reader& in, Enum first, Enum last)
{
    const uint8_t value = in.u8();
    if (value < static_cast<uint8_t>(first) || value > static_cast<uint8_t>(last))
        in.fail();
    return static_cast<Enum>(value);
}

} // namespace posthouse::queue::codec
