// Writer and Reader: the fields of a message between our programs, little endian, strings with a
// 32-bit length. Reading is fail-safe: after the first fault every getter gives zero or "", and
// `ok_and_finished()` tells it once at the end. Pure; used for records in files as well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace posthouse::ipc {

class Writer {
public:
    void u8(uint8_t value) { out_.push_back(static_cast<char>(value)); }
    void u16(uint16_t value) { put(value, 2); }
    void u32(uint32_t value) { put(value, 4); }
    void u64(uint64_t value) { put(value, 8); }
    void i64(int64_t value) { put(static_cast<uint64_t>(value), 8); }
    void boolean(bool value) { u8(value ? 1 : 0); }
    void string(std::string_view text); // up to 4 GB: the frame's limit is checked when it is posted

    const std::string& bytes() const { return out_; }
    std::string take() { return std::exchange(out_, std::string()); }

private:
    void put(uint64_t value, int count)
    {
        for (int i = 0; i < count; ++i)
            out_.push_back(static_cast<char>(value >> (8 * i) & 0xff));
    }
    std::string out_;
};

class Reader {
public:
    // `bytes` must stay valid while this reads; what the getters return is owned by the caller.
    explicit Reader(std::string_view bytes) : rest_(bytes) {}

    uint8_t u8() { return static_cast<uint8_t>(get(1)); }
    uint16_t u16() { return static_cast<uint16_t>(get(2)); }
    uint32_t u32() { return static_cast<uint32_t>(get(4)); }
    uint64_t u64() { return get(8); }
    int64_t i64() { return static_cast<int64_t>(get(8)); }
    bool boolean(); // anything but 0 and 1 is a fault
    // Longer than `limit` is a fault.
    std::string string(size_t limit = 1 << 24) { return std::string(view(limit)); }
    // The same as a view into the bytes given to the constructor.
    std::string_view view(size_t limit = 1 << 24);
    // How many elements follow: a number above `limit`, or that the rest cannot hold at
    // `least_bytes_each`, is a fault (and no reason to reserve memory).
    uint32_t count(uint32_t limit, size_t least_bytes_each = 1);

    void fail() { ok_ = false; rest_ = std::string_view(); }
    bool ok() const { return ok_; }
    bool ok_and_finished() const { return ok_ && rest_.empty(); }
    size_t remaining() const { return rest_.size(); }

private:
    uint64_t get(size_t count);
    std::string_view rest_;
    bool ok_ = true;
};

} // namespace posthouse::ipc
