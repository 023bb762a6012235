// The mark journal: see mark_journal.h.
#include "lib/queue/mark_journal.h"

#include "lib/base/cat.h"
#include "lib/base/crc32c.h"
#include "lib/base/file.h"
#include "lib/log/log.h"
#include "lib/queue/disk.h"
#include "lib/queue/queue_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::queue {

namespace {

constexpr uint64_t largest_journal = 1u << 30;
constexpr size_t crc_size = 4;
constexpr const char* kept_name = "/journal.kept";

template <class Int>
void append_int(std::string& out, Int value)
{
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class Int>
Int int_at(std::string_view bytes, size_t at)
{
    Int value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

// Zeros are written, not only reserved: a sync of a record must not have to change metadata.
Result<void> fill_up(int fd, uint64_t size)
{
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        return Error::system("fstat", errno);
    auto at = static_cast<uint64_t>(status.st_size);
    if (at >= size)
        return Result<void>();
    const std::string zeros(64 << 10, '\0');
    for (; at < size; at += std::min<uint64_t>(zeros.size(), size - at)) {
        const auto part = std::string_view(zeros).substr(0, static_cast<size_t>(std::min<uint64_t>(zeros.size(), size - at)));
        if (auto written = pwrite_all(fd, part, at); !written) {
            // The space is of use to others; the next start tries again.
            if (::ftruncate(fd, status.st_size) != 0)
                log::warning("mark journal: ", Error::system("ftruncate", errno).text());
            return written;
        }
    }
    if (::fsync(fd) != 0)
        return Error::system("fsync", errno);
    return Result<void>();
}

Result<UniqueFd> open_journal(const std::string& path, uint64_t size)
{
    auto file = open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600);
    if (!file)
        return file;
    auto filled = fill_up(file->get(), size);
    if (!filled && (filled.error().errno_value() == ENOSPC || filled.error().errno_value() == EDQUOT))
        return std::move(filled.error()).within(cat("no space for ", path, " (", size, " bytes; the queue needs two such "
                                                    "files and room for its messages: make space on that file system)"));
    if (!filled)
        return std::move(filled.error()).within(path);
    return file;
}

// In pieces: memory for the whole of it would stay with the process.
Result<void> read_facts(int fd, KnownFacts& into)
{
    std::string bytes(2048 * fact_size, '\0');
    Fact fact;
    for (uint64_t from = 0; from < largest_journal; from += bytes.size()) {
        const auto got = pread_full(fd, bytes.data(), bytes.size(), from);
        if (!got)
            return Error(got.error()).within("mark journal");
        for (size_t at = 0; at + fact_size <= *got; at += fact_size) {
            if (decode_fact(std::string_view(bytes).substr(at, fact_size), fact))
                into.add(fact);
        }
        if (*got < bytes.size())
            break;
    }
    return Result<void>();
}

} // namespace

void encode(const Fact& fact, std::string& out)
{
    const size_t start = out.size();
    append_int<uint32_t>(out, 0);
    append_int(out, static_cast<uint8_t>(fact.kind));
    append_int(out, fact.state);
    append_int<uint16_t>(out, 0);
    append_int(out, fact.number);
    append_int(out, fact.id_us);
    append_int(out, fact.index);
    append_int<uint32_t>(out, 0);
    const uint32_t sum = crc32c(std::string_view(out).substr(start + crc_size));
    std::memcpy(out.data() + start, &sum, crc_size);
}

bool decode_fact(std::string_view bytes, Fact& fact)
{
    if (bytes.size() != fact_size || int_at<uint32_t>(bytes, 0) != crc32c(bytes.substr(crc_size)))
        return false;
    const auto kind = int_at<uint8_t>(bytes, 4);
    if (kind < static_cast<uint8_t>(FactKind::Adopted) || kind > static_cast<uint8_t>(FactKind::Retired))
        return false;
    fact.kind = static_cast<FactKind>(kind);
    fact.state = int_at<uint8_t>(bytes, 5);
    fact.number = int_at<uint64_t>(bytes, 8);
    fact.id_us = int_at<int64_t>(bytes, 16);
    fact.index = int_at<uint32_t>(bytes, 24);
    return true;
}

void KnownFacts::add(const Fact& fact)
{
    by_number_[fact.number].push_back(fact);
    latest_us_ = std::max(latest_us_, fact.id_us);
}

std::vector<Fact> KnownFacts::all() const
{
    std::vector<Fact> facts;
    for (const auto& [number, some] : by_number_)
        facts.insert(facts.end(), some.begin(), some.end());
    return facts;
}

Result<void> keep_facts(const std::string& directory, const std::vector<Fact>& facts)
{
    const std::string path = cat(directory, kept_name);
    if (facts.empty()) {
        if (::unlink(path.c_str()) != 0 && errno != ENOENT)
            return Error::system(cat("unlink ", path), errno);
        return Result<void>();
    }
    std::string bytes;
    for (const Fact& fact : facts)
        encode(fact, bytes);
    return replace_file(path, bytes, 0600);
}

std::vector<Fact> KnownFacts::of(uint64_t number, int64_t id_us) const
{
    std::vector<Fact> facts;
    const auto found = by_number_.find(number);
    if (found != by_number_.end())
        std::copy_if(found->second.begin(), found->second.end(), std::back_inserter(facts),
                     [id_us](const Fact& fact) { return fact.id_us == id_us; });
    return facts;
}

MarkJournal::MarkJournal(Disk& disk, std::string directory, UniqueFd first, UniqueFd second, uint64_t size)
    : disk_(disk), directory_(std::move(directory)), files_{std::move(first), std::move(second)}, size_(size)
{
}

Result<std::unique_ptr<MarkJournal>> MarkJournal::open(Disk& disk, const std::string& directory, uint64_t size)
{
    auto first = open_journal(cat(directory, "/journal.0"), size);
    if (!first)
        return std::move(first.error());
    auto second = open_journal(cat(directory, "/journal.1"), size);
    if (!second)
        return std::move(second.error());
    RETURN_IF_ERROR(sync_directory(directory));
    return std::unique_ptr<MarkJournal>(new MarkJournal(disk, directory, *std::move(first), *std::move(second), size));
}

Result<KnownFacts> MarkJournal::read() const
{
    KnownFacts facts;
    for (const UniqueFd& file : files_)
        RETURN_IF_ERROR(read_facts(file.get(), facts));
    const auto kept = open_at(AT_FDCWD, cat(directory_, kept_name), O_RDONLY);
    if (!kept && kept.error().kind() != ErrorKind::NotFound)
        return kept.error();
    if (kept)
        RETURN_IF_ERROR(read_facts(kept->get(), facts));
    return facts;
}

void MarkJournal::add(const Fact& fact) { encode(fact, pending_); }

void MarkJournal::switch_files()
{
    active_ = 1 - active_;
    offset_ = 0;
}

MarkJournal::Flush MarkJournal::take_flush()
{
    Flush flush;
    flush.disk_ = &disk_;
    flush.fd_ = files_[active_].get();
    flush.offset_ = offset_;
    offset_ += pending_.size();
    flush.bytes_ = std::exchange(pending_, std::string());
    return flush;
}

Result<void> MarkJournal::Flush::run()
{
    RETURN_IF_ERROR(write_content(*disk_, fd_, bytes_, offset_));
    if (disk_->fdatasync(fd_) != 0)
        return disk_error("sync mark journal", errno);
    return Result<void>();
}

} // namespace posthouse::queue
