// Plain synchronous file work: read a whole (bounded) file, write all bytes, replace a file
// atomically and durably. For start-up code, tools and pool threads; never on the loop's thread of a
// process with many sessions.
#pragma once

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace posthouse {

// Opens with O_CLOEXEC and O_NOFOLLOW added. `directory_fd` may be AT_FDCWD.
Result<UniqueFd> open_at(int directory_fd, const std::string& path, int flags, mode_t mode = 0600);

// Fails when the file is longer than `limit`.
Result<std::string> read_file(const std::string& path, size_t limit);

// All bytes or an error; repeats after EINTR and short writes.
Result<void> write_all(int fd, std::string_view bytes);
Result<void> pwrite_all(int fd, std::string_view bytes, uint64_t offset);
// Up to `size` bytes at `offset`; fewer only at the end of the file.
Result<size_t> pread_full(int fd, char* into, size_t size, uint64_t offset);

Result<void> sync_directory(const std::string& path);

// Writes a temporary file beside `path`, syncs it, renames it over `path`, syncs the directory.
Result<void> replace_file(const std::string& path, std::string_view bytes, mode_t mode);

} // namespace posthouse
