// Random bytes from the kernel, for ids, boundaries and choices that a stranger must not predict.
#pragma once

#include <cstddef>
#include <cstdint>

namespace posthouse {

void random_bytes(void* into, size_t count); // never fails; aborts when the kernel has no getrandom
uint64_t random_u64();
// Uniform in [0, below); below > 0.
uint64_t random_below(uint64_t below);

} // namespace posthouse
