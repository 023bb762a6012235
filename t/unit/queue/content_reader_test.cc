// Content on its way out is compared with what intake has seen.
#include "lib/base/cat.h"
#include "lib/base/crc32c.h"
#include "lib/base/file.h"
#include "lib/queue/content_reader.h"
#include "t/support/catch.h"

#include <cstdlib>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace posthouse;
using namespace posthouse::queue;

namespace {

struct ContentFile {
    explicit ContentFile(const std::string& content) : fd(::memfd_create("content", MFD_CLOEXEC))
    {
        info.offset = 128;
        info.size = content.size();
        info.crc32c = crc32c(content);
        (void)pwrite_all(fd.get(), content, info.offset);
    }
    // All pieces put together, or the error's text.
    std::string read(size_t piece) const
    {
        ContentReader reader(fd.get(), info);
        std::string buffer(piece, '\0');
        std::string all;
        while (!reader.at_end()) {
            const auto got = reader.next(buffer.data(), buffer.size());
            if (!got)
                return cat(all.size(), " bytes, then ", got.error().text());
            all.append(*got);
        }
        return all;
    }
    UniqueFd fd;
    ContentInfo info;
};

} // namespace

TEST_CASE("content is read in pieces of any size, an empty one too")
{
    const std::string content = "Subject: x\r\n\r\nhello\r\n";
    for (const size_t piece : {size_t(1), size_t(7), content.size(), size_t(65536)})
        CHECK(ContentFile(content).read(piece) == content);
    CHECK(ContentFile("").read(10).empty());
}

TEST_CASE("the last piece of content that was damaged on the disk is not handed out")
{
    const std::string content(1000, 'x');
    for (const uint64_t at : {128u, 600u, 1127u}) {
        const ContentFile file(content);
        REQUIRE(pwrite_all(file.fd.get(), "?", at));
        CHECK(file.read(300) == "900 bytes, then damaged queue file: the content does not agree with its checksum");
    }
    const ContentFile cut(content);
    REQUIRE(::ftruncate(cut.fd.get(), 1100) == 0);
    CHECK(cut.read(300) == "900 bytes, then damaged queue file: it ends within the content");
}

TEST_CASE("content that is in memory is read at once, and what is not is left to a reader with its own descriptor")
{
    const std::string content(10000, 'x');
    char path[] = "/var/tmp/content-XXXXXX";
    ContentFile cached(content);
    cached.fd = UniqueFd(::mkstemp(path)); // a file system with a page cache that can be emptied
    REQUIRE(cached.fd);
    ::unlink(path);
    REQUIRE(pwrite_all(cached.fd.get(), content, cached.info.offset));
    std::string buffer(content.size(), '\0');
    {
        ContentReader reader(cached.fd.get(), cached.info);
        const auto piece = reader.next_if_cached(buffer.data(), buffer.size());
        REQUIRE(piece);
        if (!*piece)
            SUCCEED("this file system never says what is cached");
        else
            CHECK(**piece == content);
    }
    REQUIRE(::fsync(cached.fd.get()) == 0);
    REQUIRE(::posix_fadvise(cached.fd.get(), 0, 0, POSIX_FADV_DONTNEED) == 0);
    ContentReader reader(cached.fd.get(), cached.info);
    const auto piece = reader.next_if_cached(buffer.data(), buffer.size());
    REQUIRE(piece);
    CHECK_FALSE(*piece);
    CHECK(reader.done() == 0);
    auto detached = reader.detached();
    REQUIRE(detached);
    cached.fd.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC)); // the number now leads elsewhere
    ContentReader copy = *detached;
    detached = Error(ErrorKind::Temporary, "gone");
    const auto read = copy.next(buffer.data(), buffer.size());
    REQUIRE(read);
    CHECK(*read == content);
}
