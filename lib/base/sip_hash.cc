// SipHash-2-4: see sip_hash.h.
#include "lib/base/sip_hash.h"

#include <bit>
#include <cstddef>

namespace posthouse {

namespace {

struct State {
    uint64_t v0, v1, v2, v3;

    void round()
    {
        v0 += v1;
        v2 += v3;
        v1 = std::rotl(v1, 13) ^ v0;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 = std::rotl(v0, 32);
        v2 += v1;
        v0 += v3;
        v1 = std::rotl(v1, 17) ^ v2;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 = std::rotl(v2, 32);
    }
    void absorb(uint64_t word)
    {
        v3 ^= word;
        round();
        round();
        v0 ^= word;
    }
};

uint64_t little_endian(std::string_view bytes)
{
    uint64_t word = 0;
    for (size_t i = 0; i < bytes.size(); ++i)
        word |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    return word;
}

} // namespace

uint64_t sip_hash(uint64_t key_low, uint64_t key_high, std::string_view bytes)
{
    State state = {key_low ^ 0x736f6d6570736575u, key_high ^ 0x646f72616e646f6du, key_low ^ 0x6c7967656e657261u,
                   key_high ^ 0x7465646279746573u};
    const uint64_t length = bytes.size();
    for (; bytes.size() >= 8; bytes.remove_prefix(8))
        state.absorb(little_endian(bytes.substr(0, 8)));
    state.absorb(little_endian(bytes) | length << 56);
    state.v2 ^= 0xff;
    for (int i = 0; i < 4; ++i)
        state.round();
    return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

} // namespace posthouse
