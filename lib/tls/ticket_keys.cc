// Keys of session tickets: see ticket_keys.h. The file is one line, "posthouse-tickets 1 PERIOD EPOCH SECRET", where
// SECRET is that of EPOCH in hexadecimal digits and EPOCH the number of periods since 1970.
#include "lib/tls/ticket_keys.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/base/random.h"
#include "lib/base/secret.h"
#include "lib/tls/openssl.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::tls {

namespace {

constexpr std::string_view file_mark = "posthouse-tickets";
constexpr std::string_view file_version = "1";
constexpr int64_t shortest_period = 60;  // seconds
constexpr int64_t longest_gap = 200000; // periods; beyond, a new chain
constexpr size_t file_limit = 512;

using SecretBytes = std::array<unsigned char, TicketKeys::secret_size>;

// HMAC-SHA256(secret, label): what follows from a secret, for one purpose.
SecretBytes derive(const SecretBytes& secret, std::string_view label)
{
    SecretBytes out{};
    size_t size = 0;
    EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, secret.data(), secret.size(),
              reinterpret_cast<const unsigned char*>(label.data()), label.size(), out.data(), out.size(), &size);
    return out;
}

SecretBytes random_secret()
{
    SecretBytes secret;
    random_bytes(secret.data(), secret.size());
    return secret;
}

struct Stored {
    int64_t epoch = 0;
    SecretBytes secret{};
};

bool parse_number(std::string_view text, int64_t& into)
{
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), into);
    return fault == std::errc() && end == text.data() + text.size();
}

std::optional<Stored> parse_file(std::string_view text, int64_t period)
{
    const auto words = ascii::split(text, " \n");
    Stored stored;
    int64_t its_period = 0;
    if (words.size() != 5 || words[0] != file_mark || words[1] != file_version || !parse_number(words[2], its_period)
        || its_period != period || !parse_number(words[3], stored.epoch) || words[4].size() != 2 * stored.secret.size())
        return std::nullopt;
    for (size_t at = 0; at < stored.secret.size(); ++at) {
        const char* digits = words[4].data() + 2 * at;
        const auto [end, fault] = std::from_chars(digits, digits + 2, stored.secret[at], 16);
        if (fault != std::errc() || end != digits + 2)
            return std::nullopt;
    }
    return stored;
}

std::string format_file(const Stored& stored, int64_t period)
{
    std::string text = cat(file_mark, ' ', file_version, ' ', period, ' ', stored.epoch, ' ');
    constexpr std::string_view digits = "0123456789abcdef";
    for (const unsigned char byte : stored.secret) {
        text.push_back(digits[byte >> 4]);
        text.push_back(digits[byte & 15]);
    }
    text.push_back('\n');
    return text;
}

// A file that another user has put there, or can read, is no place for a secret: it gives way to ours.
Result<UniqueFd> open_file(const std::string& path)
{
    for (int attempt = 0; attempt < 3; ++attempt) {
        auto fd = open_at(AT_FDCWD, path, O_RDWR | O_CREAT | O_NONBLOCK, 0600);
        struct stat status;
        const bool there = fd && ::fstat(fd->get(), &status) == 0;
        if (there && S_ISREG(status.st_mode) && status.st_uid == ::geteuid() && (status.st_mode & 077) == 0
            && status.st_nlink == 1) {
            if (::flock(fd->get(), LOCK_EX) != 0)
                return Error::system(cat("lock ", path), errno);
            return fd;
        }
        if (!fd && fd.error().errno_value() != ELOOP && fd.error().errno_value() != EACCES)
            return fd;
        if (::unlink(path.c_str()) != 0 && errno != ENOENT)
            return Error::system(cat("remove ", path), errno);
    }
    return Error(ErrorKind::Temporary, cat(path, ": others put files there"));
}

Result<void> write_file(int fd, const std::string& path, std::string line)
{
    auto written = pwrite_all(fd, line, 0);
    if (written && ::ftruncate(fd, static_cast<off_t>(line.size())) != 0)
        written = Error::system("truncate", errno);
    wipe(line);
    if (!written)
        return std::move(written.error()).within(path);
    return Result<void>();
}

} // namespace

TicketKeys::TicketKeys(int64_t period, int64_t epoch, const Secret& secret)
    : period_(period), epoch_(epoch - 1), chain_(secret)
{
    random_bytes(&current_, sizeof current_); // becomes the previous key, of an epoch when nothing was given out
    step();
}

TicketKeys::~TicketKeys()
{
    OPENSSL_cleanse(chain_.data(), chain_.size());
    OPENSSL_cleanse(&current_, sizeof current_);
    OPENSSL_cleanse(&previous_, sizeof previous_);
}

std::unique_ptr<TicketKeys> TicketKeys::unshared(int64_t period, int64_t now)
{
    period = std::max(period, shortest_period);
    return std::unique_ptr<TicketKeys>(new TicketKeys(period, now / period, random_secret()));
}

Result<std::unique_ptr<TicketKeys>> TicketKeys::open(const std::string& path, int64_t period, int64_t now)
{
    period = std::max(period, shortest_period);
    auto fd = open_file(path);
    if (!fd)
        return std::move(fd.error());
    std::string text(file_limit, '\0');
    auto size = pread_full(fd->get(), text.data(), text.size(), 0);
    if (!size)
        return std::move(size.error()).within(path);
    std::optional<Stored> found = parse_file(std::string_view(text).substr(0, *size), period);
    wipe(text);
    Stored stored;
    const int64_t before = now / period - 1; // whose tickets are still taken
    // Further on than we are: another process has seen the next period begin, or a clock was set back a little.
    const bool usable = found && found->epoch <= before + 2 && before - found->epoch <= longest_gap;
    stored.epoch = usable ? found->epoch : before;
    stored.secret = usable ? found->secret : random_secret();
    for (; stored.epoch < before; ++stored.epoch)
        stored.secret = derive(stored.secret, "next");
    RETURN_IF_ERROR(write_file(fd->get(), path, format_file(stored, period)));
    std::unique_ptr<TicketKeys> keys(new TicketKeys(period, stored.epoch, stored.secret));
    keys->advance(now);
    OPENSSL_cleanse(stored.secret.data(), stored.secret.size());
    if (found)
        OPENSSL_cleanse(found->secret.data(), found->secret.size());
    return keys;
}

// To the next period: of the one before the last nothing is left.
void TicketKeys::step()
{
    previous_ = current_;
    Secret name = derive(chain_, "name");
    std::copy_n(name.begin(), name_size, current_.name.begin());
    current_.cipher = derive(chain_, "cipher");
    current_.mac = derive(chain_, "mac");
    chain_ = derive(chain_, "next");
    ++epoch_;
}

// A clock that was set back does not bring old keys back.
void TicketKeys::advance(int64_t now)
{
    if (now / period_ - epoch_ > longest_gap) {
        chain_ = random_secret();
        epoch_ = now / period_ - 2;
    }
    while (epoch_ < now / period_)
        step();
}

const TicketKeys::Key& TicketKeys::current(int64_t now)
{
    advance(now);
    return current_;
}

const TicketKeys::Key* TicketKeys::find(const unsigned char* name, int64_t now, Age& age)
{
    advance(now);
    for (const Key* key : {&current_, &previous_}) {
        if (std::memcmp(key->name.data(), name, name_size) != 0)
            continue;
        age = key == &current_ ? Age::Current : Age::Previous;
        return key;
    }
    return nullptr;
}

} // namespace posthouse::tls
