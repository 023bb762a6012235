// Parts of the codecs: see protocol_codec.h.
#include "lib/queue/protocol_codec.h"

namespace posthouse::queue::codec {

void write(ipc::Writer& out, const mail::Envelope& envelope)
{
    std::string bytes;
    mail::encode(envelope, bytes);
    out.string(bytes);
}

void write(ipc::Writer& out, const ContentInfo& content)
{
    out.u64(content.offset);
    out.u64(content.size);
    out.u32(content.crc32c);
    out.u8(content.facts.flags());
    out.u32(content.facts.longest_line);
}

mail::Envelope read_envelope(ipc::Reader& in)
{
    auto envelope = mail::decode_envelope(in.view());
    if (!envelope) {
        in.fail();
        return mail::Envelope();
    }
    return *std::move(envelope);
}

ContentInfo read_content_info(ipc::Reader& in)
{
    ContentInfo content;
    content.offset = in.u64();
    content.size = in.u64();
    content.crc32c = in.u32();
    const uint8_t flags = in.u8();
    content.facts = smtp::ContentFacts::from_stored(flags, in.u32());
    if (content.offset > INT64_MAX / 2 || content.size > INT64_MAX / 2 || flags != content.facts.flags())
        in.fail();
    return content;
}

} // namespace posthouse::queue::codec
